"""Where the state of a contract changed without an event: found by bisection, as a node or as the store tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from chains.errors import NodeWrong
from chains.evm.ports import Answer, Look, Read

if TYPE_CHECKING:
    from chains.evm.source import EvmSource
    from chains.model import Block


async def found_by_asking(source: EvmSource, look: Look, blocks: Mapping[int, Block]) -> int | None:
    """Return the first block whose answer is another: two questions, and for a change about one more for each doubling of the span.

    An answer that comes back to what it was within the span is not seen.
    """
    same, other = look.after, look.until
    if other <= same or await _answer(source, look, other, blocks) == look.known:
        return None
    while other - same > 1:
        middle = (same + other) // 2
        if await _answer(source, look, middle, blocks) == look.known:
            same = middle
        else:
            other = middle
    return other


async def changed_at_the_end(source: EvmSource, looks: Iterable[Look], blocks: Mapping[int, Block]) -> list[Look]:
    """Return the looks whose last block has another answer than the known one, all asked together; the others found nothing."""
    ends = {look: Read(look.until, look.method, look.address, look.input) for look in looks if look.until > look.after}
    known = await _headers(source, {read.block for read in ends.values()}, blocks)
    answers = await source.read(set(ends.values()), known)
    return [look for look, read in ends.items() if answers[read] != look.known]


def found_in_history(history: Iterable[tuple[int, Answer]], look: Look) -> int | None:
    """Return the first block with a stored answer that is another."""
    return next(
        (block for block, answer in history if look.after < block <= look.until and answer != look.known),
        None,
    )


async def _answer(source: EvmSource, look: Look, number: int, blocks: Mapping[int, Block]) -> Answer:
    known = await _headers(source, {number}, blocks)
    read = Read(number, look.method, look.address, look.input)
    return (await source.read([read], known))[read]


async def _headers(source: EvmSource, numbers: set[int], blocks: Mapping[int, Block]) -> Mapping[int, Block]:
    """Return blocks that the chain must have; raises `NodeWrong` where the node has one no more."""
    missing = numbers - blocks.keys()
    if not missing:
        return blocks
    found = await source.blocks(missing)
    if gone := missing - found.keys():
        raise NodeWrong(f"the node has no block {min(gone)}, which it spoke of before")
    return {**blocks, **found}
