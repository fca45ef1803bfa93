"""Evidence of two nodes: the same question, and the same logs in both answers, of which one at least is not the first one's word."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from chains.completeness import Level
from chains.errors import RangeTooWide
from chains.evm.evidence.asking import Again, Nodes
from chains.evm.evidence.by_receipts import compared
from chains.evm.evidence.compare import Difference, by_block, differences
from chains.evm.evidence.piece import Piece, Weighed
from chains.evm.evidence.rebuilt import Rebuilt, Wanted
from chains.evm.evidence.receipts import BlockLog

ALONE = "only one node is configured, so no second one can be asked"


async def weigh(nodes: Nodes, piece: Piece) -> Weighed:
    """Weigh a piece by two nodes' answers; where one differs from what is stored, receipts decide. Raises `NodeWrong`."""
    again = await _asked(nodes, piece, piece.first, piece.last)
    if not again:
        return Weighed.of(piece, Level.AGREED, dict.fromkeys(range(piece.first, piece.last + 1), ALONE))
    found: dict[int, list[Difference]] = {}
    for answer in again:
        there = by_block(answer.logs)
        for number in sorted({*there, *piece.stored}):
            if answer.first <= number <= answer.last and not found.get(number):
                found[number] = await _settled(nodes, piece, number, there.get(number, ()), answer)
    return Weighed.of(piece, Level.AGREED, {}, list(chain.from_iterable(found.values())))


async def _asked(nodes: Nodes, piece: Piece, first: int, last: int) -> list[Again]:
    """Ask two nodes, in halves where one refuses so much at once; nothing where there is one alone."""
    try:
        return await nodes.logs_twice(piece.followed.addresses(last), piece.followed.topics, first, last)
    except RangeTooWide:
        if first == last:
            raise
        middle = (first + last) // 2
        return await _asked(nodes, piece, first, middle) + await _asked(nodes, piece, middle + 1, last)


async def _settled(
    nodes: Nodes, piece: Piece, number: int, said: Sequence[BlockLog], answer: Again
) -> list[Difference]:
    """Return how the store differs from a block of which a node says something; the block's receipts have the last word."""
    stored = piece.logs(number)
    there = [log for log in said if piece.followed.has(number, log)]
    digest = piece.hashes.get(number, b"")
    found = differences(number, digest, stored, there, f"eth_getLogs of {answer.node}")
    if not found:
        return []
    (header,) = await nodes.headers(number, number)
    if not header.hashed or header.hash != (digest or header.hash):
        return found
    rebuilt = await Rebuilt().logs(nodes, [Wanted(number, header.hash, header.receipts_root)], piece.followed)
    why, proven = compared(number, header.hash, stored, rebuilt[number])
    return found if why else proven
