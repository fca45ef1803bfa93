"""What one liquidation may take, by revision (`LiquidationLogic`): close factor, bonus, the protocol's fee, and dust that must not stay.

Amounts are raw token units, prices the oracle's, bonuses and fees basis points; a bonus is above 10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from chains.evm.aave_v3.maths import (
    PERCENT,
    WAD,
    div_down,
    div_up,
    percent_div,
    percent_div_down,
    percent_div_up,
    percent_mul,
    percent_mul_down,
    percent_mul_up,
)
from chains.liquidating import largest

HALF = PERCENT // 2
CLOSE_FACTOR_HEALTH_FACTOR = WAD * 95 // 100
"""At it and below, all of a debt may be covered."""

SMALL = 2_000 * 10**8
"""From 3.3 on, a collateral or a debt below it may be covered whole: in base currency, taken for dollars of eight decimals."""

DUST = SMALL // 2
"""From 3.3 on, what a liquidation leaves of both is at least this, or nothing of one."""

Multiply = Callable[[int, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidating:
    """The rules of a revision.

    `of_all`: the close factor is a share of all that is owed, with exceptions for small positions, and no dust may stay; else of the one
    debt. `base`: amount · price and unit → base currency, of debt. `seized`: collateral without bonus → with it; `bare`: the other way
    round; `needed`: what all of the collateral pays for; `fee`: the protocol's share of a bonus.
    """

    of_all: bool
    base: Multiply
    seized: Multiply
    bare: Multiply
    needed: Multiply
    fee: Multiply


_3_0 = Liquidating(
    of_all=False, base=div_down, seized=percent_mul, bare=percent_div, needed=percent_div, fee=percent_mul
)
_3_3 = replace(_3_0, of_all=True)
_3_5 = replace(_3_3, base=div_up, needed=percent_div_up)
_3_7 = replace(_3_5, seized=percent_mul_down, bare=percent_div_down, fee=percent_mul_up)

LIQUIDATING: Mapping[int, Liquidating] = {
    **dict.fromkeys((1, 2, 3, 4, 5, 6), _3_0),
    **dict.fromkeys((7, 8), _3_3),
    **dict.fromkeys((9, 10), _3_5),
    11: _3_7,
}
"""By `POOL_REVISION`."""


class Stake(NamedTuple):
    """What an account holds or owes of a reserve: its balance, the price of one token of `unit` raw units."""

    balance: int
    price: int
    unit: int


class Settlement(NamedTuple):
    """What is paid of the debt, what the liquidator gets of the collateral, and what the protocol gets of it."""

    covered: int
    seized: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One collateral and one debt of an account that may be liquidated; `owed` is all of its debt in base currency."""

    rules: Liquidating
    collateral: Stake
    debt: Stake
    bonus: int
    protocol_fee: int
    owed: int
    health_factor: int

    @property
    def close_factor(self) -> int:
        """Return the share that may be covered, in basis points: of this debt, or from 3.3 on at most of all debt."""
        if self.health_factor <= CLOSE_FACTOR_HEALTH_FACTOR:
            return PERCENT
        return PERCENT if self.rules.of_all and min(self._worth_of_both) < SMALL else HALF

    @property
    def coverable(self) -> int:
        """Return how much of the debt the close factor lets anybody cover."""
        debt = self.debt
        if self.close_factor == PERCENT:
            return debt.balance
        if not self.rules.of_all:
            return percent_mul(debt.balance, HALF)
        limit = percent_mul(self.owed, HALF)
        return limit * debt.unit // debt.price if self._worth_of_both[1] > limit else debt.balance

    def settled(self, cover: int) -> Settlement:
        """Return what comes of covering so much of the debt (`_calculateAvailableCollateralToLiquidate`)."""
        collateral, debt = self.collateral, self.debt
        bare = debt.price * cover * collateral.unit // (collateral.price * debt.unit)
        amount = self.rules.seized(bare, self.bonus)
        if amount > collateral.balance:
            amount = collateral.balance
            worth = collateral.price * amount * debt.unit // (debt.price * collateral.unit)
            cover = self.rules.needed(worth, self.bonus)
        fee = self.rules.fee(amount - self.rules.bare(amount, self.bonus), self.protocol_fee)
        return Settlement(covered=cover, seized=amount - fee, fee=fee)

    def allowed(self, cover: int) -> bool:
        """Tell whether so much may be covered: something, within the close factor, and without leaving dust."""
        return 0 < cover <= self.coverable and not self._leaves_dust(self.settled(cover))

    def most(self, cap: int | None = None) -> int:
        """Return the most that may be covered at once, 0 for nothing: less leaves more, so that the answer is found by halving."""
        return largest(self.allowed, self.coverable if cap is None else min(self.coverable, cap))

    def _leaves_dust(self, settled: Settlement) -> bool:
        left = self.debt.balance - settled.covered
        kept = self.collateral.balance - settled.seized - settled.fee
        if not self.rules.of_all or left <= 0 or kept <= 0:
            return False
        owed = self.rules.base(left * self.debt.price, self.debt.unit)
        return min(owed, kept * self.collateral.price // self.collateral.unit) < DUST

    @property
    def _worth_of_both(self) -> tuple[int, int]:
        collateral, debt = self.collateral, self.debt
        worth = collateral.balance * collateral.price // collateral.unit
        return worth, self.rules.base(debt.balance * debt.price, debt.unit)
