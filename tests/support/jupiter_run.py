"""One liquidation of a modelled vault of Jupiter Lend, from its top tick down (`liquidate`, `end_liquidate`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from chains.solana.jupiter_lend.maths import COLD_TICK, FOUR_DECIMALS, ONE_X48, ratio_at_tick, tick_at_ratio
from tests.support.jupiter_parts import (
    INITIAL_FACTOR,
    MIN_BRANCH,
    RATE,
    X30,
    ModelBranch,
    ModelState,
    ModelTick,
    Reverted,
    between,
    over,
    shrink,
)

PERFECT, MERGE, THRESHOLD = 1, 2, 3
"""Where a stretch of a liquidation ends: at a tick with debt, at the branch below, or as low as it may go."""


class Struck(Protocol):
    """What a liquidation changes of a vault."""

    state: ModelState
    branches: dict[int, ModelBranch]
    indebted: set[int]

    @property
    def ticks(self) -> Mapping[int, ModelTick]: ...

    def forget(self, tick: int) -> None: ...


class Run:
    """One liquidation, from the top tick down."""

    def __init__(self, vault: Struck, per_debt: int, lower: int, remaining: int) -> None:
        self.vault = vault
        self.per_debt = per_debt
        self.lower = lower
        self.remaining = remaining
        self.paid = self.taken = self.debt = self.col = 0
        self.number = self.factor = self.partials = 0

    def take_absorbed(self) -> None:
        state = self.vault.state
        if state.absorbed_debt > self.remaining:
            self.taken = state.absorbed_col * self.remaining // state.absorbed_debt
            state.absorbed_col -= self.taken
            self.paid = self.remaining
            state.absorbed_debt -= self.remaining
            self.remaining = 0
        else:
            self.taken, self.paid = state.absorbed_col, state.absorbed_debt
            self.remaining -= state.absorbed_debt
            state.absorbed_debt = state.absorbed_col = 0

    def go(self) -> None:
        state, vault = self.vault.state, self.vault
        tick, perfect = state.topmost_tick, not state.branch_liquidated
        self.number, data = state.current_branch, vault.branches[state.current_branch]
        self.factor, base_minima = data.factor or INITIAL_FACTOR, data.connected_minima
        ratio, following, first = ratio_at_tick(tick), tick if perfect else COLD_TICK, True
        if not perfect:
            ratio = between(tick, data.partials)
            if self.lower + 1 == tick and data.partials == 1:
                raise Reverted("VaultInvalidLiquidation")
        while True:
            self._take_in(tick, data.debt, ratio, perfect=perfect)
            if (following == tick and perfect) or first:
                first = False
                following = self._next(tick, perfect=perfect)
            end, kind = self._end(base_minima, following)
            base = vault.branches[data.connected] if kind == MERGE else None
            self.partials = X30 if base is None else base.partials
            end_ratio = ratio_at_tick(end) if base is None else between(end, base.partials)
            liquidated, seized = self._until(ratio, end_ratio)
            if liquidated >= self.remaining or kind == THRESHOLD:
                self._finish(liquidated, seized, end, kind)
                return
            kept = (self.debt - liquidated << 64) // self.debt
            self.remaining -= liquidated
            self._count(liquidated, seized)
            self.factor = shrink(self.factor, kept)
            if base is not None:
                self._merge(base, data.connected)
                data, base_minima = base, base.connected_minima
            tick, perfect, ratio = end, kind == PERFECT, end_ratio

    def _take_in(self, tick: int, branch_debt: int, ratio: int, *, perfect: bool) -> None:
        added = self.vault.ticks[tick].raw_debt if perfect else branch_debt
        if perfect:
            self.vault.ticks[tick].liquidate(self.number, self.factor)
        self.debt += added
        self.col += added * ONE_X48 // ratio

    def _until(self, ratio: int, end_ratio: int) -> tuple[int, int]:
        """Return how much debt is paid, and collateral taken, until a ratio is reached."""
        numerator = (self.debt - end_ratio * self.debt // ratio) * RATE
        denominator = RATE - self.per_debt * end_ratio // ONE_X48
        if denominator < 0:
            raise Reverted("LibraryMathError")
        liquidated = numerator // denominator
        seized = liquidated * self.per_debt // RATE
        return liquidated - (liquidated == self.debt), seized

    def _merge(self, base: ModelBranch, number: int) -> None:
        merged = self.vault.branches[self.number]
        merged.status, merged.factor = 2, over(base.factor, self.factor)
        merged.minima_tick, merged.partials, merged.debt = COLD_TICK, 0, 0
        self.number, self.factor = number, base.factor

    def _next(self, tick: int, *, perfect: bool) -> int:
        """The next tick with debt; one that is liquidated is not in the list, but those of its own 256 above it may be."""
        if perfect:
            self.vault.forget(tick)
        last = tick if perfect else (tick + 16383) // 256 * 256 + 255 - 16383
        return max((each for each in self.vault.indebted if each <= last), default=COLD_TICK)

    def _end(self, base_minima: int, following: int) -> tuple[int, int]:
        if base_minima > following and base_minima > self.lower:
            return base_minima, MERGE
        return (following, PERFECT) if following > self.lower else (self.lower, THRESHOLD)

    def _finish(self, liquidated: int, seized: int, end: int, kind: int) -> None:
        tick, partials = end + 1, 1
        if liquidated >= self.remaining:
            liquidated = self.remaining
            seized = liquidated * self.per_debt // RATE
            tick, partials = self._stopped_at(liquidated, seized, end, kind)
        kept = (self.debt - liquidated << 64) // self.debt
        self._count(liquidated, seized)
        factor = shrink(self.factor, kept)
        if self.debt < MIN_BRANCH:
            raise Reverted("VaultBranchDebtTooLow")
        branch, state = self.vault.branches[self.number], self.vault.state
        branch.status, branch.minima_tick, branch.partials = 1, tick, partials
        branch.debt, branch.factor = self.debt, factor
        state.branch_liquidated, state.topmost_tick, state.current_branch = True, tick, self.number

    def _stopped_at(self, liquidated: int, seized: int, end: int, kind: int) -> tuple[int, int]:
        """Return the tick, and its part, at which what was to be paid is paid."""
        ratio = (self.debt - liquidated) * ONE_X48 // (self.col - seized)
        tick, below = tick_at_ratio(ratio)
        if tick < end and self.partials == X30:
            return tick + 2, 1
        tick += 1
        before = self.partials if kind == MERGE and tick == end else 0
        whole = below * 10015 // FOUR_DECIMALS
        partials = min(max((ratio - below) * X30 // (whole - below), 1), X30 - 1)
        if before and before >= partials:
            raise Reverted("VaultLiquidationReverts")
        return tick, partials

    def _count(self, liquidated: int, seized: int) -> None:
        self.col -= seized
        self.taken += seized
        self.paid += liquidated
        self.debt -= liquidated
        if self.col < 0 or self.debt < 0:
            raise Reverted("LibraryMathError")
