"""Price histories in files: CSV or Parquet with a column of days and one of prices in USD."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from aggregator.risk.history import BadHistory, History, history_of
from crossmargin.errors import UsageError

DAY = "date"
PRICE = "close"
LARGEST_FILE = 64 * 1024 * 1024
PARQUET = frozenset({".parquet", ".pq"})


def read_history(path: Path, *, price: str = PRICE) -> History:
    """Read the history of the asset that a file is named after; raises `UsageError` for what is none."""
    table = _table(path)
    for column in (DAY, price):
        if column not in table.column_names:
            raise UsageError(f"{path} has no column {column!r}; it has {', '.join(map(repr, table.column_names))}")
        if table.column_names.count(column) > 1:
            raise UsageError(f"{path} has several columns {column!r}; keep the one that is meant")
    try:
        days = [_day(value) for value in table[DAY].to_pylist()]
        closes = [float(value) for value in table[price].to_pylist()]
        return history_of(path.stem, days, closes)
    except (TypeError, ValueError, OverflowError, BadHistory) as error:
        raise UsageError(f"{path} is no price history: {error}") from error


def _table(path: Path) -> pa.Table:
    kind = "Parquet" if path.suffix in PARQUET else "CSV"
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path} is larger than {LARGEST_FILE:,} bytes; one file holds the days of one asset")
        return parquet.read_table(path) if path.suffix in PARQUET else csv.read_csv(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise UsageError(f"{path} cannot be read as {kind}: {error}") from error


def _day(value: Any) -> date:  # noqa: ANN401 - what a file holds
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return date.fromisoformat(str(value))
