"""Evidence of receipts: headers hashed and linked, and receipts rebuilt to the root wherever a header does not exclude a log."""

from __future__ import annotations

from collections.abc import Sequence

from chains.completeness import Level
from chains.evm.evidence.asking import RECEIPTS_AT_ONCE, Nodes
from chains.evm.evidence.blooms import NOTHING
from chains.evm.evidence.by_bloom import may_hold, must_hang_together
from chains.evm.evidence.compare import Difference, differences, numbered_otherwise
from chains.evm.evidence.headers import Header
from chains.evm.evidence.piece import Piece, Weighed, sliced
from chains.evm.evidence.receipts import Receipt, logs_in, unproven

SHAPE = "a header does not hash to its hash: its shape is not known here"
BY_RECEIPTS = "receipts rebuilt to the header's receiptsRoot"
NOT_SERVED = "the nodes do not serve eth_getBlockReceipts"
NUMBERED = "the node numbers logs in another way than receipts do"


async def weigh(nodes: Nodes, piece: Piece, last_hash: bytes) -> tuple[Weighed, bytes]:
    """Prove a piece as far as it can be proven; returns the hash of the block below it too. Raises `NodeWrong`."""
    headers = await nodes.headers(piece.first, piece.last)
    must_hang_together(headers, last_hash, piece)
    why = {header.number: SHAPE for header in headers if not header.hashed}
    open_ = {
        header.number: header
        for header in headers
        if header.hashed and (piece.logs(header.number) or not excluded(header, piece))
    }
    found: list[Difference] = []
    for numbers in sliced(open_, RECEIPTS_AT_ONCE):
        for number, receipts in zip(numbers, await nodes.receipts(numbers), strict=True):
            reason, different = judged(open_[number], receipts, piece)
            found += different
            if reason:
                why[number] = reason
    return Weighed.of(piece, Level.PROVEN, why, found), headers[0].parent_hash


def excluded(header: Header, piece: Piece) -> bool:
    """Tell whether a header that was hashed proves that its block holds no log to take in; an empty filter proves nothing."""
    if header.without_logs:
        return True
    return header.bloom != NOTHING and not may_hold(header.bloom, piece.followed, header.number)


def judged(header: Header, receipts: Sequence[Receipt] | None, piece: Piece) -> tuple[str, list[Difference]]:
    """Return why a block is not proven, if it is not, and what is different in it if it is."""
    if receipts is None:
        return NOT_SERVED, []
    reason = unproven(receipts, header.receipts_root)
    if reason is not None:
        return reason, []
    stored = piece.logs(header.number)
    there = [log for log in logs_in(receipts) if piece.followed.has(header.number, log)]
    different = differences(header.number, header.hash, stored, there, BY_RECEIPTS)
    if different and numbered_otherwise(stored, there):
        return NUMBERED, []
    return "", different
