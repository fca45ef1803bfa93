"""A change that no event announces is found in its very block, among nodes and in the store alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from chains.evm.changes import found_by_asking, found_in_history
from chains.evm.ports import STATE, UNAVAILABLE, Answer, Look, Read, Reads
from chains.model import Block

BEFORE, AFTER = Answer("returned", b"\x01"), Answer("returned", b"\x02")
COMET, VIEW = bytes(20), b"\x99"


@dataclass(slots=True)
class Asked:
    """A node whose contract answers otherwise from some blocks on."""

    answers: Mapping[int, Answer]
    asked: list[int] = field(default_factory=list)

    async def blocks(self, numbers: Collection[int]) -> dict[int, Block]:
        return {n: Block(number=n, hash=bytes(32), parent_hash=bytes(32), time=n) for n in numbers}

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        self.asked += [blocks[read.block].number for read in reads]
        return {read: self.answers[max(n for n in self.answers if n <= read.block)] for read in reads}


def look(after: int = 0, until: int = 100, known: Answer = BEFORE) -> Look:
    return Look(after, until, COMET, VIEW, known)


async def found(source: Asked, where: Look) -> int | None:
    return await found_by_asking(cast("Any", source), where, {})


@pytest.mark.parametrize("block", [1, 2, 50, 99, 100])
async def test_a_change_is_found_in_its_block(block: int) -> None:
    source = Asked({0: BEFORE, block: AFTER})

    assert await found(source, look()) == block
    assert len(source.asked) <= 8  # the end, and log2 of a hundred
    assert found_in_history([(block, AFTER)], look()) == block


async def test_where_nothing_changed_the_end_alone_is_asked() -> None:
    source = Asked({0: BEFORE, 101: AFTER})

    assert await found(source, look()) is None
    assert source.asked == [100]
    assert found_in_history([(0, BEFORE), (101, AFTER)], look()) is None


async def test_nothing_is_asked_of_no_blocks() -> None:
    source = Asked({0: AFTER})

    assert await found(source, look(5, 5)) is None
    assert source.asked == []


async def test_state_that_is_gone_is_an_answer_like_any_other() -> None:
    source = Asked({0: BEFORE, 40: UNAVAILABLE, 70: AFTER})

    gone = await found(source, look())
    assert gone is not None
    assert source.answers[max(n for n in source.answers if n <= gone)] != BEFORE
    assert await found(source, look(40, 100, UNAVAILABLE)) == 70


def test_what_is_looked_at_in_passing_is_not_stored() -> None:
    reads = Reads({Read(7, STATE, COMET, VIEW): AFTER})

    assert reads.peek(7, COMET, VIEW) == AFTER
    assert reads.used == set()
    assert reads.state(7, COMET, VIEW) == AFTER
    assert reads.used == {Read(7, STATE, COMET, VIEW)}
