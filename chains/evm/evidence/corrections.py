"""What nodes are known to have left out of their answers, or put in, so that the same span is not taken in wrong again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from chains.evm.emitters import first_block
from chains.evm.evidence.by_receipts import BY_RECEIPTS
from chains.evm.evidence.compare import Difference
from chains.evm.logs import LOG_SCHEMA, TOPIC_COLUMNS, in_order
from chains.model import Block

MOST = 100_000


class Corrections:
    """Logs by their place. A log that some node gave, in whatever answer, is there; that one is not, only receipts tell."""

    def __init__(self) -> None:
        self._missing: dict[tuple[int, int], Difference] = {}
        self._extra: dict[tuple[int, int], Difference] = {}

    def note(self, differences: Iterable[Difference]) -> bool:
        """Remember what is wrong with answers, and tell whether any of it is new; the oldest is forgotten where it is too much."""
        fresh = False
        for difference in differences:
            place = difference.block, difference.log.log_index
            if difference.missing:
                fresh |= self._missing.get(place) != difference
                self._missing[place] = difference
            elif difference.said_by == BY_RECEIPTS:
                fresh |= self._extra.get(place) != difference
                self._extra[place] = difference
        for noted in (self._missing, self._extra):
            while len(noted) > MOST:
                del noted[next(iter(noted))]
        return fresh

    def applied(self, logs: pa.Table, first: int, last: int, contracts: Mapping[bytes, int]) -> pa.Table:
        """Return logs of blocks `first`..`last` as they are known to be, those of contracts from their first block on."""
        if not self._missing and not self._extra:
            return logs
        return self._with_missing(self._without_extra(logs), first, last, contracts)

    def still(self, logs: pa.Table, blocks: Mapping[int, Block]) -> pa.Table:
        """Return logs without those that were put in for a block that the chain has left since; they are forgotten."""
        gone = [
            place
            for place, noted in self._missing.items()
            if place[0] in blocks and blocks[place[0]].hash != noted.block_hash
        ]
        for place in gone:
            del self._missing[place]
        return self._without(logs, set(gone)) if gone else logs

    def _without_extra(self, logs: pa.Table) -> pa.Table:
        hashes = logs["block_hash"].to_pylist()
        places = list(zip(logs["block_number"].to_pylist(), logs["log_index"].to_pylist(), strict=True))
        wrong = [self._says(self._extra, place, digest) for place, digest in zip(places, hashes, strict=True)]
        return logs.filter(pa.array(~np.array(wrong, np.bool_))) if any(wrong) else logs

    def _with_missing(self, logs: pa.Table, first: int, last: int, contracts: Mapping[bytes, int]) -> pa.Table:
        there = set(zip(logs["block_number"].to_pylist(), logs["log_index"].to_pylist(), strict=True))
        lacking = [
            difference
            for place, difference in sorted(self._missing.items())
            if first <= place[0] <= last
            and place not in there
            and first_block(contracts, difference.log.address, difference.log.topics) <= place[0]
        ]
        return in_order(pa.concat_tables([logs, table_of(lacking)])) if lacking else logs

    @staticmethod
    def _without(logs: pa.Table, places: set[tuple[int, int]]) -> pa.Table:
        there = zip(logs["block_number"].to_pylist(), logs["log_index"].to_pylist(), strict=True)
        return logs.filter(pa.array([place not in places for place in there], pa.bool_()))

    @staticmethod
    def _says(noted: dict[tuple[int, int], Difference], place: tuple[int, int], digest: bytes) -> bool:
        difference = noted.get(place)
        return difference is not None and difference.block_hash == digest


def table_of(differences: Iterable[Difference]) -> pa.Table:
    """Return the logs of differences as columns."""
    rows = [
        {
            "block_number": difference.block,
            "tx_index": difference.log.tx_index,
            "log_index": difference.log.log_index,
            "block_hash": difference.block_hash,
            "tx_hash": difference.log.tx_hash,
            "address": difference.log.address,
            **dict(zip(TOPIC_COLUMNS, difference.log.topics, strict=False)),
            "data": difference.log.data,
        }
        for difference in differences
    ]
    return pa.Table.from_pylist(rows, schema=LOG_SCHEMA)
