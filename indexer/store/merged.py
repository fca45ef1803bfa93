"""The raw rows of one chain in two stores as one: what was read again counts where both speak of the same thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.model import Block
from chains.ports import RawReader
from indexer.steps import Place
from indexer.store.raw import RAW, RawTable, known

LOGS = "evm_log"
"""The table that holds most, and whose rows numbers tell apart."""


class MergedRaw:
    """The `RawReader` of what is `stored`, without logs that are `gone`, and of what was `read` again."""

    def __init__(self, stored: RawReader, read: RawReader, gone: Collection[Place] = ()) -> None:
        self._stored = stored
        self._read = read
        self._gone = frozenset(gone)

    def blocks(self, first: int, last: int) -> list[Block]:
        found = {block.number: block for side in (self._stored, self._read) for block in side.blocks(first, last)}
        return [found[number] for number in sorted(found)]

    def table(self, name: str, first: int, last: int) -> pa.Table:
        table = known(RAW, name)
        ours, theirs = self._stored.table(name, first, last), self._read.table(name, first, last)
        if self._gone and table.name == LOGS:
            ours = ours.filter(pa.array(~np.isin(places(ours), [packed(place) for place in self._gone])))
        if not theirs.num_rows:
            return ours
        new = (
            theirs
            if not ours.num_rows
            else pa.concat_tables([ours.filter(pc.invert(repeated(table, ours, theirs))), theirs])
        )
        return new.sort_by([(column, "ascending") for column in table.identity])


def repeated(table: RawTable, ours: pa.Table, theirs: pa.Table) -> pa.Array:
    """Which of our rows are of things of which the others speak too."""
    if table.name == LOGS:
        return pa.array(np.isin(places(ours), places(theirs)))
    said = set(identities(table, theirs))
    return pa.array([identity in said for identity in identities(table, ours)], pa.bool_())


def identities(table: RawTable, rows: pa.Table) -> Iterator[tuple[object, ...]]:
    """What makes each row the one that it is."""
    return zip(*(rows[name].to_pylist() for name in table.identity), strict=True)


def places(logs: pa.Table) -> npt.NDArray[np.int64]:
    """Where each log stands, as one number."""
    blocks, indexes = (logs[name].to_numpy().astype(np.int64) for name in ("block_number", "log_index"))
    return np.asarray((blocks << 32) + indexes)


def packed(place: Place) -> int:
    return (place.block << 32) + place.log_index
