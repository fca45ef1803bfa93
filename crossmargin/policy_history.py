"""The policies of one store in the order in which they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aggregator.governance.terms import Terms
from aggregator.margin.stamp import PolicyStamp
from indexer.store import PolicyRow

BEGINNING = 0

FileState = Literal["in force", "scheduled", "superseded", "strange"]
"""What the file of the configuration is to the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A policy of the ledger, read; `row` is `None` for the file of a configuration that no ledger has yet."""

    terms: Terms
    effective_from: int
    row: PolicyRow | None = None

    @property
    def stamp(self) -> PolicyStamp:
        since = None if self.effective_from == BEGINNING else self.effective_from
        return PolicyStamp(version=self.terms.head.version, effective_from=since)

    @property
    def is_withdrawn(self) -> bool:
        return self.row is not None and self.row.withdrawal is not None

    @property
    def stored(self) -> PolicyRow:
        """The entry of the ledger, where it has one."""
        if self.row is None:
            raise ValueError(f"policy {self.named} is in no ledger")
        return self.row

    @property
    def named(self) -> str:
        """The policy in words."""
        version = self.terms.head.version
        return f'"{version}"' if version else f"without a version, {self.terms.digest[:19]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The policies of a store that count or will, in their order; there is always one."""

    entries: tuple[Entry, ...]
    withdrawn: tuple[Entry, ...] = ()
    """Those that were taken back before they counted."""

    def named(self, version: str | None) -> tuple[Entry, ...]:
        """Return all that ever had a version, withdrawn ones too."""
        every = (*self.entries, *self.withdrawn)
        return tuple(entry for entry in every if version is not None and entry.terms.head.version == version)

    def without(self, entry: Entry) -> History:
        """Return the history as it were had an entry been withdrawn."""
        return History(
            entries=tuple(other for other in self.entries if other is not entry), withdrawn=(*self.withdrawn, entry)
        )

    def at(self, time: int) -> Entry:
        """Return the policy in force at a moment; before the first one counts, that is the first."""
        begun = [entry for entry in self.entries if entry.effective_from <= time]
        return begun[-1] if begun else self.entries[0]

    def after(self, time: int) -> tuple[Entry, ...]:
        """Return what comes into force after a moment."""
        return tuple(entry for entry in self.entries if entry.effective_from > time)

    def state_of(self, terms: Terms, now: int) -> FileState:
        """Say what a file is to this history."""
        if terms.governs_like(self.at(now).terms):
            return "in force"
        if any(terms.governs_like(entry.terms) for entry in self.after(now)):
            return "scheduled"
        return "superseded" if any(terms.governs_like(entry.terms) for entry in self.entries) else "strange"
