"""A chain that tests make up, as its nodes tell it: some slots empty, some answers late, one branch or another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from chains.errors import ChainError, NodeWrong
from chains.model import Block, ChainSpec, Finality, Rows, Skipped
from chains.ports import Batch, Examined, Head, Records, StateReader
from tests.unit.store.builders import CHAIN, batch, block, position
from tests.unit.store.slots import CLUSTER, slot_batch, slot_block


@dataclass(slots=True)
class FakeChain:
    """Slots 1 to `tip`, of which some are `skipped`; from `forked_at` on the branch `fork`.

    `late`: heights that the nodes do not know for so many more questions; `span`: slots a batch; `evm`: an EVM chain, without
    empty heights; `failing`: what the next questions for the head raise; `says`: when there is news.
    """

    tip: int
    skipped: frozenset[int] = frozenset()
    settled: int = 0
    fork: str = ""
    forked_at: int = 0
    late: dict[int, int] = field(default_factory=dict)
    span: int = 4
    evm: bool = False
    start: int = 1
    failing: list[ChainError] = field(default_factory=list)
    says: Callable[[float], Awaitable[None]] = asyncio.sleep
    asked: list[int] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)
    attested: list[tuple[int, int]] = field(default_factory=list)
    polls: int = 0
    listening: int = 0
    listened: list[float] = field(default_factory=list)
    listens: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spec(self) -> ChainSpec:
        chain_id = CHAIN if self.evm else CLUSTER
        return ChainSpec(id=chain_id, name="fake", rpc=(), finality="finalized", start_block=self.start)

    async def head(self) -> Head:
        self.polls += 1
        if self.failing:
            raise self.failing.pop(0)
        return Head(latest=self.at(self.below(self.tip)), settled=self.settled, finality=Finality.FINALIZED)

    async def block(self, number: int) -> Block | Skipped | None:
        self.asked.append(number)
        if number > self.tip:
            return None
        if self.late.get(number, 0):
            self.late[number] -= 1
            return None
        if number in self.skipped:
            child = min(set(range(number, self.tip + 1)) - self.skipped)
            return Skipped(number=number, parent=self.below(number), child=child)
        return self.at(number)

    async def floor(self, number: int) -> int:
        self.floors.append(number)
        return self.below(number)

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        end = self.below(min(last, first + self.span - 1))
        end = end if end >= first else self.below(min(last, self.tip))
        if end < first or end > self.tip:
            raise NodeWrong(f"there is no block from {first} to {last}")
        held = [number for number in range(first, end + 1) if number not in self.skipped]
        rows = Rows(positions=[position(number, 10 * number) for number in held])
        branch: dict[str, Any] = {"fork": self.fork, "forked_at": self.forked_at}
        even = [number for number in held if number % 2 == 0]
        if self.evm:
            given = batch(first, end, rows, logs=[(number, 0) for number in even], **branch)
            return replace(given, parent_hash=self.at(first).parent_hash)
        twice = [(number, index) for number in even for index in range(2)]
        return slot_batch(first, end, rows, skipped=self.skipped, transactions=twice, **branch)

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        self.attested.append((first, last))
        return Examined(first=first, last=last)

    async def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        yield Examined(first=first, last=last)

    async def news(self, timeout_s: float) -> None:
        self.listened.append(timeout_s)
        self.listening += 1
        self.listens.set()
        try:
            await self.says(timeout_s)
        finally:
            self.listening -= 1

    async def aclose(self) -> None:
        pass

    def at(self, number: int) -> Block:
        """The block of a slot that is not empty."""
        if self.evm:
            return block(number, fork=self.fork, forked_at=self.forked_at)
        return slot_block(number, skipped=self.skipped, fork=self.fork, forked_at=self.forked_at)

    def below(self, number: int) -> int:
        """The newest block at or below a height; 0 before the first."""
        return max(set(range(number + 1)) - self.skipped)
