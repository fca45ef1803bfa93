"""Reading ahead: pieces of a chain are asked for side by side and handed out in order, as wide as nodes and memory allow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.errors import NodeWrong, RangeTooWide
from chains.evm.emitters import ADDRESS, contract_of, is_whole, named_by, split, without_repeats
from chains.evm.evidence.corrections import Corrections
from chains.evm.logs import empty_logs, in_order
from chains.evm.source import EvmSource
from chains.model import Block

AT_ONCE = 4
"""Pieces that are asked for before they are needed; with the logs that one may hold, this bounds memory.

Only one is at first, and twice as many after each answer: how many logs a block holds is not known yet.
"""

Contracts = Mapping[bytes, int]
"""Contract, or what is followed of one (`chains.evm.emitters`) → first block that matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Blocks `first`..`last`: the logs of some contracts, in chain order, and the headers of the blocks that have any."""

    first: int
    last: int
    contracts: Contracts
    logs: pa.Table
    blocks: Mapping[int, Block]


class Widths(Protocol):
    """How many blocks to ask for at once."""

    def width(self) -> int:
        """Return the most blocks that a request should span."""
        ...

    def succeeded(self, width: int, logs: int) -> None:
        """Note that a request for so many blocks was answered with so many logs."""
        ...

    def refused(self, width: int, limit: int | None) -> None:
        """Note that a request for so many blocks was too wide; `limit`: the most that the node says it allows."""
        ...


class Ahead:
    """Hands out pieces of one chain in order; those behind the next one are on their way meanwhile."""

    def __init__(self, read: Callable[[int, int, Contracts], Awaitable[Piece]], widths: Widths) -> None:
        self._read = read
        self._widths = widths
        self._asked: deque[tuple[int, int, asyncio.Task[Piece]]] = deque()
        self._at_once = 1

    async def piece(self, first: int, last: int, contracts: Contracts) -> Piece:
        """Return the piece that begins with `first` and ends at `last` at most; raises `ChainError`, after which nothing is on its way."""
        if self._asked and (self._asked[0][0] != first or self._asked[-1][1] > last):
            await self.forget()
        while True:
            self._ask(first, last, contracts)
            start, end, task = self._asked.popleft()
            try:
                piece = await task
            except RangeTooWide as error:
                await self.forget()
                self._at_once = 1
                if start == end:
                    raise
                self._widths.refused(end - start + 1, error.limit)
            except BaseException:
                task.cancel()
                await self.forget()
                raise
            else:
                self._widths.succeeded(end - start + 1, piece.logs.num_rows)
                self._at_once = min(AT_ONCE, 2 * self._at_once)
                return piece

    def _ask(self, first: int, last: int, contracts: Contracts) -> None:
        start = self._asked[-1][1] + 1 if self._asked else first
        while start <= last and len(self._asked) < self._at_once:
            end = min(last, start + self._widths.width() - 1)
            self._asked.append((start, end, asyncio.ensure_future(self._read(start, end, contracts))))
            start = end + 1

    async def forget(self) -> None:
        """Let go of everything that is on its way."""
        tasks = [task for _, _, task in self._asked]
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads pieces of one chain: the logs that carry one of `topics`, with what is known of nodes' answers put right."""

    chain_id: str
    source: EvmSource
    topics: Collection[bytes]
    corrections: Corrections

    async def read(self, first: int, last: int, contracts: Contracts) -> Piece:
        """Read the logs of contracts, each from the first block that matters; raises `NodeWrong` where a header names another block."""
        logs = await self._logs(first, last, contracts)
        blocks = await self._headers(np.unique(logs["block_number"].to_numpy()).tolist())
        logs = self.corrections.still(logs, blocks)
        self._vouch(logs, blocks)
        return Piece(first=first, last=last, contracts=contracts, logs=logs, blocks=blocks)

    async def _logs(self, first: int, last: int, contracts: Contracts) -> pa.Table:
        """Return logs in chain order; those of all contracts that matter from `first` on are asked for together."""
        parts = await asyncio.gather(
            *(self._of(some, start, last) for start, some in _by_start(contracts, first, last))
        )
        table = pa.concat_tables([empty_logs(), *parts])
        if not all(map(is_whole, contracts)):
            table = without_repeats(table)
        return self.corrections.applied(in_order(table), first, last, contracts)

    async def _of(self, keys: Sequence[bytes], first: int, last: int) -> pa.Table:
        """Return the logs of some contracts; those that must name somebody are asked for by whom they name."""
        whole, naming = split(keys)
        asked = [self.source.logs(whole, [self.topics], first, last)] if whole else []
        if not naming:
            return await asked[0]
        contracts, words = {contract_of(key) for key in naming}, {key[ADDRESS:] for key in naming}
        asked += [self.source.logs(contracts, [self.topics, *before, words], first, last) for before in ((), (None,))]
        *plain, once, again = await asyncio.gather(*asked)
        return pa.concat_tables([*plain, named_by(once, naming), named_by(again, naming)])

    async def _headers(self, numbers: Collection[int]) -> dict[int, Block]:
        found = await self.source.blocks(numbers)
        if gone := set(numbers) - found.keys():
            raise NodeWrong(f"chain {self.chain_id}: the node has no block {min(gone)}, which it spoke of before")
        return found

    def _vouch(self, logs: pa.Table, blocks: Mapping[int, Block]) -> None:
        numbers, rows = np.unique(logs["block_number"].to_numpy(), return_inverse=True)
        expected = pa.array([blocks[number].hash for number in numbers.tolist()], pa.binary()).take(pa.array(rows))
        same = pc.equal(logs["block_hash"], expected)
        if pc.any(pc.invert(same)).as_py():
            number = logs.filter(pc.invert(same))["block_number"][0].as_py()
            raise NodeWrong(f"chain {self.chain_id}: a log names another block {number} than the node's header")


def _by_start(contracts: Contracts, first: int, last: int) -> Iterator[tuple[int, list[bytes]]]:
    starts = {address: max(since, first) for address, since in contracts.items() if since <= last}
    for start in sorted(set(starts.values())):
        yield start, [address for address, block in starts.items() if block == start]
