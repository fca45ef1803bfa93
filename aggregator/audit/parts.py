"""The tables of a large book: accounts are judged and written down by parts, in processes of this machine, and no assessment is kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aggregator.arrayed import entries_of, marks_of_book, tables_of
from aggregator.arrays.book import Entry
from aggregator.arrays.entries import estimates_of, sharing
from aggregator.arrays.legs import Leg, Price
from aggregator.arrays.tables import margin_tables
from aggregator.audit import inputs as packed
from aggregator.audit.lines import KEYS, Columns, Row, ordered
from aggregator.audit.tables import held_schema, rows_of, rows_of_accounts, rows_of_everybody, unit_key
from aggregator.book import Book, BookInputs, judged, parted
from aggregator.pooled import PartFailed, each_in_processes
from aggregator.told import Told, each_told, untold

ACCOUNTS_A_PART = 1_000

FEW, PARTS_EACH = 8, 4
"""Parts that are better judged here, and for how many of them there is a process: to start one takes as long, and a quarter of a GB."""

ROOM = "nothing was written; make room, or name another folder by TMPDIR, and try again"

Rows = Mapping[str, Columns]
"""The tables of a snapshot, by name."""

MarginTables = Callable[[str, int], dict[str, pa.Table]]
"""Makes of the name and the moment of a snapshot what `Store.replace_margin` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some accounts of a book, written down.

    `number`: which part it is. `tables`: accounts, units, positions and the inputs of units, which are taken out of it; `keys`: what the
    rows of each are ordered by, and `rows`: how many rows of positions each unit has. `few`: rows of liabilities and marks. `entries`,
    `marks`: what SQL computes from.
    """

    number: int
    tables: dict[str, pa.Table]
    keys: Mapping[str, Sequence[tuple[str, ...]]]
    rows: Sequence[int]
    few: Mapping[str, Sequence[Row]]
    entries: tuple[Entry, ...]
    marks: Mapping[str, Price | None]


def written_down(
    book: Book, *, accounts: int = ACCOUNTS_A_PART, apart: bool = True, told: Told = untold
) -> tuple[Rows, MarginTables]:
    """Judge everybody who has something by the inputs of a book, and return the tables of its snapshot; all else is the book's.

    By parts of so many accounts where there are more than a few; `apart`: in processes of their own, which read files of this one's.
    Raises `PartFailed`, which says of which accounts these died, or why the files could not be written.
    """
    parts = [*parted(book.inputs, accounts)]
    if len(parts) <= FEW:
        found = judged(book.inputs, told=told)
        whole = replace(book, accounts=found.accounts, units=found.units, context=found.context)
        rows = {name: Columns(table, held_schema(name)) for name, table in rows_of(whole).items()}
        return rows, lambda name, slot_time: tables_of(whole, snapshot_id=name, slot_time=slot_time)
    if apart:
        try:
            with TemporaryDirectory(prefix="crossmargin-book-") as folder:
                made = _judged_apart(book, parts, Path(folder), told)
        except OSError as error:  # nobody else's: what is judged reads and writes nothing
            raise PartFailed(f"parts of the book cannot be kept meanwhile: {error}; {ROOM}") from error
    else:
        each = enumerate(each_told(told, JUDGING, parts))
        made = [part_of(_judged_by(book, inputs), number) for number, inputs in each]
    return _rows(book, made), lambda name, slot_time: _margin_tables(book, made, name, slot_time)


def _judged_apart(book: Book, parts: list[BookInputs], folder: Path, told: Told) -> list[Part]:
    """Let processes judge parts, which they read from a folder."""
    common = replace(book, inputs=packed.without_units(book.inputs), account_bytes={}, prices=(), messages=(), sent=())
    (folder / COMMON).write_bytes(pickle.dumps(common))
    places = [folder / f"{number:05d}" for number in range(len(parts))]
    for place, part in zip(places, parts, strict=True):
        place.write_bytes(pickle.dumps((part.catalogue.accounts, part.venues)))
    parts.clear()
    made: list[Part] = []
    told(JUDGING, 0, len(places))
    for each in each_in_processes(_judged, places, _named, parts_each=PARTS_EACH):
        made.append(each)
        told(JUDGING, len(made), len(places))
    return sorted(made, key=_number)


def _number(part: Part) -> int:
    return part.number


COMMON, JUDGING = "book", "judging accounts"


def _named(place: Path) -> str:
    first = int(place.name) * ACCOUNTS_A_PART
    return f"judging accounts {first + 1:,} to {first + ACCOUNTS_A_PART:,}"


@lru_cache(1)
def _common(place: Path) -> Book:
    found: Book = pickle.loads(place.read_bytes())  # noqa: S301 - a file of this program's own, which nobody else can write
    return found


def _judged(place: Path) -> Part:
    book = _common(place.with_name(COMMON))
    accounts, venues = pickle.loads(place.read_bytes())  # noqa: S301 - as above
    catalogue = replace(book.inputs.catalogue, accounts=accounts)
    return part_of(_judged_by(book, replace(book.inputs, catalogue=catalogue, venues=venues)), int(place.name))


def _judged_by(book: Book, inputs: BookInputs) -> Book:
    """Return a book of everybody who has something by other inputs; all else is the book's."""
    found = judged(inputs)
    return replace(book, inputs=found.inputs, context=found.context, accounts=found.accounts, units=found.units)


