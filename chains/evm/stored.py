"""An EVM chain's facts from the raw rows that were stored of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from chains.errors import ChainError, HistoryGone
from chains.evm.changes import found_in_history
from chains.evm.logs import empty_logs, in_order, of_addresses
from chains.evm.ports import CHECK, SIGHT, Answer, Check, Look, Read, Sight, Sighted
from chains.evm.ranges import Ranges
from chains.evm.sought import Topics
from chains.model import Block, Finality
from chains.ports import Head, RawReader


class StoredSource:
    """Facts from raw rows: what was not stored does not exist."""

    def __init__(self, raw: RawReader, cursor: Block) -> None:
        self._raw = raw
        self._cursor = cursor
        self.ranges = Ranges()
        self._answers: dict[tuple[str, bytes, bytes], list[tuple[int, Answer]]] = {}
        for row in raw.table("evm_read", 0, cursor.number).to_pylist():
            answer = Answer(row["outcome"], row["output"])
            key = (row["method"], row["address"], row["input"])
            self._answers.setdefault(key, []).append((row["block_number"], answer))
        self._found = {
            Read(block, CHECK, address, word): answer.output
            for (method, address, word), history in self._answers.items()
            if method == CHECK
            for block, answer in history
        }

    async def head(self) -> Head:
        """Return the last stored block, for both."""
        return Head(latest=self._cursor, settled=self._cursor.number, finality=Finality.FINALIZED)

    async def blocks(self, numbers: Collection[int]) -> dict[int, Block]:
        """Return the stored blocks; one without rows is not kept and comes back with its number alone."""
        if not numbers:
            return {}
        wanted = set(numbers)
        stored = {b.number: b for b in self._raw.blocks(min(wanted), max(wanted)) if b.number in wanted}
        return {number: stored.get(number) or _without_rows(number) for number in wanted}

    async def logs(self, addresses: Collection[bytes] | None, topics: Topics, first: int, last: int) -> pa.Table:
        """Return stored logs of the addresses, in chain order."""
        table = self._raw.table("evm_log", first, last)
        if table.num_rows == 0:
            return empty_logs()
        if addresses is not None:
            table = of_addresses(table, list(addresses))
        for i, wanted in enumerate(topics):
            if wanted is not None:
                table = table.filter(pc.is_in(table[f"topic{i}"], pa.array(list(wanted), pa.binary())))
        return in_order(table)

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        """Answer from what was stored: an answer holds until the next stored one of the same question."""
        del blocks
        return {read: self._stored(read) for read in reads}

    async def sights(self, sights: Collection[Sight], blocks: Mapping[int, Block]) -> dict[Sight, Sighted]:
        """Return what was stored of each within its blocks."""
        del blocks
        return {sight: tuple(self._sighted(sight)) for sight in sights}

    def _sighted(self, sight: Sight) -> Iterator[tuple[int, Answer]]:
        for block, answer in self._answers.get((SIGHT, sight.address, sight.input), ()):
            if sight.first <= block <= sight.last:
                yield block, answer

    async def check(self, checks: Mapping[Read, Check], blocks: Mapping[int, Block]) -> dict[Read, bytes]:
        """Return the verdicts that were stored: one holds until the next."""
        del blocks
        return {name: self._verdict(name) for name in checks}

    def doubts(self, first: int, last: int) -> Mapping[Read, bytes]:
        """Return every verdict that was stored of the span: one that was over at its end would not be found by asking there."""
        return {read: fault for read, fault in self._found.items() if first <= read.block <= last}

    async def changes(self, looks: Collection[Look], blocks: Mapping[int, Block]) -> dict[Look, int | None]:
        """Return where the stored answers change."""
        del blocks
        return {
            look: found_in_history(self._answers.get((look.method, look.address, look.input), ()), look)
            for look in looks
        }

    def _verdict(self, read: Read) -> bytes:
        history = self._answers.get((CHECK, read.address, read.input), [])
        return next((answer.output for block, answer in reversed(history) if block <= read.block), b"")

    def _stored(self, read: Read) -> Answer:
        history = self._answers.get((read.method, read.address, read.input), [])
        known = [answer for block, answer in history if block <= read.block]
        if not known:
            message = (
                f"no stored answer of 0x{read.address.hex()} to 0x{read.input.hex()} at block {read.block};"
                " this store was not indexed by this version: index again from the chain"
            )
            raise HistoryGone(message)
        return known[-1]

    async def has_code(self, address: bytes) -> bool:
        """Tell that a contract was there: the store would be empty otherwise."""
        del address
        return True

    def doubt(self, error: ChainError) -> None:
        """Do nothing: there is no other store."""

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _without_rows(number: int) -> Block:
    return Block(number=number, hash=b"", parent_hash=b"", time=0)
