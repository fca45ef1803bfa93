"""A position as its vault's `liquidate` takes it: down to the vault's tick at the oracle's rate and the penalty, or whole.

Source: the vaults program's `liquidate`, `absorb` and `end_liquidate` (February 2026). The program liquidates whoever stands highest, all
of a tick alike: of one position what it would be of all, but for the last bits of what many share. A position above the highest limit
is absorbed: its debt may be paid for its collateral, which is simulated where that is worth more. Exchange prices stay as at the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Self

from chains.liquidating import BASIS_POINTS, UNMOVED, WAD, Lot, Portion, Taken, Times, amount_of
from chains.model import Side
from chains.solana.jupiter_lend.lookups import RAW_DECIMALS, Vault
from chains.solana.jupiter_lend.maths import (
    COLD_TICK,
    FOUR_DECIMALS,
    FULL_PARTIALS,
    ONE_X48,
    SPACING,
    Refused,
    div_up,
    ratio_at_tick,
    ratio_with_partials,
    tick_at_ratio,
)
from chains.solana.jupiter_lend.oracle import RATE_ONE
from chains.solana.jupiter_lend.rates import PRICE_ONE, Prices
from chains.solana.jupiter_lend.settle import Settled
from chains.solana.jupiter_lend.vaults import Limits, Shares, limits_at, per_collateral

LEAST = 1_000
"""Raw debt that a liquidation pays at least."""

ROUNDED_UP = SPACING + 1
"""Basis points of a debt that count at most: it stands at the upper end of a tick, and the vault's limit at the lower end of one."""

_BPS_OF_THOUSANDTH = 10


class Rules(NamedTuple):
    """What a vault says of all its positions. `bonus`: basis points of collateral for a debt's worth, the penalty included."""

    vault: Vault
    decimals: Mapping[str, int]
    prices: Prices
    shares: Shares
    bonus: int


class Struck(NamedTuple):
    """What one liquidation comes to, raw units, and where the position stands then; `absorbed`: it is taken whole, bit by bit."""

    paid: int
    seized: int
    left: Settled
    absorbed: bool


