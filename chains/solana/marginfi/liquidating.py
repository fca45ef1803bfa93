"""An account as `lending_account_liquidate` takes it: a deposit for a debt, at prices less and more their intervals.

Source: marginfi-v2 `instructions/marginfi_account/liquidate.rs`, `check_post_liquidation_condition_and_get_account_health`. The liquidator
names how much of the deposit he takes and pays 97.5 % of its value; the account owes 95 % of it less, the rest is the bank's insurance.
No debt may be paid whole, and nobody may lift the account above its maintenance requirement. What another protocol holds for a bank is not
simulated, nor what a receiver does, who liquidates by other instructions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Self

from chains.liquidating import BASIS_POINTS, UNMOVED, Lot, Portion, Taken, Times, largest, price_at
from chains.model import Reason
from chains.solana.marginfi.fixed import (
    FRACTION_BITS,
    ONE,
    Overflowed,
    constant,
    div_down,
    mul_down,
    power_of_ten,
    whole,
)
from chains.solana.marginfi.health import (
    Emode,
    Leg,
    Requirement,
    Values,
    asset_weight,
    check,
    emode_of,
    health_factor_wad,
    worth,
)
from chains.solana.marginfi.prices import Bias, Quote, Sides
from chains.solana.marginfi.states import COLLATERAL_TIER, FIRST_INTEGRATION

LIQUIDATOR_FEE = INSURANCE_FEE = constant("0.025")
PAID, RELIEVED = ONE - LIQUIDATOR_FEE, ONE - (INSURANCE_FEE + LIQUIDATOR_FEE)

OPERATIONAL, REDUCE_ONLY = 1, 2
"""The states of a bank in which the program liquidates."""


class Settled(NamedTuple):
    """What one liquidation comes to, I80F48 bits of raw units: what the liquidator pays, and what the account owes less."""

    paid: int
    relieved: int


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One account: `legs` at the prices of the moment, `first` the spot prices at the block, by bank."""

    legs: tuple[Leg, ...]
    first: Mapping[bytes, Sides]

    rule = "marginfi"
    owed_limit = None
    base_asset: bytes | None = None

    @classmethod
    def of(cls, legs: Iterable[Leg]) -> Self | tuple[Reason, ...]:
        """Take an account whose maintenance check is known, or say what of it is not simulated."""
        found = tuple(leg for leg in legs if leg.balance.owes or leg.balance.holds)
        elsewhere = [leg for leg in found if leg.bank.asset_tag >= FIRST_INTEGRATION]
        if elsewhere:
            detail = "it has a position in another protocol, whose seizure is not simulated"
            return (Reason("liquidation_unknown", "", detail),)
        first = {leg.bank.address: spot for leg in found if (spot := _spot(leg))}
        return cls(found, first)

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        """Return deposits that have a price: an isolated one without is worth nothing to the check, and cannot be taken."""
        emode = emode_of(leg.bank for leg in self.legs if leg.balance.owes)
        held = (leg for leg in self.legs if leg.balance.holds and leg.bank.address in self.first)
        lots = (self._lot(leg, _held(leg) >> FRACTION_BITS, emode) for leg in held)
        return tuple(lot for lot in lots if lot.amount_raw)

    @property
    def debts(self) -> tuple[Lot, ...]:
        return tuple(self._lot(leg, -(-_owed(leg) >> FRACTION_BITS), None) for leg in self.legs if leg.balance.owes)

    @property
    def health_factor_wad(self) -> int | None:
        values = check(self.legs, Requirement.MAINTENANCE)
        return None if isinstance(values, Reason) else health_factor_wad(values.assets, values.liabilities)

    def moved(self, times: Times) -> Self:
        """Move spot prices and their intervals alike; each is a price of the bank's own token."""
        return replace(self, legs=tuple(self._moved(leg, times) for leg in self.legs))

    def incentive(self, collateral: bytes) -> float:
        del collateral
        return ONE / PAID

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        seized = self._most(collateral, debt, cap)
        return self.settled(collateral, debt, seized).paid >> FRACTION_BITS if seized else 0

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        seized = self._most(collateral, debt, cover)
        settled, left = self.settled(collateral, debt, seized), self.after(collateral, debt, seized)
        before, after = (next((lot.amount_raw for lot in each.debts if lot.market == debt), 0) for each in (self, left))
        done = Taken(
            paid=Portion(debt, settled.paid >> FRACTION_BITS),
            seized=(Portion(collateral, seized),),
            relieved=(Portion(debt, before - after),),
        )
        return left, done

    def settled(self, collateral: bytes, debt: bytes, seized: int) -> Settled:
        """Return what is paid for so many raw units of a deposit."""
        pledged, owed = self._leg(collateral), self._leg(debt)
        low, high = _biased(pledged, Bias.LOW), _biased(owed, Bias.HIGH)
        parts = (worth(whole(seized), low, pledged.bank.decimals, share) for share in (PAID, RELIEVED))
        paid, relieved = (div_down(mul_down(usd, power_of_ten(owed.bank.decimals)), high) for usd in parts)
        return Settled(paid, relieved)

    def after(self, collateral: bytes, debt: bytes, seized: int) -> Self:
        """Return the account with so much less of a deposit and of a debt."""
        relieved = self.settled(collateral, debt, seized).relieved
        return replace(self, legs=tuple(_less(leg, collateral, debt, whole(seized), relieved) for leg in self.legs))

    def _most(self, collateral: bytes, debt: bytes, cap: int | None) -> int:
        """Return how many raw units of a deposit may be taken at once, for `cap` raw units of debt at most."""
        pledged, owed, before = self._leg(collateral), self._leg(debt), _health(self.legs)
        states = {pledged.bank.operational_state, owed.bank.operational_state}
        priced = {collateral, debt} <= set(self.first)
        if before is None or before > 0 or collateral == debt or not priced or not states <= {OPERATIONAL, REDUCE_ONLY}:
            return 0

        def permitted(seized: int) -> bool:
            try:
                if cap is not None and self.settled(collateral, debt, seized).paid >> FRACTION_BITS > cap:
                    return False
                left = self.after(collateral, debt, seized)
            except Overflowed:
                return False
            health, still = _health(left.legs), any(lot.market == debt for lot in left.debts)
            return still and health is not None and health <= 0

        found = largest(permitted, _held(pledged) >> FRACTION_BITS, self._near(pledged, owed, -before, cap))
        health = _health(self.after(collateral, debt, found).legs) if found else None
        return found if health is not None and health > before else 0

    def _near(self, pledged: Leg, owed: Leg, lacking: int, cap: int | None) -> int | None:
        """Return about how much of a deposit brings back what is lacking, or pays for the cap."""
        emode = emode_of(leg.bank for leg in self.legs if leg.balance.owes)
        weight = asset_weight(pledged.bank, emode, Requirement.MAINTENANCE)
        each = Fraction(_biased(pledged, Bias.LOW), 10**pledged.bank.decimals)
        gained = each * (mul_down(RELIEVED, owed.bank.weights.liability_maint) - weight) / ONE
        if gained <= 0:
            return None
        needed = lacking / gained
        if cap is not None:
            value = Fraction(cap * _biased(owed, Bias.HIGH), 10**owed.bank.decimals)
            needed = min(needed, value * ONE / (each * PAID))
        return int(needed)

    def _lot(self, leg: Leg, amount_raw: int, emode: Emode | None) -> Lot:
        bank, spot = leg.bank, self.first[leg.bank.address]
        if emode is None:
            threshold = -(-bank.weights.liability_maint * spot.biased(Bias.HIGH) * BASIS_POINTS // (spot.price * ONE))
        elif bank.risk_tier != COLLATERAL_TIER:
            threshold = 0
        else:
            weight = asset_weight(bank, emode, Requirement.MAINTENANCE)
            threshold = weight * spot.biased(Bias.LOW) * BASIS_POINTS // (spot.price * ONE)
        return Lot(bank.address, bank.mint, bank.decimals, amount_raw, spot.price, ONE, threshold)

    def _moved(self, leg: Leg, times: Times) -> Leg:
        first = self.first[leg.bank.address]
        if isinstance(leg.quote, Reason):
            return leg
        price = price_at(first.price, leg.bank.mint, times)
        interval = round(first.interval * times.get(leg.bank.mint, UNMOVED))
        return leg._replace(quote=replace(leg.quote, spot=Sides(price, interval)))

    def _leg(self, bank: bytes) -> Leg:
        return next(leg for leg in self.legs if leg.bank.address == bank)


def _health(legs: Sequence[Leg]) -> int | None:
    values = check(legs, Requirement.MAINTENANCE)
    return values.assets - values.liabilities if isinstance(values, Values) else None


def _spot(leg: Leg) -> Sides | None:
    return leg.quote.spot if isinstance(leg.quote, Quote) and isinstance(leg.quote.spot, Sides) else None


def _biased(leg: Leg, bias: Bias) -> int:
    spot = _spot(leg)
    if spot is None:
        raise Overflowed(f"the price of bank {leg.bank.address.hex()} is not known")
    return spot.biased(bias)


def _held(leg: Leg) -> int:
    return mul_down(leg.balance.asset_shares, leg.totals.asset_share_value)


def _owed(leg: Leg) -> int:
    return mul_down(leg.balance.liability_shares, leg.totals.liability_share_value)


def _less(leg: Leg, collateral: bytes, debt: bytes, seized: int, relieved: int) -> Leg:
    """Take shares away as the program does: what they are worth, divided down, at most all."""
    balance, totals = leg.balance, leg.totals
    if leg.bank.address == collateral:
        gone = div_down(min(seized, _held(leg)), totals.asset_share_value)
        return leg._replace(balance=balance._replace(asset_shares=balance.asset_shares - gone))
    if leg.bank.address == debt:
        gone = div_down(min(relieved, _owed(leg)), totals.liability_share_value)
        return leg._replace(balance=balance._replace(liability_shares=balance.liability_shares - gone))
    return leg
