"""What a check finds belongs to the source for which it was made, whoever else asks the same contract the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, cast

from chains.evm.oracles.chainlink.checks import Doubt, question, verdict
from chains.evm.polls import Polls
from chains.evm.ports import Answer, Read, Watched
from chains.evm.source import NodeSource
from chains.model import Block, ChainSpec

SHARED, FIRST, SECOND, WORD = b"\xaa" * 20, b"\x01" * 20, b"\x02" * 20, b"\x50\xd2\x5b\xcd"
SPEC = ChainSpec(id="eip155:1", name="", rpc=(), finality="latest", start_block=0)


class Answering(NodeSource):
    """One contract, which says the number of the block."""

    def __init__(self, stored: Mapping[Read, bytes] | None = None) -> None:
        super().__init__(SPEC, cast("Any", None))
        self.stored = stored or {}
        self.asked: list[Read] = []

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        self.asked += reads
        return {read: Answer("returned", read.block.to_bytes(32)) for read in reads}

    def doubts(self, first: int, last: int) -> Mapping[Read, bytes]:
        return self.stored


async def headers(numbers: Collection[int]) -> Mapping[int, Block]:
    return {number: Block(number=number, hash=b"", parent_hash=b"", time=number) for number in numbers}


def watched(until: int) -> Watched:
    """A source for which the shared contract is right up to a block."""
    judge = partial(_judge, until)
    return Watched(since=0, pointer=Answer("returned", b""), fault=b"", word=WORD, speaker=SHARED, judge=judge)


def _judge(until: int, at: Block, said: Answer) -> bytes:
    return b"wrong" if int.from_bytes(said.output) > until else b""


def test_two_sources_that_ask_one_contract_are_judged_each_by_its_own() -> None:
    source = Answering()

    found = asyncio.run(Polls(source, headers, 1, 9).doubtful({FIRST: watched(until=4), SECOND: watched(until=9)}))

    assert found == [Doubt(5, FIRST, b"wrong", WORD)]
    assert question(SHARED, 9, WORD) in source.asked


def test_a_stored_verdict_is_given_back_to_the_source_that_it_is_of() -> None:
    source = Answering({verdict(SECOND, 7, WORD): b"wrong"})

    found = Polls(source, headers, 1, 9).stored({FIRST: watched(until=9), SECOND: watched(until=6)}, [])

    assert found == [Doubt(7, SECOND, b"wrong", WORD)]
