"""What is stored of a block beside what the block holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from chains.evm.emitters import contract_of, first_block
from chains.evm.evidence.receipts import BlockLog
from chains.evm.logs import TOPIC_COLUMNS


class Followed(NamedTuple):
    """What is taken in: logs with one of `topics` first, of contracts (`chains.evm.emitters`) from a first block on."""

    contracts: Mapping[bytes, int]
    topics: frozenset[bytes]

    def has(self, block: int, log: BlockLog) -> bool:
        """Tell whether a log of a block is one to take in."""
        if not log.topics or log.topics[0] not in self.topics:
            return False
        return first_block(self.contracts, log.address, log.topics) <= block

    def addresses(self, block: int) -> list[bytes]:
        """Return the contracts that count in a block."""
        return sorted({contract_of(key) for key, since in self.contracts.items() if since <= block})


class Difference(NamedTuple):
    """A log that a block holds and the store does not (`missing`), or the other way round; `said_by` names the evidence."""

    missing: bool
    block: int
    block_hash: bytes
    log: BlockLog
    said_by: str

    def __str__(self) -> str:
        verb = "lacks" if self.missing else "has, and the block has not,"
        topic = self.log.topics[0].hex() if self.log.topics else "none"
        return (
            f"the store {verb} log {self.log.log_index} of block {self.block}: contract 0x{self.log.address.hex()},"
            f" topic 0x{topic}, transaction 0x{self.log.tx_hash.hex()} ({self.said_by})"
        )


def by_block(table: pa.Table) -> dict[int, list[BlockLog]]:
    """Return the logs of a table by block, in order."""
    columns = ("block_number", "log_index", "tx_index", "tx_hash", "address", "data", *TOPIC_COLUMNS)
    found: dict[int, list[BlockLog]] = {}
    for number, place, tx_index, tx_hash, address, data, *topics in zip(
        *(table[name].to_pylist() for name in columns), strict=True
    ):
        said = tuple(topic for topic in topics if topic is not None)
        found.setdefault(number, []).append(BlockLog(place, tx_index, tx_hash, address, said, data))
    return found


def differences(
    block: int, block_hash: bytes, stored: Sequence[BlockLog], there: Sequence[BlockLog], said_by: str
) -> list[Difference]:
    """Return what the store lacks of a block and what it has beyond it; a transaction's hash is no part of a receipt and not compared."""
    ours, theirs = _keyed(stored), _keyed(there)
    lacking = [log for key, log in theirs.items() if key not in ours]
    beyond = [log for key, log in ours.items() if key not in theirs]
    return [
        *(Difference(True, block, block_hash, log, said_by) for log in lacking),  # noqa: FBT003 - its first field
        *(Difference(False, block, block_hash, log, said_by) for log in beyond),  # noqa: FBT003 - ditto
    ]


def numbered_otherwise(stored: Sequence[BlockLog], there: Sequence[BlockLog]) -> bool:
    """Tell whether both hold the same logs in the same order and only count them in another way."""
    return [log[3:] for log in stored] == [log[3:] for log in there]


def _keyed(logs: Iterable[BlockLog]) -> dict[tuple[object, ...], BlockLog]:
    return {(log.log_index, log.tx_index, *log[3:]): log for log in logs}