def part_of(book: Book, number: int) -> Part:
    """Write down a judged book that is a part of another."""
    rows = {**rows_of_accounts(book), packed.INPUTS: ordered(packed.INPUTS, packed.rows_of_units(book.inputs))}
    tables = {name: Columns(rows[name], held_schema(name)).table for name in LARGE}
    units = sorted(((unit_key(each), len(each.unit.positions)) for each in book.units), key=_first)
    keys = {
        name: [*zip(*(table[column].to_pylist() for column in KEYS[name]), strict=True)]
        for name, table in tables.items()
        if name != POSITIONS
    }
    return Part(
        number=number,
        tables=tables,
        keys={**keys, POSITIONS: [key for key, _ in units]},
        rows=[count for _, count in units],
        few={name: [*rows[name]] for name in FEW_ROWS},
        entries=sharing(entries_of(book), {}),
        marks=marks_of_book(book),
    )


POSITIONS = "positions"
LARGE, FEW_ROWS = ("accounts", "units", POSITIONS, packed.INPUTS), ("liabilities", "marks")


def _first(pair: tuple[tuple[str, str], int]) -> tuple[str, str]:
    return pair[0]


def _rows(book: Book, parts: Sequence[Part]) -> Rows:
    """Put the rows of all parts into the order of their tables."""
    rest = Columns(ordered(packed.INPUTS, packed.rows_of_everybody(book)), held_schema(packed.INPUTS)).table
    found = {name: Columns(rows, held_schema(name)) for name, rows in rows_of_everybody(book).items()}
    for name in LARGE:
        tables = [part.tables.pop(name) for part in parts]
        keys = [key for part in parts for key in part.keys[name]]
        if name == packed.INPUTS:
            tables.append(rest)
            keys += zip(*(rest[column].to_pylist() for column in KEYS[name]), strict=True)
        sizes = [count for part in parts for count in part.rows] if name == POSITIONS else [1] * len(keys)
        found[name] = Columns.of_tables(tables, _order(keys, np.array(sizes, np.int64)), held_schema(name))
    marks = {(row["identity"], row["feeds"]): row for part in parts for row in part.few["marks"]}
    few = {"liabilities": chain.from_iterable(part.few["liabilities"] for part in parts), "marks": marks.values()}
    return found | {name: Columns(ordered(name, rows), held_schema(name)) for name, rows in few.items()}


def _order(keys: Sequence[tuple[str, ...]], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of rows in the order of their keys, of which each has so many rows one after the other."""
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    begins, counts = (np.cumsum(sizes) - sizes)[order], sizes[order]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found: NDArray[np.int64] = np.repeat(begins, counts) + within
    return found


def _margin_tables(book: Book, parts: Sequence[Part], name: str, slot_time: int) -> dict[str, pa.Table]:
    legs: dict[Leg, Leg] = {}
    return margin_tables(
        (entry for part in parts for entry in sharing(part.entries, legs)),
        {mark: price for part in parts for mark, price in part.marks.items()},
        estimates_of(book.context),
        snapshot_id=name,
        slot_time=slot_time,
    )
