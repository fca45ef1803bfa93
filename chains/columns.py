"""Derived rows as columns: one Arrow schema for each kind of row in `chains.model.Rows`, in the order of its fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

K = TypeVar("K")

AMOUNT = pa.decimal128(38, 0)
TOO_WIDE = 10**38
"""The first amount that DECIMAL(38, 0) cannot hold, on either side of zero."""

_AMOUNT_SIZE = 16

_PLACE = [("block", pa.int64()), ("tx_index", pa.int32()), ("ordinal", pa.int32())]
_ORIGIN = [("engine_version", pa.string()), ("basis", pa.string())]

POSITIONS = pa.schema(
    [
        *_PLACE,
        ("venue_id", pa.string()),
        ("unit_id", pa.binary()),
        ("owner", pa.binary()),
        ("market", pa.binary()),
        ("side", pa.string()),
        ("asset", pa.binary()),
        ("amount_raw", AMOUNT),
        *_ORIGIN,
    ]
)
MARKETS = pa.schema(
    [
        *_PLACE,
        ("venue_id", pa.string()),
        ("market", pa.binary()),
        ("aspect", pa.string()),
        ("state", pa.string()),
        *_ORIGIN,
    ]
)
ACCOUNTS = pa.schema(
    [
        *_PLACE,
        ("venue_id", pa.string()),
        ("unit_id", pa.binary()),
        ("owner", pa.binary()),
        ("market", pa.binary()),
        ("aspect", pa.string()),
        ("state", pa.string()),
        *_ORIGIN,
    ]
)
PRICES = pa.schema(
    [
        *_PLACE,
        ("source", pa.binary()),
        ("answer_raw", AMOUNT),
        ("round_id", AMOUNT),
        ("updated_at", pa.int64()),
        ("basis", pa.string()),
        ("confidence_raw", AMOUNT),
    ]
)
EVENTS = pa.schema(
    [
        *_PLACE,
        ("tx_hash", pa.binary()),
        ("venue_id", pa.string()),
        ("kind", pa.string()),
        ("market", pa.binary()),
        ("owner", pa.binary()),
        ("counterparty", pa.binary()),
        ("asset", pa.binary()),
        ("amount_raw", AMOUNT),
        ("extra", pa.string()),
        ("basis", pa.string()),
    ]
)
QUARANTINED = pa.schema([*_PLACE, ("venue_id", pa.string()), ("reason", pa.string()), ("word", pa.binary())])

POSITION_KEYS = pa.schema([("unit_id", pa.binary()), ("market", pa.binary()), ("side", pa.string())])
"""What names a position of a venue."""

SCHEMAS: Mapping[str, pa.Schema] = {
    "positions": POSITIONS,
    "markets": MARKETS,
    "accounts": ACCOUNTS,
    "prices": PRICES,
    "events": EVENTS,
    "quarantined": QUARANTINED,
}
"""Field of `Rows` → the schema of its columns."""


def amounts(values: Sequence[int]) -> pa.Array:
    """Make a column of amounts; raises `OverflowError` for one that DECIMAL(38, 0) cannot hold."""
    if values and not (min(values) > -TOO_WIDE and max(values) < TOO_WIDE):
        raise OverflowError("an amount of more than 38 digits fits no column")
    words = b"".join([value.to_bytes(_AMOUNT_SIZE, "little", signed=True) for value in values])
    return pa.Array.from_buffers(AMOUNT, len(values), [None, pa.py_buffer(words)])


def amounts_of(words: npt.NDArray[np.uint8]) -> pa.Array:
    """Make a column of amounts from unsigned EVM words, big-endian rows of 32 bytes, which must be less than 10^38."""
    return pa.Array.from_buffers(AMOUNT, len(words), [None, pa.py_buffer(words[:, :15:-1].tobytes())])


def integers(column: pa.Array) -> list[int]:
    """Return the amounts of a column that has one in every row."""
    limbs = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)[column.offset : column.offset + len(column)]
    low, high = limbs[:, 0].tolist(), limbs[:, 1].view(np.int64).tolist()
    return [(above << 64) + below for below, above in zip(low, high, strict=True)]


def position_keys(keys: Collection[tuple[bytes, bytes, str]]) -> pa.Table:
    """Make columns of the keys of positions."""
    columns = zip(*keys, strict=True) if keys else [()] * len(POSITION_KEYS)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, POSITION_KEYS.types, strict=True)]
    return pa.table(arrays, schema=POSITION_KEYS)


def by_key(keys: Iterable[K], column: pa.Array) -> dict[K, int]:
    """Return the amounts of those keys that have one, which stand in their order."""
    valid = column.is_valid().to_pylist()
    return dict(zip(compress(keys, valid), integers(column.drop_null()), strict=True))


def binaries(joined: bytes, size: int) -> pa.Array:
    """Make a column of values of one size from their bytes, one behind the other."""
    offsets = np.arange(0, len(joined) + 1, size, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(joined) // size, [None, pa.py_buffer(offsets), pa.py_buffer(joined)])


_CACHED = 1 << 14
"""Columns of one value up to this length are parts of one that is made once: chunk after chunk asks for the same."""


def repeated(value: str | bytes | int, count: int, kind: pa.DataType | None = None) -> pa.Array:
    """Make a column that holds one value everywhere."""
    return _repeated(value, kind).slice(0, count) if count <= _CACHED else pa.repeat(pa.scalar(value, kind), count)


@lru_cache(maxsize=64)
def _repeated(value: str | bytes | int, kind: pa.DataType | None) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), _CACHED)


def joined(field: str, rows: Sequence[Sequence[object]], tables: Sequence[pa.Table]) -> pa.Table:
    """Turn rows of one field of `Rows` and its columns into one table; raises `pyarrow.ArrowException` for a wrong value."""
    schema = SCHEMAS[field]
    if not rows:
        return pa.concat_tables(tables) if tables else schema.empty_table()
    made = pa.table(
        [pa.array(values, kind.type) for kind, values in zip(schema, zip(*rows, strict=True), strict=True)],
        schema=schema,
    )
    return pa.concat_tables([*tables, made])
