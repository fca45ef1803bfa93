"""Everything that can be asked of the store, over one connection in one read transaction: all answers are of one state."""

from __future__ import annotations

from chains.model import Block
from chains.ports import Covered
from indexer.store.apply import Cursor, cursor
from indexer.store.coverage import coverage
from indexer.store.raw import block_of, blocks
from indexer.store.session import Con
from indexer.store.statements import statement


class Reader:
    """One consistent state of the store; valid within `Store.reading()`."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def chains(self) -> list[str]:
        """Every chain with a block, by id."""
        return [
            chain_id
            for (chain_id,) in self._con.execute("SELECT chain_id FROM cursor ORDER BY chain_id").fetchall()
        ]

    def cursor(self, chain_id: str) -> Cursor | None:
        """How far a chain is stored, `None` for a chain without a block."""
        return cursor(self._con, chain_id)

    def block(self, chain_id: str, number: int) -> Block | None:
        """One stored block; a final block without rows is not kept."""
        return next(iter(blocks(self._con, chain_id, number, number)), None)

    def block_at_time(self, chain_id: str, time: int) -> Block | None:
        """The last stored block at or before a Unix time."""
        found = self._con.execute(statement("block_at_time"), {"chain_id": chain_id, "time": time}).fetchall()
        return block_of(found[0]) if found else None

    def window(self, chain_id: str) -> list[Block]:
        """The blocks that a reorg can reach, ascending: from the newest final one that is stored to the cursor's."""
        held = self.cursor(chain_id)
        if held is None:
            return []
        values = {"chain_id": chain_id, "finalized": held.finalized}
        return [block_of(row) for row in self._con.execute(statement("window"), values).fetchall()]

    def coverage(self, chain_id: str) -> list[Covered]:
        """Which spans of a chain are complete, and by which proof."""
        return coverage(self._con, chain_id)
