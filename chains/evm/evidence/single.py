"""One block looked at as closely as its nodes allow."""

from __future__ import annotations

from collections.abc import Sequence

from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.by_bloom import ask_again
from chains.evm.evidence.by_receipts import judged
from chains.evm.evidence.compare import Difference, Followed
from chains.evm.evidence.piece import Piece
from chains.evm.evidence.receipts import BlockLog


async def differing(nodes: Nodes, number: int, known: Sequence[BlockLog], followed: Followed) -> list[Difference]:
    """Return how what is known of a block differs from its receipts, or from its logs asked by hash where receipts prove nothing.

    Raises `ChainError`.
    """
    (header,) = await nodes.headers(number, number)
    stored = {number: known}
    (receipts,) = await nodes.receipts([number])
    piece = Piece(first=number, last=number, stored=stored, hashes={}, followed=followed)
    why, found = judged(header, receipts, piece)
    if why or not header.hashed:
        _, found = await ask_again(nodes, [header], stored, followed)
    return found
