"""A model of a vault of Jupiter Lend that really executes: positions are opened, changed, liquidated, absorbed, and branches merge.

Written from the vaults program's Rust source of February 2026 (`operate`, `liquidate`, `absorb`, `end_liquidate`, `add_debt_to_tick`,
`set_top_tick`, the lists of ticks with debt as one set), apart from the code under test: it has big numbers and a way to follow a position
of its own, and shares only the ticks' ratios. What the program refuses raises `Reverted`, and the vault is as before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from chains.solana.jupiter_lend.maths import COLD_TICK, FOUR_DECIMALS, ONE_X48, Refused, ratio_at_tick, tick_at_ratio
from tests.support.jupiter_parts import (
    BILLION,
    FULL,
    MIN_BRANCH,
    MIN_DEBT,
    MIN_TICK_DEBT,
    PRICE,
    RATE,
    Fetched,
    ModelBranch,
    ModelPosition,
    ModelState,
    ModelTick,
    Reverted,
    Terms,
    between,
    part_of,
    product_of,
)
from tests.support.jupiter_run import Run

T = TypeVar("T")


@dataclass
class ModelVault:
    """One vault, with tokens of nine decimals."""

    terms: Terms = field(default_factory=Terms)
    supply_price: int = PRICE
    borrow_price: int = PRICE
    state: ModelState = field(default_factory=ModelState)
    ticks: dict[int, ModelTick] = field(default_factory=dict)
    earlier: dict[tuple[int, int], tuple[bool, int, int]] = field(default_factory=dict)
    branches: dict[int, ModelBranch] = field(default_factory=lambda: {1: ModelBranch()})
    indebted: set[int] = field(default_factory=set)
    positions: dict[int, ModelPosition] = field(default_factory=dict)

    # Instructions

    def open(self) -> int:
        number = len(self.positions) + 1
        self.positions[number] = ModelPosition()
        return number

    def operate(self, number: int, new_col: int, new_debt: int, rate: int) -> None:
        """Change a position: raw amounts of nine decimals, below zero for a withdrawal or a payback."""
        self._atomic(lambda: self._operate(number, new_col, new_debt, rate))

    def liquidate(self, debt: int, rate: int, *, absorb: bool = False) -> tuple[int, int]:
        """Pay so much debt of whoever stands highest; returns (raw collateral taken, raw debt paid)."""
        return self._atomic(lambda: self._liquidate(debt, rate, absorb=absorb))

    def fetch(self, number: int) -> Fetched:
        """What the next instruction would find of a position."""
        return copy.deepcopy(self)._fetch(self.positions[number])[0]

    def _atomic(self, instruction: Callable[[], T]) -> T:
        names = ("state", "ticks", "earlier", "branches", "indebted", "positions")
        before = {name: copy.deepcopy(getattr(self, name)) for name in names}
        try:
            return instruction()
        except (Reverted, Refused, ZeroDivisionError, OverflowError) as error:
            for name, value in before.items():
                setattr(self, name, value)
            raise Reverted(str(error)) from error

    # Operate

    def _fetch(self, position: ModelPosition) -> tuple[Fetched, int | None, bool]:
        """Return what a position is now, its net debt; the branch that it is in, if it was liquidated; and whether all was lost."""
        if position.supply_only:
            return Fetched(position.supply, 0, COLD_TICK), None, False
        debt = (ratio_at_tick(position.tick) * (position.supply + 1) >> 48) + 1
        tick = self.ticks[position.tick]
        if not tick.liquidated and tick.total_ids <= position.tick_id:
            return Fetched(position.supply, debt - position.dust, position.tick), None, False
        if tick.total_ids == position.tick_id:
            fully, branch, connection = tick.fully, tick.branch, tick.factor
        else:
            fully, branch, connection = self.earlier[position.tick, position.tick_id]
        supply, now, at = self._pass_through(debt, branch, connection, fully=fully)
        if now[0] > position.dust:
            return Fetched(supply, now[0] - position.dust, at), now[1], False
        return Fetched(0, 0, COLD_TICK), None, True

    def _pass_through(
        self, debt: int, number: int, connection: int, *, fully: bool
    ) -> tuple[int, tuple[int, int], int]:
        if fully:
            return 0, (0, number), COLD_TICK
        branch = self.branches[number]
        while branch.status == 2:
            connection = product_of(connection, branch.factor)
            if connection == FULL:
                break
            number = branch.connected
            branch = self.branches[number]
        if branch.status == 3 or connection == FULL:
            return 0, (0, number), COLD_TICK
        left = part_of(debt, branch.factor, connection)
        left = left * 9999 // 10000 if left > debt // 100 else 0
        if left == 0:
            return 0, (0, number), COLD_TICK
        return left * ONE_X48 // between(branch.minima_tick, branch.partials), (left, number), branch.minima_tick

    def _operate(self, number: int, new_col: int, new_debt: int, rate: int) -> None:
        if not (new_col or new_debt) or any(0 < abs(amount) < 1000 for amount in (new_col, new_debt)):
            raise Reverted("VaultInvalidOperateAmount")
        position, top = self.positions[number], self.state.topmost_tick
        found = self._leave(position)
        top = self.state.topmost_tick if top == position.tick else top
        old_col, old_debt = found.supply, found.debt
        col, debt = self._changed(old_col, old_debt, new_col, new_debt)
        dust, tick, tick_id = 0, COLD_TICK, 0 if position.supply_only else position.tick_id
        if debt > 0:
            tick, tick_id, debt, dust = self._join(col, debt * (BILLION + 1) // BILLION + 1)
            net = debt - dust
            if new_debt < 0 and net > old_debt:
                raise Reverted("VaultInvalidPaybackOrDeposit")
            if new_col > 0 and new_debt == 0 and net * ONE_X48 // col > old_debt * ONE_X48 // old_col:
                raise Reverted("VaultInvalidPaybackOrDeposit")
            if tick >= top:
                self._raise_top(tick)
            self._must_be_safe(tick, rate, takes=new_col < 0 or new_debt > 0)
        self.positions[number] = ModelPosition(tick == COLD_TICK, tick, tick_id, col, dust)
        self.state.total_supply += col - old_col
        self.state.total_borrow += debt - dust - old_debt
        if self.state.total_supply < 0 or self.state.total_borrow < 0:
            raise Reverted("LibraryMathError")

    def _leave(self, position: ModelPosition) -> Fetched:
        """Take a position out of its tick or branch."""
        found, branch, lost = self._fetch(position)
        if position.supply_only:
            return found
        tick = self.ticks[position.tick]
        if branch is not None:
            held = self.branches[branch]
            gross = found.debt + position.dust
            held.debt = MIN_BRANCH if gross + MIN_BRANCH > held.debt else held.debt - gross
        elif lost:
            self.state.absorbed_dust += position.dust
        elif tick.raw_debt == 0:
            raise Reverted("VaultTickIsEmpty")
        else:
            left = max(tick.raw_debt - (found.debt + position.dust), 0)
            if left < MIN_TICK_DEBT:
                left = 0
                self._clear(position.tick)
            tick.raw_debt = left
        return found

    def _clear(self, tick: int) -> None:
        if tick == self.state.topmost_tick:
            self._lower_top()
        self.indebted.discard(tick)

    def _changed(self, col: int, debt: int, new_col: int, new_debt: int) -> tuple[int, int]:
        if new_col > 0:
            col += new_col * PRICE // self.supply_price
        elif new_col < 0:
            taken = -(new_col * PRICE // self.supply_price)
            if taken > col:
                raise Reverted("VaultExcessCollateralWithdrawal")
            col -= taken
        if new_debt > 0:
            borrowed = -(-new_debt * PRICE // self.borrow_price)
            debt += borrowed - (-borrowed * self.terms.borrow_fee // FOUR_DECIMALS)
        elif new_debt < 0:
            paid = -new_debt * PRICE // self.borrow_price - 1
            if paid > debt:
                raise Reverted("VaultExcessDebtPayback")
            debt -= paid
        return col, debt

    def _join(self, col: int, net: int) -> tuple[int, int, int, int]:
        """`add_debt_to_tick`: tick, its id, the debt that the tick says, and by how much that is more."""
        if net < MIN_DEBT:
            raise Reverted("VaultUserDebtTooLow")
        number, ratio = tick_at_ratio(net * ONE_X48 // col)
        number += 1
        debt = (ratio * 10015 // FOUR_DECIMALS) * col >> 48
        if debt < net:
            raise Reverted("LibraryMathError")
        tick = self.ticks.setdefault(number, ModelTick())
        if tick.total_ids > 0 and not tick.liquidated:
            if tick.raw_debt == 0:
                self.indebted.add(number)
            in_tick = tick.raw_debt + debt
        else:
            if tick.total_ids > 0:
                self.earlier[number, tick.total_ids] = (tick.fully, tick.branch, tick.factor)
            in_tick = debt
            self.indebted.add(number)
            tick.total_ids += 1
        if in_tick < MIN_DEBT:
            raise Reverted("VaultTickDebtTooLow")
        self.ticks[number] = ModelTick(total_ids=tick.total_ids, raw_debt=in_tick)
        return number, tick.total_ids, debt, debt - net

    def _raise_top(self, tick: int) -> None:
        state = self.state
        if state.branch_liquidated:
            number = state.total_branches + 1
            self.branches[number] = ModelBranch(connected=state.current_branch, connected_minima=state.topmost_tick)
            state.total_branches = state.current_branch = number
            state.branch_liquidated = False
        state.topmost_tick = tick

    def _lower_top(self) -> None:
        """`set_top_tick`: after the last debt of the top tick has left."""
        state, branch = self.state, self.branches[self.state.current_branch]
        following = max((tick for tick in self.indebted if tick < state.topmost_tick), default=COLD_TICK)
        self.forget(state.topmost_tick)
        if max(branch.connected_minima, following) == COLD_TICK:
            state.topmost_tick, state.branch_liquidated = COLD_TICK, False
        elif following >= branch.connected_minima:
            state.topmost_tick, state.branch_liquidated = following, False
        else:
            number = state.current_branch
            state.branch_liquidated, state.topmost_tick = True, branch.connected_minima
            state.current_branch = branch.connected
            self.branches[number] = ModelBranch()
            state.total_branches = number - 1

    def forget(self, tick: int) -> None:
        """`clear_bits`: a tick, and those above it in the same 256, have no debt any more."""
        last = (tick + 16383) // 256 * 256 + 255 - 16383
        self.indebted -= {each for each in self.indebted if tick <= each <= last}

    def _must_be_safe(self, tick: int, rate: int, *, takes: bool) -> None:
        per_col = min(rate * self.supply_price // self.borrow_price, 10**26)
        factor = self.terms.collateral_factor if takes else self.terms.threshold
        if tick > tick_at_ratio(per_col * factor // 1000 * ONE_X48 // RATE)[0]:
            raise Reverted("VaultPositionAboveCF")

    # Liquidate

    def ticks_at(self, rate: int) -> tuple[int, int, int]:
        """Return (raw collateral for raw debt, times 10^15, the tick of liquidation, the highest tick)."""
        per_col = min(rate * self.supply_price // self.borrow_price, 10**26)
        rounded_up = -(-rate * self.supply_price // self.borrow_price)
        per_debt = RATE**2 // rounded_up * (FOUR_DECIMALS + self.terms.penalty) // FOUR_DECIMALS
        ratio = per_col * ONE_X48 // RATE
        limits = (self.terms.threshold, self.terms.max_limit)
        lower, upper = (tick_at_ratio(ratio * each // 1000)[0] for each in limits)
        return per_debt, lower, upper

    def _liquidate(self, amount: int, rate: int, *, absorb: bool) -> tuple[int, int]:
        if self.state.topmost_tick == COLD_TICK:
            raise Reverted("VaultTopTickDoesNotExist")
        per_debt, lower, upper = self.ticks_at(rate)
        if self.state.topmost_tick > upper:
            self._absorb(upper)
            if amount == 0:
                return 0, 0
        if amount < MIN_DEBT:
            raise Reverted("VaultInvalidLiquidationAmt")
        remaining = amount * PRICE // self.borrow_price
        if self.state.total_borrow // BILLION > remaining:
            raise Reverted("VaultInvalidLiquidationAmt")
        run = Run(self, per_debt, lower, remaining)
        if absorb:
            run.take_absorbed()
        if self.state.topmost_tick > lower and run.remaining > 0:
            run.go()
        if run.paid == 0:
            raise Reverted("VaultInvalidLiquidation")
        self.state.total_supply -= run.taken
        self.state.total_borrow -= run.paid
        if self.state.total_supply < 0 or self.state.total_borrow < 0:
            raise Reverted("LibraryMathError")
        return run.taken, run.paid

    def _absorb(self, upper: int) -> None:
        state = self.state
        col = debt = 0
        for tick in sorted((each for each in self.indebted if each > upper), reverse=True):
            owed = self.ticks[tick].raw_debt
            debt += owed
            col += owed * ONE_X48 // ratio_at_tick(tick)
            self.ticks[tick].liquidate(0, 0)
            self.ticks[tick].fully = True
            self.forget(tick)
        following = max(self.indebted, default=COLD_TICK)
        number, spare = state.current_branch, 0
        minima = self.branches[number].minima_tick
        if not state.branch_liquidated:
            spare = number
            number, minima = self._base_of(number)
        while minima > upper:
            branch = self.branches[number]
            debt += branch.debt
            col += branch.debt * ONE_X48 // between(minima, branch.partials)
            branch.status = 3
            number, minima = self._base_of(number)
        if following >= minima:
            state.topmost_tick = following
            if spare == 0:
                state.total_branches += 1
                state.current_branch = spare = state.total_branches
            state.branch_liquidated = False
            self.branches[spare] = (
                ModelBranch(connected=number, connected_minima=minima) if minima > COLD_TICK else ModelBranch()
            )
        else:
            state.branch_liquidated, state.topmost_tick, state.current_branch = True, minima, number
            if spare:
                state.total_branches = spare - 1
                self.branches[spare] = ModelBranch()
        state.absorbed_col += col
        state.absorbed_debt += debt

    def _base_of(self, number: int) -> tuple[int, int]:
        branch = self.branches[number]
        if branch.connected_minima == COLD_TICK:
            return 0, COLD_TICK
        return branch.connected, branch.connected_minima
