"""Interest of a bank: rates by utilisation, and what the accounts of the bank are after a time.

Source: marginfi-v2 `programs/marginfi/src/state/interest_rate.rs` (`calc_interest_rate`, both curves,
`calc_interest_rate_accrual_state_changes`) and `bank.rs` (`accrue_interest`). All numbers are I80F48 bits; rates are per year of
31,536,000 seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from chains.solana.marginfi.fixed import ONE, Overflowed, div_down, fits, mul_down, whole

SECONDS_PER_YEAR = 31_536_000
LEGACY_CURVE, SEVEN_POINTS = 0, 1
_FULL_U32 = 2**32 - 1


class Fees(NamedTuple):
    """What one receiver takes of a borrower's interest: `rate` of the base rate, and `fixed` per year of the debt."""

    rate: int
    fixed: int


class FeeTerms(NamedTuple):
    """All who take a part of a borrower's interest."""

    insurance: Fees
    group: Fees
    program: Fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A bank's base rate by utilisation.

    `kind` 0: straight from 0 to `plateau` at `optimal` and on to `maximum` at 1. `kind` 1: straight lines through `points`, pairs of
    (utilisation, rate) as fractions of 2³² − 1, of 1 and of 10, between `at_zero` and `at_full`.
    """

    kind: int
    optimal: int
    plateau: int
    maximum: int
    at_zero: int
    at_full: int
    points: Sequence[tuple[int, int]]

    def base_rate(self, utilisation: int) -> int:
        """Return the base rate; raises `Overflowed` where the program refuses."""
        if self.kind == SEVEN_POINTS:
            return self._between_points(min(max(utilisation, 0), ONE))
        if self.kind != LEGACY_CURVE:
            raise Overflowed(f"a rate curve of kind {self.kind}")
        if utilisation <= self.optimal:
            return mul_down(div_down(utilisation, self.optimal), self.plateau)
        beyond = div_down(utilisation - self.optimal, ONE - self.optimal)
        return fits(mul_down(beyond, self.maximum - self.plateau) + self.plateau)

    def _between_points(self, utilisation: int) -> int:
        x, y = 0, _milli(self.at_zero)
        for util, rate in self.points:
            if util == 0:
                continue
            if utilisation <= _centi(util):
                return _line(x, y, _centi(util), _milli(rate), utilisation)
            x, y = _centi(util), _milli(rate)
        return _line(x, y, ONE, _milli(self.at_full), utilisation)


def _centi(share: int) -> int:
    return (share << 48) // _FULL_U32


def _milli(share: int) -> int:
    return _centi(share) * 10


def _line(x0: int, y0: int, x1: int, y1: int, x: int) -> int:
    """Return the height over x of the line between two points, which must not fall."""
    if x1 <= x0:
        return y0
    if not x0 <= x <= x1 or y1 < y0:
        raise Overflowed("a rate curve that falls")
    return y0 + mul_down(y1 - y0, div_down(x - x0, x1 - x0))


class Rates(NamedTuple):
    """Yearly rates: what depositors get, what borrowers pay, and of that each receiver's part."""

    lending: int
    borrowing: int
    insurance: int
    group: int
    program: int


def rates(curve: Curve, utilisation: int, fees: FeeTerms) -> Rates:
    """Return the rates at a utilisation; raises `Overflowed`."""
    base = curve.base_rate(utilisation)
    borrowing = mul_down(base, ONE + sum(fee.rate for fee in fees)) + sum(fee.fixed for fee in fees)
    found = Rates(mul_down(base, utilisation), fits(borrowing), *(_part(base, fee) for fee in fees))
    if min(found) < 0:
        raise Overflowed("a negative rate")
    return found


def _part(base: int, fee: Fees) -> int:
    return fits(mul_down(base, fee.rate) + fee.fixed) if fee.rate else fee.fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What changes in a bank with time: I80F48 bits under the program's names; `last_update` in Unix seconds."""

    asset_share_value: int
    liability_share_value: int
    total_asset_shares: int
    total_liability_shares: int
    collected_insurance_fees_outstanding: int
    collected_group_fees_outstanding: int
    collected_program_fees_outstanding: int
    last_update: int

    @property
    def assets(self) -> int:
        """All deposits, in raw token units."""
        return mul_down(self.total_asset_shares, self.asset_share_value)

    @property
    def liabilities(self) -> int:
        """All debts, in raw token units."""
        return mul_down(self.total_liability_shares, self.liability_share_value)


def accrued(totals: Totals, now: int, curve: Curve, fees: FeeTerms) -> Totals:
    """Return a bank as the program would store it at `now` (Unix seconds); raises `Overflowed`, also for a time before the last."""
    seconds = now - totals.last_update
    if seconds < 0:
        raise Overflowed(f"the bank was brought up to date {-seconds} s later")
    assets, liabilities = totals.assets, totals.liabilities
    if seconds == 0 or assets == 0 or liabilities == 0:
        return replace(totals, last_update=now)
    rate = rates(curve, div_down(liabilities, assets), fees)
    return replace(
        totals,
        asset_share_value=_grown(totals.asset_share_value, rate.lending, seconds),
        liability_share_value=_grown(totals.liability_share_value, rate.borrowing, seconds),
        collected_insurance_fees_outstanding=fits(
            totals.collected_insurance_fees_outstanding + _interest(liabilities, rate.insurance, seconds)
        ),
        collected_group_fees_outstanding=fits(
            totals.collected_group_fees_outstanding + _interest(liabilities, rate.group, seconds)
        ),
        collected_program_fees_outstanding=fits(
            totals.collected_program_fees_outstanding + _interest(liabilities, rate.program, seconds)
        ),
        last_update=now,
    )


def _grown(share_value: int, rate: int, seconds: int) -> int:
    growth = div_down(mul_down(rate, whole(seconds)), whole(SECONDS_PER_YEAR))
    return mul_down(share_value, ONE + growth)


def _interest(amount: int, rate: int, seconds: int) -> int:
    return div_down(mul_down(mul_down(amount, rate), whole(seconds)), whole(SECONDS_PER_YEAR))
