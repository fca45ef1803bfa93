"""The shape of the derived tables, and how folded rows become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import AMOUNT, SCHEMAS, TOO_WIDE, joined
from chains.model import FEEDS, Quarantined, Rows

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journal:
    """A derived table: rows of one `field` of `Rows`, behind `chain_id`; `tip` holds the last row of every `key`."""

    name: str
    field: str
    tip: str | None = None
    key: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of the table's columns after `chain_id`."""
        return ["block_number", *SCHEMAS[self.field].names[1:]]

    @property
    def tags(self) -> Mapping[str, str]:
        """The columns behind these that number units and owners (`tags_of`), and what they number; none where rows are of no unit."""
        return {"unit_tag": "unit_id", "owner_tag": "owner"} if "unit_id" in self.key else {}

    def fields(self, *names: str) -> tuple[int, ...]:
        """Which fields of a row those columns are."""
        return tuple(self.columns.index(name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """Rows for a journal as columns in chain order, and which of them are the last of their key."""

    journal: Journal
    rows: pa.Table
    last: pa.Array


POSITIONS = Journal(
    name="position_change",
    field="positions",
    tip="position_current",
    key=("venue_id", "unit_id", "market", "side"),
)
MARKETS = Journal(name="market_change", field="markets", tip="market_current", key=("venue_id", "market", "aspect"))
ACCOUNTS = Journal(
    name="account_change",
    field="accounts",
    tip="account_current",
    key=("venue_id", "unit_id", "market", "aspect"),
)
PRICES = Journal(name="price_observation", field="prices", tip="price_current", key=("source",))
EVENTS = Journal(name="lending_event", field="events")
QUARANTINE = Journal(name="quarantine", field="quarantined")

JOURNALS = (POSITIONS, MARKETS, ACCOUNTS, PRICES, EVENTS)
DERIVED = (*JOURNALS, QUARANTINE)

_MOST_CODES = 2**62

TAG_BYTES = 4


class Derivation:
    """The tables of folded rows, made when they are first asked for, by whichever thread that is, and once."""

    def __init__(self, rows: Rows) -> None:
        self._rows: Rows | None = rows
        self._tables: list[Derived] = []
        self._lock = Lock()

    def tables(self) -> list[Derived]:
        """Return the tables; the rows are let go."""
        with self._lock:
            if self._rows is not None:
                self._tables, self._rows = derive(self._rows), None
        return self._tables


def derive(rows: Rows) -> list[Derived]:
    """The columns of every derived table that has rows; a row with an amount that fits no column is in quarantine instead."""
    quarantined = list(rows.quarantined)
    derived = []
    for journal in JOURNALS:
        given = unique(journal, getattr(rows, journal.field))
        if too_wide(journal, given):
            quarantined += [word for row in given for word in words(journal, row)]
            given = [row for row in given if not words(journal, row)]
        derived.append(arranged(journal, joined(journal.field, given, rows.columns.get(journal.field, ()))))
    derived.append(
        arranged(QUARANTINE, joined(QUARANTINE.field, sorted(quarantined), rows.columns.get(QUARANTINE.field, ())))
    )
    return [table for table in derived if table.rows.num_rows]


def unique(journal: Journal, rows: list[Row]) -> list[Row]:
    """Of several values that one key takes at one instant the last one given: only that one outlives the instant."""
    if not journal.key:
        return rows
    identity = itemgetter(*journal.fields("block_number", "ordinal", *journal.key))
    return list({identity(row): row for row in rows}.values())


def too_wide(journal: Journal, rows: Sequence[Row]) -> bool:
    """Whether any row has an amount that no column can hold."""
    return any(
        min(amounts) <= -TOO_WIDE or max(amounts) >= TOO_WIDE
        for amounts in ([row[i] for row in rows if row[i] is not None] for i in amount_fields(journal))
        if amounts
    )


def amount_fields(journal: Journal) -> tuple[int, ...]:
    """Return the places of a journal's amounts among its columns."""
    return tuple(i for i, kind in enumerate(SCHEMAS[journal.field].types) if kind == AMOUNT)


def words(journal: Journal, row: Row) -> list[Quarantined]:
    """The words of a row that fit no column, exactly as they are."""
    block, tx_index, ordinal = row[:3]
    venue_id = getattr(row, "venue_id", FEEDS)
    reason = f"exceeds_decimal38:{journal.name}"
    return [
        Quarantined(block, tx_index, ordinal, venue_id, reason, word(row[i]))
        for i in amount_fields(journal)
        if row[i] is not None and not -TOO_WIDE < row[i] < TOO_WIDE
    ]


def word(amount: int) -> bytes:
    """An integer as an EVM word, two's complement if negative; more than one word if it would not fit."""
    bits = (~amount).bit_length() + 1 if amount < 0 else amount.bit_length()
    return amount.to_bytes(32 * max(1, -(-bits // 256)), "big", signed=amount < 0)


def arranged(journal: Journal, table: pa.Table) -> Derived:
    """Bring rows in chain order and find the last of each key."""
    table = in_order(table)
    last = pa.array(lasts(codes(table, journal.key)) if journal.key else [], pa.int64())
    rows = table.rename_columns(journal.columns)
    for tag, name in journal.tags.items():
        rows = rows.append_column(tag, tags_of(rows[name]))
    return Derived(journal=journal, rows=rows, last=last)


def tag_of(name: bytes) -> int:
    """The number by which rows of a unit or an owner are found: its last four bytes; others may have the same."""
    return int.from_bytes(name[-TAG_BYTES:], "big")


def tags_of(names: pa.ChunkedArray) -> pa.Array:
    """`tag_of` of each, as a column."""
    column = names.combine_chunks()
    if not len(column) or pc.min(pc.binary_length(column)).as_py() < TAG_BYTES:
        return pa.array([tag_of(name) for name in column.to_pylist()], pa.uint32())
    _, offsets, written = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset + 1 :][: len(column)]
    octets = np.frombuffer(written, np.uint8)
    tags = np.zeros(len(column), np.uint32)
    for behind in range(TAG_BYTES, 0, -1):
        tags = (tags << np.uint32(8)) | octets[ends - behind]
    return pa.array(tags)


def in_order(table: pa.Table) -> pa.Table:
    """The rows by block and ordinal; those of one place stay as they were given."""
    places = place(table)
    if len(places) < 2 or bool(np.all(np.diff(places) >= 0)):  # noqa: PLR2004 - one row is in order
        return table
    return table.take(pa.array(np.argsort(places, kind="stable")))


def place(table: pa.Table) -> npt.NDArray[np.int64]:
    """Block and ordinal of each row as one number."""
    blocks, ordinals = (table[name].to_numpy().astype(np.int64) for name in ("block", "ordinal"))
    return np.asarray((blocks << 32) + ordinals + 1)


def codes(table: pa.Table, key: Sequence[str]) -> npt.NDArray[np.int64]:
    """One number for each key that occurs, the same for rows of one key."""
    number, most = np.zeros(table.num_rows, np.int64), 1
    for name in key:
        column = table[name].combine_chunks().dictionary_encode()
        count = max(len(column.dictionary), 1)
        if most * count > _MOST_CODES:
            number, most = dense(number)
        number, most = number * count + column.indices.to_numpy(), most * count
    return dense(number)[0]


def dense(numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Number the values that occur from 0 on, and say how many there are."""
    coded = pa.array(numbers).dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)


def lasts(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each key (numbered from 0 on) occurs for the last time, ascending."""
    found = np.zeros(int(keys.max(initial=-1)) + 1, np.int64)
    found[keys] = np.arange(len(keys))
    return np.sort(found)
