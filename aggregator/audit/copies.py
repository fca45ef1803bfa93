"""Checks tables by their Parquet copies: where the lines of a copy are the table's own, its columns are known without reading these.

What the stand-alone verifier reads line by line is compared and summed up in columns here. Where anything is not as it must be, nothing
is said: the stand-alone verifier then names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from itertools import pairwise
from operator import le, lt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregator.audit import tree_index, verifier
from aggregator.audit.columns import MANY, ROWS_PER_GROUP, lines_of_table
from aggregator.audit.verifier import HELD, LARGEST, OWN, POSITIONS, STATUS, UNITS, Fault, Json, Part, Rows, Run

BLOCK = 1 << 18
"""Bytes of a table that are looked at together, and stay near."""

KINDS = {pa.string(), pa.int64(), pa.bool_()}


def is_sound(folder: Path, manifest: Json, run: Run) -> bool:
    """Whether all tables are canonical, ordered, as many rows as the manifest says, those of their copies, and lead to its tree.

    `False` says nothing but that it was not found so here.
    """
    from aggregator.audit.tables import repeated_in  # noqa: PLC0415 - imports all that makes books, which other processes need not

    try:
        terms = {name: (tuple(said["columns"]), tuple(said["key"])) for name, said in manifest["tables"].items()}
        groups = {name: _groups(folder, name, *terms[name]) for name in sorted(terms)}
        repeated = {name: tuple(repeated_in(name)) for name in groups}
        rows = {name: said["rows"] for name, said in manifest["tables"].items()}
        calls = [(*each, repeated[name], rows[name]) for name, parts in groups.items() for each in parts]
        read = iter(run(rows_of, calls))
        units, positions = (
            _table(folder / f"{name}.parquet", (*OWN, *more), repeated[name])
            for name, more in ((UNITS, [STATUS]), (POSITIONS, HELD))
        )
        root = tree_index.root_of(folder, units, positions, terms, run)
        found = {name: [next(read) for _ in each] for name, each in groups.items()}
        counts = {name: verifier.counted(rows, le if name == POSITIONS else lt) for name, rows in found.items()}
        return counts == rows and verifier.described(root) == manifest["tree"]
    except (Fault, OSError, BrokenExecutor, pa.ArrowException, *verifier.UNREADABLE):
        return False


def rows_of(part: Part, group: int, repeated: Sequence[str], rows: int) -> Rows:
    """Compare a part of a table with a group of rows of its copy; raises `Fault` where it is another, or not in its order.

    `repeated`: columns whose texts are read once where they are the same; `rows`: how many the table has.
    """
    name = part.path.stem
    with pq.ParquetFile(part.path.with_suffix(".parquet"), read_dictionary=repeated) as copy:
        table = copy.read_row_group(group, use_threads=False)
    for field in table.schema:
        if pa.types.is_integer(field.type) and _beyond(table[field.name]):
            raise Fault(f"{name} has integers that other readers would round")
    _compare(part, table, many=rows >= MANY)
    keys = [_key(table[column]) for column in part.key]
    follows = pa.scalar(name == POSITIONS)
    for key in reversed(keys):
        before, after = key.order[:-1], key.order[1:]
        follows = pc.or_(pc.less(before, after), pc.and_(pc.equal(before, after), follows))
    if len(table) > 1 and not pc.all(follows, skip_nulls=False).as_py():
        raise Fault(f"{name}: not all lines are in their order")
    return Rows(len(table), (tuple(key.first for key in keys), tuple(key.last for key in keys)))


def _groups(folder: Path, name: str, columns: tuple[str, ...], key: tuple[str, ...]) -> list[tuple[Part, int]]:
    """Cut a table where groups of its copy's rows begin; raises `Fault` for a copy of other columns or groups."""
    with pq.ParquetFile(folder / f"{name}.parquet") as copy:
        groups = [copy.metadata.row_group(group).num_rows for group in range(copy.num_row_groups)]
        sizes = groups if copy.metadata.num_rows else []
        names, kinds = copy.schema_arrow.names, set(copy.schema_arrow.types)
    if sorted(names) != sorted(columns) or not kinds <= KINDS or not all(map(str.isascii, names)):
        raise Fault(f"the copy of {name} has other columns")
    path = folder / f"{name}.ndjson"
    spans = list(pairwise(_starts(path)))
    if len(spans) != len(sizes) or any(size != ROWS_PER_GROUP for size in sizes[:-1]):
        raise Fault(f"the copy of {name} has other groups of rows")
    return [(Part(path, *span, columns, key), group) for group, span in enumerate(spans)]


