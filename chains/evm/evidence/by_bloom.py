"""Evidence of headers' filters: a block whose filter may hold a log that is not known is asked again.

It cannot see that one of several logs of one contract and topic in a block is missing, and on chains whose headers carry no filter it
is no more than asking twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from chains.completeness import Level
from chains.errors import NodeWrong
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.blooms import NOTHING, holding, rows
from chains.evm.evidence.compare import Difference, Followed, by_block, differences
from chains.evm.evidence.headers import Header, linked
from chains.evm.evidence.piece import Piece, Weighed
from chains.evm.evidence.receipts import BlockLog

NOT_ASKED_AGAIN = "the nodes refuse eth_getLogs by blockHash, so what a header's filter may hold cannot be asked again"


async def weigh(nodes: Nodes, piece: Piece, last_hash: bytes) -> tuple[Weighed, bytes]:
    """Weigh a piece by one header a block; returns the hash of the block below it too. Raises `NodeWrong`."""
    headers = await nodes.headers(piece.first, piece.last)
    must_hang_together(headers, last_hash, piece)
    doubtful = [header for header in headers if may_lack(header, piece.logs(header.number), piece.followed)]
    why, found = await ask_again(nodes, doubtful, piece)
    return Weighed.of(piece, Level.BLOOM, why, found), headers[0].parent_hash


def must_hang_together(headers: Sequence[Header], last_hash: bytes, piece: Piece) -> None:
    """See that headers are parents of each other and the blocks that are stored; raises `NodeWrong`."""
    torn = linked(headers, last_hash)
    if torn is not None:
        raise NodeWrong(
            f"block {torn.number} of the node is not the parent of the block above it; the node is not consistent"
        )
    for header in headers:
        if piece.hashes.get(header.number, header.hash) != header.hash:
            raise NodeWrong(f"block {header.number} of the node is not the one that is stored")


def may_lack(header: Header, known: Sequence[BlockLog], followed: Followed) -> bool:
    """Tell whether a block may hold a log of another contract and topic than the known ones, as far as its header tells."""
    if header.without_logs:
        return bool(known)
    if header.bloom == NOTHING:
        return True
    said = {(log.address, log.topics[0]) for log in known if log.topics}
    hits = set(may_hold(header.bloom, followed, header.number))
    return bool(hits - said) or bool(said - hits)


def may_hold(bloom: bytes, followed: Followed, number: int) -> Iterable[tuple[bytes, bytes]]:
    """Return the pairs of a contract and a topic that a filter does not exclude."""
    addresses, topics = followed.addresses(number), sorted(followed.topics)
    one = rows([bloom])
    emitters = np.flatnonzero(holding(one, addresses)[0]).tolist()
    if not emitters:
        return []
    said = np.flatnonzero(holding(one, topics)[0]).tolist()
    return [(addresses[a], topics[t]) for a in emitters for t in said]


async def ask_again(nodes: Nodes, doubtful: Sequence[Header], piece: Piece) -> tuple[dict[int, str], list[Difference]]:
    """Ask for the logs of single blocks again; returns why some could not be asked, and what is different."""
    if not doubtful:
        return {}, []
    why: dict[int, str] = {}
    found: list[Difference] = []
    answers = await nodes.block_logs(
        [header.hash for header in doubtful], piece.followed.addresses(piece.last), piece.followed.topics
    )
    for header, answer in zip(doubtful, answers, strict=True):
        if answer is None:
            why[header.number] = NOT_ASKED_AGAIN
            continue
        if any(digest != header.hash for digest in answer["block_hash"].to_pylist()):
            raise NodeWrong(f"asked for logs of block {header.number} by its hash, the node gave those of another")
        there = [log for log in by_block(answer).get(header.number, []) if piece.followed.has(header.number, log)]
        found += differences(header.number, header.hash, piece.logs(header.number), there, "eth_getLogs by blockHash")
    return why, found
