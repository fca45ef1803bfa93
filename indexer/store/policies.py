"""The ledger of policies: whatever is entered stays as it was entered."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from typing import Any

from indexer.store.session import Con, insert
from indexer.store.statements import statement


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """That a policy was taken back before it counted: at a moment (Unix seconds), by whom and why."""

    at: int
    who: str
    note: str
    emergency: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A policy: its `canonical` rules and their `digest`, the file that said them (`source`), and how it came to count.

    `effective_from` and `logged_at` in Unix seconds, 0: from the beginning; `manner`: `first`, `scheduled` or `accepted`.
    """

    digest: str
    version: str | None
    canonical: str
    source: str
    effective_from: int
    logged_at: int
    note: str
    approved_by: str
    who: str
    manner: str
    emergency: bool
    withdrawal: Withdrawal | None = None


SAID = tuple(column.name for column in fields(PolicyRow))[:-1]
"""What an entry says of itself."""


class PolicyLedger:
    """The ledger within a transaction: what is asked and what is added are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def rows(self) -> list[PolicyRow]:
        """Return every entry, in the order in which they were made."""
        return policies(self._con)

    def add(self, row: PolicyRow) -> None:
        """Enter a policy."""
        insert(self._con, "policy", (len(self.rows()) + 1, *astuple(row)[: len(SAID)]))

    def withdraw(self, row: PolicyRow, withdrawal: Withdrawal) -> PolicyRow:
        """Enter that a policy was taken back, and return it so; the entry itself stays as it is."""
        entry = self.rows().index(row) + 1
        insert(self._con, "policy_withdrawal", (entry, *astuple(withdrawal)))
        return replace(row, withdrawal=withdrawal)


def policies(con: Con) -> list[PolicyRow]:
    """Return every policy of the ledger, in the order in which they were entered."""
    return [_row(row) for row in con.execute(statement("policies")).fetchall()]


def _row(values: tuple[Any, ...]) -> PolicyRow:
    said, taken_back = values[: len(SAID)], values[len(SAID) :]
    withdrawal = None if taken_back[0] is None else Withdrawal(*taken_back)
    return PolicyRow(**dict(zip(SAID, said, strict=True)), withdrawal=withdrawal)
