"""The logs of blocks whose receipts were rebuilt to a root, kept so that the same block is not asked about twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eth_hash.auto import keccak

from chains.evm.evidence.asking import RECEIPTS_AT_ONCE, Nodes
from chains.evm.evidence.compare import Followed
from chains.evm.evidence.filters import MOST
from chains.evm.evidence.receipts import BlockLog, Receipt, logs_in, unproven

NOT_SERVED = "the nodes do not serve eth_getBlockReceipts"


class Wanted(NamedTuple):
    """A block by its number and hash, and the root that its header names for its receipts."""

    number: int
    hash: bytes
    receipts_root: bytes


class _Kept(NamedTuple):
    receipts_root: bytes
    followed: bytes
    logs: tuple[BlockLog, ...]


class Rebuilt:
    """What receipts said of the newest blocks that they were rebuilt of: the logs to take in."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}

    async def logs(
        self, nodes: Nodes, wanted: Sequence[Wanted], followed: Followed
    ) -> dict[int, tuple[BlockLog, ...] | str]:
        """Return for each block the logs that its receipts hold of what is followed, or why they prove nothing; raises `ChainError`."""
        mark = _mark(followed)
        found: dict[int, tuple[BlockLog, ...] | str] = {}
        unknown = []
        for block in wanted:
            kept = self._kept.get(block.hash)
            if kept is not None and kept[:2] == (block.receipts_root, mark):
                found[block.number] = kept.logs
            else:
                unknown.append(block)
        for start in range(0, len(unknown), RECEIPTS_AT_ONCE):
            some = unknown[start : start + RECEIPTS_AT_ONCE]
            for block, receipts in zip(some, await nodes.receipts([block.number for block in some]), strict=True):
                found[block.number] = self._rebuilt(block, receipts, followed, mark)
        return found

    def _rebuilt(
        self, block: Wanted, receipts: Sequence[Receipt] | None, followed: Followed, mark: bytes
    ) -> tuple[BlockLog, ...] | str:
        if receipts is None:
            return NOT_SERVED
        reason = unproven(receipts, block.receipts_root)
        if reason is not None:
            return reason
        logs = tuple(log for log in logs_in(receipts) if followed.has(block.number, log))
        self._kept[block.hash] = _Kept(block.receipts_root, mark, logs)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return logs


def _mark(followed: Followed) -> bytes:
    """Return what tells one set of contracts and topics from another."""
    contracts = sorted(address + since.to_bytes(8) for address, since in followed.contracts.items())
    return keccak(b"".join([*contracts, *sorted(followed.topics)]))
