"""The shape of the derived tables, and how folded rows become columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from chains.model import FEEDS, Quarantined, Rows

AMOUNT = pa.decimal128(38, 0)
TOO_WIDE = 10**38
"""The first amount that DECIMAL(38, 0) cannot hold, on either side of zero."""

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

    @property
    def amounts(self) -> tuple[int, ...]:
        """Which fields may be too wide for their column."""
        return tuple(i for i, kind in enumerate(self.columns.values()) if kind == AMOUNT)

    @property
    def identity(self) -> tuple[int, ...]:
        """Which fields, together, no two rows may share: the key at one instant."""
        names = list(self.columns)
        return tuple(names.index(name) for name in ("block_number", "ordinal", *self.key)) if self.key else ()


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


def derive(rows: Rows) -> dict[Journal, pa.Table]:
    """The columns of every derived table that has rows: one row a key and instant, amounts that fit no column in quarantine."""
    quarantined = list(rows.quarantined)
    kept: dict[Journal, Sequence[tuple[Any, ...]]] = {}
    for journal in JOURNALS:
        given = unique(journal, getattr(rows, journal.field))
        quarantined += [word for row in given for word in overflows(journal, row)]
        kept[journal] = [row for row in given if fits(journal, row)]
    kept[QUARANTINE] = quarantined
    return {journal: columns(journal, given) for journal, given in kept.items() if given}


def unique(journal: Journal, rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """Of several values that one key takes at one instant the last one given: only that one outlives the instant."""
    if not journal.identity:
        return rows
    return list({tuple(row[i] for i in journal.identity): row for row in rows}.values())


def fits(journal: Journal, row: tuple[Any, ...]) -> bool:
    return all(-TOO_WIDE < row[i] < TOO_WIDE for i in journal.amounts)


def overflows(journal: Journal, row: tuple[Any, ...]) -> list[Quarantined]:
    """The words of a row that fit no column, exactly as they are."""
    block, tx_index, ordinal = row[:3]
    venue_id = getattr(row, "venue_id", FEEDS)
    reason = f"exceeds_decimal38:{journal.name}"
    return [
        Quarantined(block, tx_index, ordinal, venue_id, reason, word(row[i]))
        for i in journal.amounts
        if not -TOO_WIDE < row[i] < TOO_WIDE
    ]


def word(amount: int) -> bytes:
    """An integer as an EVM word, two's complement if negative; more than one word if it would not fit."""
    bits = (~amount).bit_length() + 1 if amount < 0 else amount.bit_length()
    return amount.to_bytes(32 * max(1, -(-bits // 256)), "big", signed=amount < 0)


def columns(journal: Journal, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Turn rows into an Arrow table; raises `pyarrow.ArrowInvalid` or `pyarrow.ArrowTypeError` for a value of the wrong kind."""
    by_column = zip(*rows, strict=True)
    arrays = [
        pa.array(values, kind) for values, kind in zip(by_column, journal.columns.values(), strict=True)
    ]
    return pa.table(dict(zip(journal.columns, arrays, strict=True)))
