"""One block looked at as closely as its nodes allow."""

from __future__ import annotations

from collections.abc import Sequence

from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.by_bloom import ask_again
from chains.evm.evidence.by_receipts import compared
from chains.evm.evidence.compare import Difference, Followed
from chains.evm.evidence.rebuilt import Rebuilt, Wanted
from chains.evm.evidence.receipts import BlockLog


async def differing(nodes: Nodes, number: int, known: Sequence[BlockLog], followed: Followed) -> list[Difference]:
    """Return how what is known of a block differs from its receipts, or from its logs asked by hash where receipts prove nothing.

    Raises `ChainError`.
    """
    (header,) = await nodes.headers(number, number)
    wanted = Wanted(number, header.hash, header.receipts_root)
    there = (await Rebuilt().logs(nodes, [wanted], followed))[number]
    why, found = compared(number, header.hash, known, there)
    if why or not header.hashed:
        _, found = await ask_again(nodes, [header], {number: known}, followed)
    return found