def _compare(part: Part, table: pa.Table, *, many: bool) -> None:
    """Raise `Fault` where lines are not those of a table, and `ArrowException` for what is no text."""
    table.validate(full=True)
    read = bytearray()
    with part.path.open("rb", 0) as file:
        file.seek(part.begin)
        for lines in lines_of_table(table, many=many):
            if len(read) < len(lines):
                read = bytearray(len(lines))
            own = memoryview(read)[: len(lines)]
            if file.readinto(own) < len(own) or not pa.py_buffer(own).equals(pa.py_buffer(lines)):
                raise Fault(f"{part.path.name} has other lines than its copy")
        if file.tell() != part.end:
            raise Fault(f"{part.path.name} has more lines than its copy")


def _starts(path: Path) -> list[int]:
    """Return where the first line of each group of rows begins, and where the last one ends."""
    starts, seen, at = [0], 0, 0
    block, ends = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.bool_)
    with path.open("rb", 0) as file:
        while size := file.readinto(block.data):
            found = np.equal(block[:size], ord("\n"), out=ends[:size])
            count = int(np.count_nonzero(found))
            if wanted := range(-seen % ROWS_PER_GROUP or ROWS_PER_GROUP, count + 1, ROWS_PER_GROUP):
                places = np.flatnonzero(found)
                starts += [at + int(places[number - 1]) + 1 for number in wanted]
            seen, at = seen + count, at + size
    return starts if starts[-1] == at else [*starts, at]


def _beyond(column: pa.ChunkedArray) -> bool:
    ends = pc.min_max(column).as_py()
    return any(abs(end) > LARGEST for end in ends.values() if end is not None)


class _Key(NamedTuple):
    """What a column says of the order of rows: values that are ordered as its texts are, and the texts of the first and the last row."""

    order: pa.Array
    first: bytes
    last: bytes


def _key(column: pa.ChunkedArray) -> _Key:
    """Return what a column says of the order of rows, as `verifier.key_of` does; raises `Fault` for truths."""
    if pa.types.is_boolean(column.type):
        raise Fault("rows are ordered by truths")
    whole = column.combine_chunks()
    first, last = (str(whole[at].as_py()).encode() for at in (0, -1))
    return _Key(_ranks(whole) if pa.types.is_dictionary(whole.type) else _texts(whole), first, last)


def _texts(column: pa.Array) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), str(None))


def _ranks(column: pa.DictionaryArray) -> pa.Array:
    words = [*column.dictionary.to_pylist(), str(None)]
    rank_of = {word: rank for rank, word in enumerate(sorted(set(words)))}
    ranks = pa.array([rank_of[word] for word in words], pa.int64())
    return ranks.take(pc.fill_null(column.indices, len(words) - 1))


def _table(path: Path, columns: Sequence[str], repeated: Sequence[str]) -> pa.Table:
    """Read what the tree is made of; raises `Fault` for names that are more than a line."""
    table = pq.read_table(path, columns=list(columns), read_dictionary=repeated)
    for column in OWN:
        words = [chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk for chunk in table[column].chunks]
        if any(pc.any(pc.match_substring(each, "\n")).as_py() for each in words):
            raise Fault(f"{path.name} has names of more than a line")
    return table
