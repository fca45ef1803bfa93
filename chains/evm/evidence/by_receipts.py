"""Evidence of receipts: headers hashed and linked, and receipts rebuilt to the root wherever a header does not exclude a log."""

from __future__ import annotations

from collections.abc import Sequence

from chains.completeness import Level
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.blooms import NOTHING
from chains.evm.evidence.by_bloom import may_emit, may_hold, must_hang_together
from chains.evm.evidence.compare import Difference, differences, numbered_otherwise
from chains.evm.evidence.headers import Header
from chains.evm.evidence.piece import Piece, Weighed
from chains.evm.evidence.rebuilt import Rebuilt, Wanted
from chains.evm.evidence.receipts import BlockLog

SHAPE = "a header does not hash to its hash: its shape is not known here"
BY_RECEIPTS = "receipts rebuilt to the header's receiptsRoot"
NUMBERED = "the node numbers logs in another way than receipts do"


async def weigh(nodes: Nodes, piece: Piece, last_hash: bytes, rebuilt: Rebuilt) -> tuple[Weighed, bytes]:
    """Prove a piece as far as it can be proven; returns the hash of the block below it too. Raises `NodeWrong`."""
    headers = await nodes.headers(piece.first, piece.last)
    must_hang_together(headers, last_hash, piece)
    why = {header.number: SHAPE for header in headers if not header.hashed}
    open_ = [
        Wanted(header.number, header.hash, header.receipts_root)
        for header in headers
        if header.hashed and (piece.logs(header.number) or not excluded(header, piece))
    ]
    said = await rebuilt.logs(nodes, open_, piece.followed)
    found: list[Difference] = []
    for block in open_:
        reason, different = compared(block.number, block.hash, piece.logs(block.number), said[block.number])
        found += different
        if reason:
            why[block.number] = reason
    unproven = [header for header in headers if header.hashed and header.number in why]
    return Weighed.of(piece, Level.PROVEN, why, found, may_emit(unproven, piece)), headers[0].parent_hash


def excluded(header: Header, piece: Piece) -> bool:
    """Tell whether a header that was hashed proves that its block holds no log to take in; an empty filter proves nothing."""
    if header.without_logs:
        return True
    return header.bloom != NOTHING and not may_hold(header.bloom, piece.followed, header.number)


def compared(
    number: int, block_hash: bytes, stored: Sequence[BlockLog], there: Sequence[BlockLog] | str
) -> tuple[str, list[Difference]]:
    """Return why a block is not proven, if it is not, and what is different in it if it is; `there`: its logs, or why none are known."""
    if isinstance(there, str):
        return there, []
    different = differences(number, block_hash, stored, there, BY_RECEIPTS)
    if different and numbered_otherwise(stored, there):
        return NUMBERED, []
    return "", different
