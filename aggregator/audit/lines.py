"""The signed form of tables: a row a line, in canonical JSON, in the order of what it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aggregator.audit.columns import ROWS_AT_ONCE, ROWS_PER_GROUP, lines_of_table

Row = Mapping[str, Any]

KEYS: Mapping[str, tuple[str, ...]] = {
    "as_of": ("chain_id",),
    "accounts": ("account",),
    "units": ("venue_id", "unit_id"),
    "liabilities": ("venue_id", "unit_id"),
    "positions": ("venue_id", "unit_id", "market", "side", "asset", "protocol_raw"),
    "totals": ("venue_id", "total", "market", "contract", "told_by"),
    "holdings": ("venue_id", "asset", "market", "contract"),
    "proofs": ("venue_id", "unit_id", "contract"),
    "account_bytes": ("venue_id", "unit_id"),
    "looks": ("venue_id",),
    "agreements": ("venue_id", "unit_id"),
    "price_proofs": ("place", "chain_id", "name"),
    "memberships": ("account", "digest"),
    "messages": ("protocol", "message"),
    "marks": ("identity", "feeds"),
    "inputs": ("part", "key"),
}
"""By which columns each table is ordered; no two rows have the same."""


REPEATED = pa.dictionary(pa.int32(), pa.string())
"""Texts of which the same are held once for so many rows."""


class Columns(Collection[Row]):
    """Rows that are kept as columns, and made again, some at a time, by whoever goes through them."""

    def __init__(self, rows: Iterable[Row], schema: pa.Schema) -> None:
        groups: list[pa.Table] = []
        batches = (pa.RecordBatch.from_pylist(some, schema=schema) for some in _some(rows))
        while group := [*islice(batches, ROWS_PER_GROUP // ROWS_AT_ONCE)]:
            groups.append(pa.Table.from_batches(group).combine_chunks())
        self.table = pa.concat_tables(groups) if groups else schema.empty_table()

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Keep the rows of a table as they are."""
        found = cls((), table.schema)
        found.table = table
        return found

    @classmethod
    def of_tables(cls, tables: Iterable[pa.Table], order: NDArray[np.int64], schema: pa.Schema) -> Self:
        """Keep the rows of some tables in another order, as if they had been made in it."""
        whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
        groups = [
            _group(whole.take(pa.array(order[first : first + ROWS_PER_GROUP])), schema)
            for first in range(0, len(order), ROWS_PER_GROUP)
        ]
        return cls.of(pa.concat_tables(groups) if groups else schema.empty_table())

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order."""
        for batch in self.table.to_batches(max_chunksize=ROWS_AT_ONCE):
            yield from batch.to_pylist()

    def __contains__(self, row: object) -> bool:
        """Say whether a row is among them."""
        return any(each == row for each in self)


def _group(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Hold of each column whose texts repeat those that these rows have, in the order in which they come."""
    plain = pa.schema([field.with_type(pa.string()) if field.type == REPEATED else field for field in schema])
    found = rows.combine_chunks().cast(plain)
    columns = [
        found[field.name].dictionary_encode() if field.type == REPEATED else found[field.name] for field in schema
    ]
    return pa.table(columns, schema=schema).combine_chunks()


def _some(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while some := [*islice(rows, ROWS_AT_ONCE)]:
        yield some


def ordered(name: str, rows: Iterable[Row]) -> list[Row]:
    """Put rows into the order of their table."""
    return sorted(rows, key=lambda row: tuple(str(row[column]) for column in KEYS[name]))


def rows_hash(path: Path) -> str:
    """Return the hash of the lines that the rows of a Parquet copy would be: equal to that of the table itself."""
    hashed = hashlib.sha256()
    for batch in pq.ParquetFile(path).iter_batches():
        for lines in lines_of_table(pa.Table.from_batches([batch])):
            hashed.update(lines)
    return f"sha256:{hashed.hexdigest()}"
