"""The vault kit's arithmetic in Python integers (sources: `Cache.initVaultCache`, `RPow`, `OwedLib`, `SharesLib`, `LTVConfigLib`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

RAY = 10**27
WAD = 10**18
BASIS_POINTS = 10_000
DEBT_SHIFT = 31
"""Debts are kept in 2^-31 of a raw token unit."""
MAX_UINT256 = 2**256 - 1
MAX_SANE_AMOUNT = 2**112 - 1
MAX_SANE_DEBT = MAX_SANE_AMOUNT << DEBT_SHIFT
VIRTUAL_DEPOSIT = 10**6
DEFAULT_INTEREST_FEE = 1_000
ALL_OPERATIONS = (1 << 15) - 1
"""Hooked in a new vault, without a target: none of them works until its governor says so (`Initialize`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a vault keeps: shares and cash in raw units, `borrows` in 2^-31 of them, accumulator and rate per second as rays."""

    shares: int = 0
    borrows: int = 0
    fees: int = 0
    cash: int = 0
    accumulator: int = RAY
    rate: int = 0
    at: int = 0

    @classmethod
    def of(cls, state: Mapping[str, str]) -> Status:
        """Read what `text` wrote."""
        return cls(**{name: int(value) for name, value in state.items()})

    def text(self) -> dict[str, str]:
        """Write every number as text."""
        return {
            name: str(getattr(self, name))
            for name in ("shares", "borrows", "fees", "cash", "accumulator", "rate", "at")
        }

    @property
    def assets(self) -> int:
        """All that the vault holds or is owed, in raw token units."""
        return self.cash + assets_up(self.borrows)

    def assets_down(self, shares: int) -> int:
        """Return what shares are worth (`convertToAssets`)."""
        return shares * (self.assets + VIRTUAL_DEPOSIT) // (self.shares + VIRTUAL_DEPOSIT)


def assets_up(owed: int) -> int:
    """Return a debt in raw token units, rounded up."""
    return -(-owed >> DEBT_SHIFT)


def rpow(base: int, exponent: int, one: int = RAY) -> int | None:
    """Raise a ray to a power, each product rounded to the nearest; `None` where 256 bits do not hold it."""
    if base == 0:
        return one if exponent == 0 else 0
    half = one >> 1
    result = base if exponent & 1 else one
    exponent >>= 1
    while exponent:
        if base >> 128 or base * base + half > MAX_UINT256:
            return None
        base = (base * base + half) // one
        if exponent & 1:
            if result * base + half > MAX_UINT256:
                return None
            result = (result * base + half) // one
        exponent >>= 1
    return result


def accrued(status: Status, interest_fee: int, now: int) -> Status:
    """Return a vault as it stands at a later second; `interest_fee` in basis points of the interest, taken as new shares.

    A vault whose debt no longer fits stands still; a fee whose shares do not fit is not taken.
    """
    if now <= status.at:
        return status
    accumulator = _grown(status.accumulator, status.rate, now - status.at)
    borrows = _scaled(status.borrows, accumulator, status.accumulator)
    fee_assets = (borrows - status.borrows) * interest_fee // (BASIS_POINTS << DEBT_SHIFT)
    shares = status.shares
    if fee_assets:
        assets = status.cash + assets_up(borrows)
        shares = assets * status.shares // (assets - fee_assets)
    if borrows > MAX_SANE_DEBT:
        return status
    if shares > MAX_SANE_AMOUNT:
        shares = status.shares
    fees = status.fees + shares - status.shares
    return replace(status, shares=shares, borrows=borrows, fees=fees, accumulator=accumulator, at=now)


def _scaled(borrows: int, accumulator: int, before: int) -> int:
    """Return debts under a later accumulator, or as they are where 256 bits do not hold the product."""
    product = borrows * accumulator
    return borrows if product > MAX_UINT256 else product // before


def _grown(accumulator: int, rate: int, seconds: int) -> int:
    factor = rpow(rate + RAY, seconds)
    if factor is None or accumulator * factor > MAX_UINT256:
        return accumulator
    return accumulator * factor // RAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """A debt in 2^-31 of a raw token unit as it was when the vault's accumulator was `accumulator`."""

    owed: int = 0
    accumulator: int = RAY

    @classmethod
    def of(cls, state: Mapping[str, str]) -> Debt:
        """Read what `text` wrote."""
        return cls(**{name: int(value) for name, value in state.items()})

    def text(self) -> dict[str, str]:
        """Write both numbers as text."""
        return {"owed": str(self.owed), "accumulator": str(self.accumulator)}

    def at(self, accumulator: int) -> int:
        """Return the debt under a later accumulator (`debtOfExact`)."""
        return self.owed * accumulator // self.accumulator if self.owed else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ltv:
    """What a vault lends against a collateral, in basis points.

    The one for liquidation falls from `initial` over `ramp` seconds until the second `target`.
    """

    borrow: int
    liquidation: int
    initial: int
    target: int
    ramp: int

    def liquidation_at(self, now: int) -> int:
        """Return the liquidation LTV at a second (`LTVLiquidation`), rounded down on a ramp."""
        if now >= self.target or self.liquidation >= self.initial:
            return self.liquidation
        return self.liquidation + (self.initial - self.liquidation) * (self.target - now) // self.ramp


def health_factor_wad(collateral: int, liability: int) -> int:
    """Return collateral over liability, below 1e18 just where a vault calls it a violation: where collateral is not greater."""
    if liability == 0:
        return MAX_UINT256 if collateral else 0
    ratio = collateral * WAD // liability
    return ratio if collateral > liability else min(ratio, WAD - 1)


def violates(collateral: int, liability: int) -> bool:
    """Tell whether values break the liquidation check, in which equal is too little."""
    return collateral <= liability
