"""What units hold, out of rows of a journal as columns: the last row of each key, and the positions of each unit made of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chains.model import Side
from indexer.store.journals import tags_of

MOST_CELLS = 1 << 26
"""Of a table with a cell of four bytes for each unit and key: where it would have more, rows are sorted instead."""

Numbers = NDArray[np.int64]
Key = tuple[bytes, Side]
"""Market and side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The last row of each key of some units, by unit and key.

    `units`: ids in order; `keys`: in order; of each row `unit` and `key` by their numbers there, `amounts_raw` (decimals), `places` in the
    chain, and in `owners` who is named that is not the unit itself, else null.
    """

    units: Sequence[bytes]
    keys: Sequence[Key]
    unit: Numbers
    key: Numbers
    amounts_raw: pa.Array
    places: Numbers
    owners: pa.Array

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.unit)

    def positions(self) -> Iterator[dict[Key, int]]:
        """Yield what each unit holds that is not zero."""
        amounts = integers(self.amounts_raw)
        kept = [number for number, amount in enumerate(amounts) if amount]
        keys = list(map(self.keys.__getitem__, self.key[kept].tolist()))
        held = list(map(amounts.__getitem__, kept))
        ends = np.searchsorted(self.unit[kept], np.arange(len(self.units) + 1)).tolist()
        for begin, end in pairwise(ends):
            yield dict(zip(keys[begin:end], held[begin:end], strict=True))

    def owned(self) -> list[tuple[int, bytes]]:
        """Return the place of each unit's last row, and who owns it since then: of rows of one place the greatest name."""
        if not self.units:
            return []
        newest = np.maximum.reduceat(self.places, np.flatnonzero(np.diff(self.unit, prepend=-1)))
        named = list(self.units)
        if self.owners.null_count < len(self):
            rows = np.flatnonzero(self.places == newest[self.unit])
            owners: dict[int, bytes] = {}
            for number, other in zip(
                self.unit[rows].tolist(), self.owners.take(pa.array(rows)).to_pylist(), strict=True
            ):
                owners[number] = max(owners.get(number, b""), self.units[number] if other is None else other)
            named = [owners[number] for number in range(len(named))]
        return list(zip(newest.tolist(), named, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The first cell of some units: `unit_id`, `unit_tag`, `first_cell`; `tags`: theirs, where a tag does not tell one unit."""

    first: pa.Table
    tags: list[int] = field(default_factory=list)


def cells_of(units: pa.Table, keys: Sequence[Key]) -> Iterator[Cells]:
    """Yield units, given in order, that have a tag of their own, and then those that share one: a unit has a cell for each key."""
    first_cell = (np.arange(len(units)) * len(keys)).astype(_number_of(len(units) * len(keys)))
    tags = tags_of(units["unit_id"])
    first = units.append_column("unit_tag", tags).append_column("first_cell", pa.array(first_cell))
    ordered = np.sort(tags.to_numpy())
    shared = np.unique(ordered[1:][np.diff(ordered) == 0])
    shares = np.isin(tags.to_numpy(), shared)
    yield Cells(first=first.filter(pa.array(~shares)))
    if len(shared):
        yield Cells(first=first.filter(pa.array(shares)), tags=shared.tolist())


def numbers_of(keys: Sequence[Key]) -> pa.Table:
    """Return keys with their numbers."""
    markets = pa.array([market for market, _ in keys], pa.binary())
    sides = pa.array([side.value for _, side in keys], pa.string())
    return pa.table({"market": markets, "side": sides, "number": np.arange(len(keys), dtype=np.int32)})


def holding_of(rows: pa.Table, units: Sequence[bytes], keys: Sequence[Key]) -> Holding:
    """Find the last row of each cell among rows in any order: `cell`, `owner`, `amount_raw`, `place`."""
    places = rows["place"].to_numpy()
    cells, last = _last_of_each(rows["cell"].to_numpy(), len(units) * len(keys), places)
    unit = cells // max(len(keys), 1)
    return Holding(
        units=units,
        keys=keys,
        unit=unit,
        key=cells - unit * len(keys),
        amounts_raw=_of_rows(rows["amount_raw"], last),
        places=np.take(places, last),
        owners=_of_rows(rows["owner"], last),
    )


def _of_rows(column: pa.ChunkedArray, rows: Numbers) -> pa.Array:
    """Return what a column says in some rows, in one piece."""
    if column.null_count == len(column):
        return pa.nulls(len(rows), column.type)
    return pa.concat_arrays(column.take(pa.array(rows)).chunks)


def _last_of_each(cells: NDArray[np.int32 | np.int64], size: int, places: Numbers) -> tuple[Numbers, Numbers]:
    """Return cells in order, and the number of the last row of each."""
    numbers: NDArray[np.int32 | np.int64] = np.arange(len(cells), dtype=_number_of(size))
    if (places[1:] < places[:-1]).any():
        numbers = np.argsort(places, kind="stable")
        cells = cells[numbers]
    if size <= MOST_CELLS:
        last = np.full(size, -1, np.int32)
        last[cells] = numbers  # of a cell that comes again, the last one stays
        found = np.flatnonzero(last >= 0)
        return found, last[found].astype(np.int64)
    found, newest = np.unique(cells[::-1], return_index=True)
    return found.astype(np.int64), numbers[::-1][newest].astype(np.int64)


def _number_of(size: int) -> type[np.int32 | np.int64]:
    """Return the kind of numbers in which so many cells are counted: of small ones, twice as many are near."""
    return np.int32 if size <= MOST_CELLS else np.int64


def integers(column: pa.Array) -> list[int]:
    """Return decimals of 128 bits without fractions as integers."""
    halves = np.frombuffer(column.buffers()[1] or b"", np.int64)[2 * column.offset :][: 2 * len(column)]
    low, high = halves[::2].astype(np.uint64), halves[1::2]
    if not high.any():
        return [*low.tolist()]
    return [(above << 64) | below for above, below in zip(high.tolist(), low.tolist(), strict=True)]
