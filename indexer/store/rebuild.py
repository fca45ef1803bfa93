"""Deriving everything of a chain again from its raw rows: in one transaction, so that it happened or it did not."""

from __future__ import annotations

from contextlib import nullcontext

from chains.ports import Batch, StateReader
from indexer.store.apply import Cursor, check_rows, cursor
from indexer.store.errors import StepRefused
from indexer.store.journals import DERIVED, derive
from indexer.store.makers import note_rebuilt
from indexer.store.raw import named
from indexer.store.session import Con
from indexer.store.statements import statement
from indexer.store.tips import StoredState, append_derived


class Rebuild:
    """Derived rows of one chain under reconstruction; raw rows, coverage and cursor stay as they are."""

    def __init__(self, con: Con, chain_id: str) -> None:
        self._con = con
        self._chain_id = chain_id
        self._goal = cursor(con, chain_id)
        self._reached: int | None = None
        clear_derived(con, chain_id)

    @property
    def goal(self) -> Cursor | None:
        """How far the raw rows go."""
        return self._goal

    @property
    def state(self) -> StateReader:
        """The tips as far as they are derived, and of the raw rows no later one."""
        return StoredState(lambda: nullcontext(self._con), self._chain_id, self._derived_to)

    def _derived_to(self) -> int:
        """The last block that was derived; -1, below every block, before the first."""
        return -1 if self._reached is None else self._reached

    def apply(self, batch: Batch) -> None:
        """Add the derived rows of the next batch; raises `StepRefused` for any other batch."""
        if batch.chain_id != self._chain_id:
            raise StepRefused(f"{self._chain_id} is rebuilt, the batch is of {batch.chain_id}")
        if self._reached is not None and batch.first != self._reached + 1:
            raise StepRefused(f"{self._chain_id}: the next block to derive is {self._reached + 1}, not {batch.first}")
        check_rows(batch)
        append_derived(self._con, self._chain_id, derive(batch.rows))
        self._reached = batch.last.number

    def finish(self) -> None:
        """Check that everything was derived; raises `StepRefused`."""
        if self._goal is None or self._reached == self._goal.block.number:
            note_rebuilt(self._con, self._chain_id)
            return
        raise StepRefused(
            f"{self._chain_id}: derived up to block {self._reached}, stored up to {named(self._chain_id, self._goal.block)}; "
            "the rows of before are kept"
        )


def clear_derived(con: Con, chain_id: str) -> None:
    """Delete every derived row and tip of a chain."""
    for journal in DERIVED:
        for table in filter(None, (journal.name, journal.tip)):
            con.execute(statement("clear", table=table), {"chain_id": chain_id})
