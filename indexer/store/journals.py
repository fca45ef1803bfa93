"""The shape of the derived tables, and how folded rows become columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pyarrow as pa

from chains.model import FEEDS, Quarantined, Rows

AMOUNT = pa.decimal128(38, 0)
TOO_WIDE = 10**38
"""The first amount that DECIMAL(38, 0) cannot hold, on either side of zero."""

Row = tuple[Any, ...]

in_order = itemgetter(0, 2)
"""Block and ordinal of a derived row."""

PLACE = {"block_number": pa.int64(), "tx_index": pa.int32(), "ordinal": pa.int32()}
ORIGIN = {"engine_version": pa.string(), "basis": pa.string()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Journal:
    """A derived table: its columns after `chain_id` in the order of the row's fields; `tip` holds the last row of every `key`."""

    name: str
    field: str
    columns: dict[str, pa.DataType]
    tip: str | None = None
    key: tuple[str, ...] = ()

    def fields(self, *names: str) -> tuple[int, ...]:
        """Which fields of a row those columns are."""
        order = list(self.columns)
        return tuple(order.index(name) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """Rows for a journal as columns in chain order, and which of them are the last of their key."""

    journal: Journal
    rows: pa.Table
    last: list[int]


POSITIONS = Journal(
    name="position_change",
    field="positions",
    tip="position_current",
    key=("venue_id", "unit_id", "market", "side"),
    columns={
        **PLACE,
        "venue_id": pa.string(),
        "unit_id": pa.binary(),
        "owner": pa.binary(),
        "market": pa.binary(),
        "side": pa.string(),
        "asset": pa.binary(),
        "amount_raw": AMOUNT,
        **ORIGIN,
    },
)
MARKETS = Journal(
    name="market_change",
    field="markets",
    tip="market_current",
    key=("venue_id", "market", "aspect"),
    columns={
        **PLACE,
        "venue_id": pa.string(),
        "market": pa.binary(),
        "aspect": pa.string(),
        "state": pa.string(),
        **ORIGIN,
    },
)
ACCOUNTS = Journal(
    name="account_change",
    field="accounts",
    tip="account_current",
    key=("venue_id", "unit_id", "market", "aspect"),
    columns={
        **PLACE,
        "venue_id": pa.string(),
        "unit_id": pa.binary(),
        "owner": pa.binary(),
        "market": pa.binary(),
        "aspect": pa.string(),
        "state": pa.string(),
        **ORIGIN,
    },
)
PRICES = Journal(
    name="price_observation",
    field="prices",
    tip="price_current",
    key=("source",),
    columns={
        **PLACE,
        "source": pa.binary(),
        "answer_raw": AMOUNT,
        "round_id": AMOUNT,
        "updated_at": pa.int64(),
        "basis": pa.string(),
        "confidence_raw": AMOUNT,
    },
)
EVENTS = Journal(
    name="lending_event",
    field="events",
    columns={
        **PLACE,
        "tx_hash": pa.binary(),
        "venue_id": pa.string(),
        "kind": pa.string(),
        "market": pa.binary(),
        "owner": pa.binary(),
        "counterparty": pa.binary(),
        "asset": pa.binary(),
        "amount_raw": AMOUNT,
        "extra": pa.string(),
    },
)
QUARANTINE = Journal(
    name="quarantine",
    field="quarantined",
    columns={**PLACE, "venue_id": pa.string(), "reason": pa.string(), "word": pa.binary()},
)

JOURNALS = (POSITIONS, MARKETS, ACCOUNTS, PRICES, EVENTS)
DERIVED = (*JOURNALS, QUARANTINE)


def derive(rows: Rows) -> list[Derived]:
    """The columns of every derived table that has rows; a row with an amount that fits no column is in quarantine instead."""
    quarantined = list(rows.quarantined)
    derived = []
    for journal in JOURNALS:
        given = unique(journal, sorted(getattr(rows, journal.field), key=in_order))
        if too_wide(journal, given):
            quarantined += [word for row in given for word in words(journal, row)]
            given = [row for row in given if not words(journal, row)]
        derived.append(arranged(journal, given))
    derived.append(arranged(QUARANTINE, sorted(quarantined)))
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
    return tuple(i for i, kind in enumerate(journal.columns.values()) if kind == AMOUNT)


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


def arranged(journal: Journal, rows: Sequence[Row]) -> Derived:
    """Turn rows in chain order into columns; raises `pyarrow.ArrowException` for a value of the wrong kind."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(journal.columns)
    kinds = journal.columns.items()
    table = pa.table({name: pa.array(values, kind) for (name, kind), values in zip(kinds, by_column, strict=True)})
    keys = zip(*(by_column[i] for i in journal.fields(*journal.key)), strict=True)
    return Derived(journal=journal, rows=table, last=list({key: i for i, key in enumerate(keys)}.values()))