@dataclass(frozen=True, slots=True)
class Liquidable:
    """One position: `dust` is how much less it owes than its tick says, `rate` the oracle's at the moment, `first` that at the block."""

    rules: Rules
    now: Settled
    dust: int
    rate: int
    first: int
    absorbed: bool = False

    rule = "jupiter_lend"
    owed_limit = None

    @property
    def base_asset(self) -> bytes | None:
        return self.rules.vault.loan

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        amount = self._tokens(Side.SUPPLY, self.now.supply)
        threshold = self.rules.shares.threshold * _BPS_OF_THOUSANDTH
        return (self._lot(Side.SUPPLY, amount, self.first, threshold),) if amount else ()

    @property
    def debts(self) -> tuple[Lot, ...]:
        amount = self._tokens(Side.BORROW, self.now.debt)
        return (self._lot(Side.BORROW, amount, RATE_ONE, ROUNDED_UP),) if amount else ()

    @property
    def health_factor_wad(self) -> int | None:
        limits = self.limits
        if limits is None:
            return None
        if not self.now.debt:
            return WAD * WAD
        found = health_of(self.now, limits)
        return min(found, WAD - 1) if self.absorbed else found

    def moved(self, times: Times) -> Self:
        """Move the oracle's rate by both tokens."""
        vault = self.rules.vault
        by = times.get(vault.collateral, UNMOVED) / times.get(vault.loan, UNMOVED)
        return replace(self, rate=max(round(self.first * Fraction(by)), 1))

    def incentive(self, collateral: bytes) -> float:
        del collateral
        return self.rules.bonus / BASIS_POINTS

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        del collateral, debt
        found = self.struck(cap)
        paid = 0 if found is None else self._tokens(Side.BORROW, found.paid)
        return paid if cap is None else min(paid, cap)

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        found = self.struck(None)
        if found is None or self._tokens(Side.BORROW, found.paid) > cover:
            found = self.struck(cover)
        if found is None:
            raise Refused("VaultInvalidLiquidation")
        left = replace(self, now=found.left, absorbed=found.absorbed, dust=self.dust if found.left.debt else 0)
        gone = amount_of(self.collaterals, collateral) - amount_of(left.collaterals, collateral)
        seized = min(self._tokens(Side.SUPPLY, found.seized), gone)
        done = Taken(
            paid=Portion(debt, self._tokens(Side.BORROW, found.paid)),
            seized=(Portion(collateral, seized),),
            relieved=(Portion(debt, amount_of(self.debts, debt) - amount_of(left.debts, debt)),),
            fee=(Portion(collateral, gone - seized),) if gone > seized else (),
        )
        return left, done

    def struck(self, amount: int | None) -> Struck | None:
        """Return what paying up to `amount` raw token units comes to, `None` for all that may be; `None` where the program refuses."""
        limits = self.limits
        room = None if amount is None else self._raw(amount)
        if limits is None or not self.now.debt or (room is not None and room < LEAST):
            return None
        try:
            if self.absorbed or self.now.tick > limits.max_tick:
                return self._absorbed(room)
            return self._liquidated(limits, room) if is_liquidatable(self.now, limits.liquidation_tick) else None
        except (Refused, ZeroDivisionError):
            return None

    def _absorbed(self, room: int | None) -> Struck | None:
        """Pay a debt for the same part of the collateral, where that is worth more."""
        debt, supply = self.now.debt, self.now.supply
        if supply * per_collateral(self.rate, self.rules.prices) <= debt * RATE_ONE:
            return None
        paid = debt if room is None else min(room, debt)
        seized = supply * paid // debt
        left = self.now._replace(supply=supply - seized, debt=debt - paid) if paid < debt else Settled(0, 0, COLD_TICK)
        return Struck(paid, seized, left, absorbed=True)

    def _liquidated(self, limits: Limits, room: int | None) -> Struck | None:
        """Bring a position down to the vault's tick, or as far as somebody pays."""
        gross, per_debt = self.now.debt + self.dust, self._per_debt()
        ratio, end = self._ratio(), ratio_at_tick(limits.liquidation_tick)
        kept = RATE_ONE - per_debt * end // ONE_X48
        if kept <= 0:
            return None
        paid = (gross - end * gross // ratio) * RATE_ONE // kept
        paid -= paid == gross
        tick, partials = limits.liquidation_tick + 1, 1
        if room is not None and room < paid:
            paid = room
            supply = gross * ONE_X48 // ratio
            tick, partials = _stopped_at((gross - paid) * ONE_X48 // (supply - paid * per_debt // RATE_ONE))
        if paid <= 0:
            return None
        return Struck(paid, paid * per_debt // RATE_ONE, self._left(gross - paid, tick, partials), absorbed=False)

    def _left(self, gross: int, tick: int, partials: int) -> Settled:
        """Return what a position is found to be after a liquidation; the first one leaves a ten-thousandth of it to nobody."""
        found = gross if self.now.liquidated else gross * (FOUR_DECIMALS - 1) // FOUR_DECIMALS
        supply = found * ONE_X48 // ratio_with_partials(tick, partials)
        if found <= self.dust:
            return Settled(0, 0, COLD_TICK, liquidated=True)
        return Settled(min(supply, self.now.supply), found - self.dust, tick, liquidated=True, partials=partials)

    def _ratio(self) -> int:
        partials = self.now.partials
        return ratio_at_tick(self.now.tick) if partials is None else ratio_with_partials(self.now.tick, partials)

    def _per_debt(self) -> int:
        """Return raw collateral for raw debt, the penalty included, times 10^15."""
        worth = div_up(self.rate * self.rules.prices.supply, self.rules.prices.borrow)
        return RATE_ONE**2 // worth * self.rules.bonus // FOUR_DECIMALS

    @property
    def limits(self) -> Limits | None:
        """Up to where positions may stand at the rate of the moment, `None` where the program has no answer."""
        try:
            return limits_at(self.rate, self.rules.prices, self.rules.shares)
        except Refused:
            return None

    def _tokens(self, side: Side, raw: int) -> int:
        """Return an amount with interest in raw token units: collateral down, debt up."""
        scale = self._scale(side)
        if side is Side.SUPPLY:
            return raw * self.rules.prices.supply // PRICE_ONE // scale
        return div_up(div_up(raw * self.rules.prices.borrow, PRICE_ONE), scale)

    def _raw(self, tokens: int) -> int:
        """Return how much raw debt so many raw token units pay, down."""
        return tokens * self._scale(Side.BORROW) * PRICE_ONE // self.rules.prices.borrow

    def _scale(self, side: Side) -> int:
        scale: int = 10 ** (RAW_DECIMALS - self.rules.decimals[side])
        return scale

    def _lot(self, side: Side, amount: int, price: int, threshold: int) -> Lot:
        market, asset = self.rules.vault.side(side)
        return Lot(market, asset, self.rules.decimals[side], amount, price, RATE_ONE, threshold)


def health_of(now: Settled, limits: Limits) -> int:
    """Return the ratio at which a position may be liquidated over its own, below 1e18 just where it may be."""
    health = limits.threshold * WAD * now.supply // (now.debt * ONE_X48)
    return min(health, WAD - 1) if is_liquidatable(now, limits.liquidation_tick) else max(health, WAD)


def is_liquidatable(now: Settled, liquidation_tick: int) -> bool:
    """Tell whether a liquidation would reach a position: its tick is above the vault's.

    One that was liquidated down to the very edge, the first part above the vault's tick, is left alone (`liquidate`).
    """
    return now.tick > liquidation_tick and not (now.tick == liquidation_tick + 1 and now.partials == 1)


def _stopped_at(ratio: int) -> tuple[int, int]:
    """Return the tick that a ratio lies below, and its part."""
    tick, below = tick_at_ratio(ratio)
    whole = below * SPACING // FOUR_DECIMALS
    return tick + 1, min(max((ratio - below) * FULL_PARTIALS // (whole - below), 1), FULL_PARTIALS - 1)
