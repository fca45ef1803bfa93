"""A few columns of rows, without the others: of rows that are kept as columns, millions of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from aggregator.audit.columns import ROWS_PER_GROUP
from aggregator.audit.lines import Columns, Row


def picked(rows: Collection[Row], *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield what each row has in some columns."""
    if not isinstance(rows, Columns):
        yield from (tuple(row[name] for name in names) for row in rows)
        return
    for batch in rows.table.select(names).to_batches(max_chunksize=ROWS_PER_GROUP):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def counted(rows: Collection[Row], *names: str) -> Counter[tuple[Any, ...]]:
    """Count rows by what they have in some columns."""
    if not isinstance(rows, Columns):
        return Counter(picked(rows, *names))
    whole = pa.table({name: _without_words(rows.table[name]) for name in names})
    found = whole.group_by(list(names)).aggregate([([], "count_all")])
    keys = zip(*(found[name].to_pylist() for name in names), strict=True)
    return Counter(dict(zip(keys, found["count_all"].to_pylist(), strict=True)))


def taken(rows: Collection[Row], numbers: Sequence[int]) -> list[Row]:
    """Return some rows by their numbers."""
    if isinstance(rows, Columns):
        found: list[Row] = rows.table.take(pa.array(numbers, pa.int64())).to_pylist()
        return found
    return [next(islice(rows, number, None)) for number in numbers]


def _without_words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts themselves, where chunks have their own words."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
