"""Evidence of headers' filters: a block whose filter may hold a log that is not known is asked again.

It cannot see that one of several logs of one contract and topic in a block is missing, and on chains whose headers carry no filter it
is no more than asking twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from chains.completeness import Level
from chains.errors import NodeWrong
from chains.evm.emitters import ADDRESS, contract_of, split
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.blooms import NOTHING, holding
from chains.evm.evidence.compare import Difference, Followed, by_block, differences
from chains.evm.evidence.headers import Header, linked
from chains.evm.evidence.piece import Piece, Weighed
from chains.evm.evidence.receipts import BlockLog
from chains.model import Block

BY_HASH = "eth_getLogs by blockHash"
NOT_ASKED_AGAIN = "the nodes refuse eth_getLogs by blockHash, so what a header's filter may hold cannot be asked again"


async def weigh(nodes: Nodes, piece: Piece, last_hash: bytes) -> tuple[Weighed, bytes]:
    """Weigh a piece by one header a block; returns the hash of the block below it too. Raises `NodeWrong`."""
    headers = await nodes.headers(piece.first, piece.last)
    must_hang_together(headers, last_hash, piece)
    doubtful = [header for header in headers if may_lack(header, piece.logs(header.number), piece.followed)]
    why, found = await ask_again(nodes, doubtful, piece.stored, piece.followed)
    return Weighed.of(piece, Level.BLOOM, why, found, may_emit(doubtful, piece)), headers[0].parent_hash


def may_emit(headers: Iterable[Header], piece: Piece) -> dict[int, set[tuple[bytes, bytes]]]:
    """Return the contracts and topics of logs that blocks may hold or are stored with; nothing of one whose header excludes none."""
    return {
        header.number: may_hold(header.bloom, piece.followed, header.number)
        | {(log.address, log.topics[0]) for log in piece.logs(header.number) if log.topics}
        for header in headers
        if header.bloom != NOTHING
    }


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
    hits = may_hold(header.bloom, followed, header.number)
    return bool(hits - said) or bool(said - hits)


def may_hold(bloom: bytes, followed: Followed, number: int) -> set[tuple[bytes, bytes]]:
    """Return the pairs of a contract and a topic that a filter does not exclude."""
    whole, naming = split(key for key, since in followed.contracts.items() if since <= number)
    emitters = set(holding(bloom, whole))
    for key in naming:
        if len(holding(bloom, parts := (contract_of(key), key[ADDRESS:]))) == len(parts):
            emitters.add(parts[0])
    return set(product(emitters, holding(bloom, followed.topics))) if emitters else set()


async def ask_again(
    nodes: Nodes, doubtful: Sequence[Header | Block], known: Mapping[int, Sequence[BlockLog]], followed: Followed
) -> tuple[dict[int, str], list[Difference]]:
    """Ask for the logs of single blocks again; returns why some could not be asked, and what is different. Raises `NodeWrong`."""
    if not doubtful:
        return {}, []
    last = max(block.number for block in doubtful)
    answers = await nodes.block_logs([block.hash for block in doubtful], followed.addresses(last), followed.topics)
    why: dict[int, str] = {}
    found: list[Difference] = []
    for block, answer in zip(doubtful, answers, strict=True):
        if answer is None:
            why[block.number] = NOT_ASKED_AGAIN
            continue
        if any(digest != block.hash for digest in answer["block_hash"].to_pylist()):
            raise NodeWrong(f"asked for logs of block {block.number} by its hash, the node gave those of another")
        there = [log for log in by_block(answer).get(block.number, ()) if followed.has(block.number, log)]
        found += differences(block.number, block.hash, known.get(block.number, ()), there, BY_HASH)
    return why, found


async def missing(
    nodes: Nodes, doubtful: Sequence[Block], known: Mapping[int, Sequence[BlockLog]], followed: Followed
) -> list[Difference]:
    """Return the logs of blocks that are not known, as far as the nodes give them when asked again. Raises `NodeWrong`."""
    _, found = await ask_again(nodes, doubtful, known, followed)
    return [difference for difference in found if difference.missing]
