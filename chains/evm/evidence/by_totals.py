"""Evidence of the venues' own totals: what was taken in adds up to what their contracts count.

It sees every missing log that changes a total, once, and says in which block. It cannot see logs that change no total (settings, prices),
and not logs whose amounts cancel each other out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chains.errors import HistoryGone
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.compare import Difference, Followed, by_block
from chains.evm.evidence.single import differing
from chains.evm.ports import Answer, Read, Totalled
from chains.evm.source import EvmSource
from chains.model import Block, VenueSpec
from chains.ports import Records

NO_VENUE = "prices have no totals"
NO_TOTALS = "the venue's contracts keep no totals that what is stored could be added up to"
NOTHING_YET = "the venue has no market yet that keeps a total"
QUARANTINED = "rows of the venue are in quarantine, so that what is stored cannot be added up"
PRUNED = "no node has the state at the end of the span"
MOST_LOCATED = 8
"""Totals that are located to their block at once: one log that is missing makes few of them wrong."""

_WORD = 32


class Unbalanced(NamedTuple):
    """A total that is another than the sum of what is stored, from a block on, though no log of it is known to be missing."""

    block: int
    contract: bytes
    expected: int
    answered: int


@dataclass(slots=True)
class Balance:
    """What came out for one venue: why its totals say nothing (empty where they are right), and what is wrong."""

    why: str = ""
    differences: list[Difference] = field(default_factory=list)
    unbalanced: list[Unbalanced] = field(default_factory=list)


class _Wrong(NamedTuple):
    read: Read
    expected: int
    answered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One venue's totals beside what is stored of it."""

    source: EvmSource
    nodes: Nodes
    records: Records
    venue: VenueSpec
    fold: Totalled
    followed: Followed

    async def weigh(self, first: int, last: int) -> Balance:
        """Compare every total after block `last`; a wrong one is located in `first`..`last`. Raises `ChainError`."""
        expected = await asyncio.to_thread(self._expected, await self._block(last))
        if isinstance(expected, str):
            return Balance(expected)
        try:
            wrong = await self._wrong(expected, last)
        except HistoryGone:
            return Balance(PRUNED)
        if isinstance(wrong, str):
            return Balance(wrong)
        return await self._explained(wrong, first, last) if wrong else Balance()

    def _expected(self, at: Block) -> Mapping[Read, int | tuple[int, ...]] | str:
        sums = self.records.sums(self.venue.id, at.number)
        if sums is None:
            return QUARANTINED
        return self.fold.totals(self.records.markets_at(self.venue.id, at.number), sums, at) or NOTHING_YET

    async def _wrong(self, expected: Mapping[Read, int | tuple[int, ...]], number: int) -> list[_Wrong] | str:
        answers = await self.source.read(expected, {number: await self._block(number)})
        wanted = {read: numbers if isinstance(numbers, tuple) else (numbers,) for read, numbers in expected.items()}
        silent = next(
            (read for read, said in answers.items() if len(_said(said, wanted[read])) < len(wanted[read])), None
        )
        if silent is not None:
            return f"0x{silent.address.hex()} does not answer with a total at the end of the span"
        pairs = {read: zip(wanted[read], _said(answers[read], wanted[read]), strict=True) for read in sorted(expected)}
        wrong = {read: next((pair for pair in both if pair[0] != pair[1]), None) for read, both in pairs.items()}
        return [_Wrong(read, *pair) for read, pair in wrong.items() if pair is not None]

    async def _block(self, number: int) -> Block:
        stored = self.records.blocks(number, number)
        return stored[0] if stored else (await self.source.blocks([number]))[number]

    async def _explained(self, wrong: list[_Wrong], first: int, last: int) -> Balance:
        """Find the blocks in which totals went wrong, and the logs of those blocks that explain it."""
        balance = Balance("the venue's own totals are not the sums of what is stored")
        lacking: dict[int, list[Difference]] = {}
        for each in wrong[:MOST_LOCATED]:
            try:
                block = await self._first_wrong(each.read, first, last)
            except HistoryGone:
                balance.why += f"; no node has the state of blocks {first}..{last} to tell since when"
                block = last
            if block not in lacking:
                lacking[block] = [] if block < first else await self._lacking(block)
                balance.differences += lacking[block]
            if not lacking[block]:
                balance.unbalanced.append(Unbalanced(block, each.read.address, each.expected, each.answered))
        return balance

    async def _first_wrong(self, read: Read, first: int, last: int) -> int:
        """Return the block after which this total is wrong and was not before; `first` - 1 if it was already wrong then."""
        if not await self._right(read, first - 1):
            return first - 1
        right, wrong = first - 1, last
        while wrong - right > 1:
            middle = (right + wrong) // 2
            if await self._right(read, middle):
                right = middle
            else:
                wrong = middle
        return wrong

    async def _right(self, read: Read, number: int) -> bool:
        """Tell whether a total was right after an earlier block; one that was not kept yet was."""
        if number < self.venue.start_block:
            return True
        expected = await asyncio.to_thread(self._expected, await self._block(number))
        asked = read._replace(block=number)
        if isinstance(expected, str) or asked not in expected:
            return True
        return not await self._wrong({asked: expected[asked]}, number)

    async def _lacking(self, number: int) -> list[Difference]:
        stored = by_block(self.records.table("evm_log", number, number))
        return await differing(self.nodes, number, stored.get(number, ()), self.followed)


def _said(answer: Answer, wanted: tuple[int, ...]) -> list[int]:
    """Return as many first words of an answer as there are numbers wanted; fewer where it has not so many."""
    words = min(len(answer.output) // _WORD, len(wanted)) if answer.returned else 0
    return [int.from_bytes(answer.output[i * _WORD : (i + 1) * _WORD]) for i in range(words)]
