"""Feeds asked for their own word at a block, beside what was emitted or is computed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from chains.auditing import Quoted
from chains.evm.oracles.rates import LATEST_ANSWER, LATEST_ROUND_DATA, WORD, number_in
from chains.evm.ports import STATE, Answer, Read
from chains.model import Block, FeedSpec
from chains.registry import REDEMPTION_RATE, SEQUENCER_UPTIME

_UPDATED_AT = 3
"""The place of the time in what `latestRoundData()` answers."""


class Contracts(Protocol):
    """Whoever answers for a chain's contracts; `chains.evm.source.EvmSource` does."""

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        """Answer questions, each pinned to the hash of its block; raises `ChainError`."""
        ...


async def quoted(contracts: Contracts, at: Block, feeds: Sequence[FeedSpec]) -> list[Quoted | None]:
    """Ask each feed for its latest round, and one that has none for its latest answer alone; raises `ChainError`."""
    asked = [_reads(feed, at) for feed in feeds]
    answers = await contracts.read({read for reads in asked for read in reads}, {at.number: at})
    return [_first(reads, answers) for reads in asked]


def _reads(feed: FeedSpec, at: Block) -> tuple[Read, ...]:
    """Return what to ask a feed, the best answer first; nothing of a kind that is no contract with an answer."""
    if feed.kind == REDEMPTION_RATE:
        return (Read(at.number, STATE, feed.address, feed.feed_id or b""),)
    views = () if feed.kind == SEQUENCER_UPTIME else (LATEST_ROUND_DATA, LATEST_ANSWER)
    return tuple(Read(at.number, STATE, feed.address, view.calldata()) for view in views)


def _first(reads: Sequence[Read], answers: Mapping[Read, Answer]) -> Quoted | None:
    for read in reads:
        number = number_in(read.input, answers[read])
        if number is not None:
            return Quoted(number, _time(read, answers[read]))
    return None


def _time(read: Read, answer: Answer) -> int | None:
    if read.input != LATEST_ROUND_DATA.calldata() or len(answer.output) < WORD * (_UPDATED_AT + 1):
        return None
    return int.from_bytes(answer.output[WORD * _UPDATED_AT :][:WORD])
