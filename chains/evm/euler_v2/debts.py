"""Debts from events alone (source: `BorrowUtils`): what each log of a vault did to whose debt, and whether the vault says the same.

A vault logs assets, rounded up; it keeps 2^-31 of a raw unit. `Liquidate` and `PullDebt` move debt from one account to another: the
`Repay` and the `Borrow` before them are that one movement. Logs of a movement stand together, as a vault cannot be entered twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from chains.evm.abi import LoggedEvent
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.maths import DEBT_SHIFT, Debt, Status, assets_up

DUST = 1 << DEBT_SHIFT


class Moved(NamedTuple):
    """Debt of `amount` raw units that went from one account to another, and what of the first one's rest was written off."""

    row: LoggedEvent
    source: bytes
    target: bytes
    amount: int
    socialized: int


class Changed(NamedTuple):
    """An account whose debt is another after a log."""

    row: LoggedEvent
    account: bytes
    debt: Debt


@dataclass(slots=True)
class Book:
    """One vault's debts while its logs go by: `load` gives an account's last known debt."""

    status: Status
    load: Callable[[bytes], Debt]
    store: Callable[[Changed], None]

    def settle(self, logged: Sequence[LoggedEvent], moved: Moved | None) -> list[LoggedEvent]:
        """Take in logs of one transaction of this vault, which end with a movement or not; returns those that were no part of it.

        Raises `OutOfStep` where the vault says something else than what follows from its logs.
        """
        own, rest = _parted(logged, moved)
        told = Counter[bytes]()
        for row in logged:
            if row.event is ev.INTEREST_ACCRUED:
                told[row.args[0]] += row.args[1]
        found = Counter[bytes]()
        for row in rest:
            account, amount = row.args
            found[account] += (
                self._borrowed(row, account, amount) if row.event is ev.BORROW else self._repaid(row, account, amount)
            )
        if moved is not None:
            found.update(self._moved(moved, {row.event: row.args[1] for row in own}))
        if +told != +found or -found:
            raise OutOfStep("interest that accounts were charged is another than its events say")
        return rest

    def _borrowed(self, row: LoggedEvent, account: bytes, amount: int) -> int:
        before = self.load(account)
        owed = before.at(self.status.accumulator) + (amount << DEBT_SHIFT)
        self._keep(row, account, owed)
        self.status = replace(self.status, borrows=self.status.borrows + (amount << DEBT_SHIFT))
        return assets_up(owed) - assets_up(before.owed) - amount

    def _repaid(self, row: LoggedEvent, account: bytes, amount: int) -> int:
        """Let an account owe what it owed, rounded up, less an amount (`decreaseBorrow`)."""
        before = self.load(account)
        exact = before.at(self.status.accumulator)
        if amount > assets_up(exact):
            raise OutOfStep("more was repaid than was owed")
        owed = (assets_up(exact) - amount) << DEBT_SHIFT
        self._keep(row, account, owed)
        others = self.status.borrows - exact
        self.status = replace(self.status, borrows=owed + max(others, 0))
        return assets_up(owed) + amount - assets_up(before.owed)

    def _moved(self, moved: Moved, said: dict[object, int]) -> dict[bytes, int]:
        """Let debt change hands, and write off what is left; a liquidation for nothing leaves both debts as they stand."""
        interest = Counter(self._transferred(moved, said) if moved.amount else {})
        if moved.socialized:
            interest[moved.source] += self._repaid(moved.row, moved.source, moved.socialized)
        return interest

    def _transferred(self, moved: Moved, said: dict[object, int]) -> dict[bytes, int]:
        """Move debt (`transferBorrow`): all of it where less than a raw unit would be left or lacks."""
        giver, taker = self.load(moved.source), self.load(moved.target)
        exact = giver.at(self.status.accumulator)
        amount = moved.amount << DEBT_SHIFT
        if abs(amount - exact) < DUST:
            amount = exact
        if amount > exact:
            raise OutOfStep("more debt was moved than was owed")
        left, taken = exact - amount, taker.at(self.status.accumulator) + amount
        self._keep(moved.row, moved.source, left)
        self._keep(moved.row, moved.target, taken)
        return {
            moved.source: assets_up(left) + said.get(ev.REPAY, 0) - assets_up(giver.owed),
            moved.target: assets_up(taken) - said.get(ev.BORROW, 0) - assets_up(taker.owed),
        }

    def _keep(self, row: LoggedEvent, account: bytes, owed: int) -> None:
        self.store(Changed(row, account, Debt(owed=owed, accumulator=self.status.accumulator)))


class OutOfStep(Exception):
    """A vault computes in another way than this folder."""


def movement(row: LoggedEvent, logged: Sequence[LoggedEvent]) -> Moved:
    """Read a `Liquidate` or a `PullDebt`, with what was written off since the vault's last movement."""
    if row.event is ev.PULL_DEBT:
        source, target, amount = row.args
        return Moved(row, source, target, amount, 0)
    target, source, _, amount, _ = row.args
    written_off = sum(log.args[1] for log in logged if log.event is ev.DEBT_SOCIALIZED and log.args[0] == source)
    return Moved(row, source, target, amount, written_off)


def _parted(logged: Sequence[LoggedEvent], moved: Moved | None) -> tuple[list[LoggedEvent], list[LoggedEvent]]:
    """Part borrows and repays into those that a movement consists of and the others, each in chain order."""
    rest = [row for row in logged if row.event in {ev.BORROW, ev.REPAY}]
    if moved is None:
        return [], rest
    if moved.socialized:
        _take(rest, ev.REPAY, moved.source)
    taken = [_take(rest, ev.BORROW, moved.target), _take(rest, ev.REPAY, moved.source)] if moved.amount else []
    return [row for row in taken if row is not None], rest


def _take(rest: list[LoggedEvent], event: object, account: bytes) -> LoggedEvent | None:
    """Take the last log out, if it is this event of this account."""
    return rest.pop() if rest and rest[-1].event is event and rest[-1].args[0] == account else None
