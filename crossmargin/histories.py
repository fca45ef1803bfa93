"""Price histories in files: CSV or Parquet with a column of days and one of prices in USD."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from aggregator.risk.bars import Bars
from aggregator.risk.history import BadHistory, Floats, History, history_of
from crossmargin.errors import UsageError

DAY = "date"
PRICE = "close"
LOW, HIGH = "low", "high"
VOLUME = "volume"
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


def read_bars(path: Path) -> Bars:
    """Read the lowest, highest and last price of each day; raises `UsageError` for what is no such history."""
    history, table = read_history(path), _table(path)
    for column in (LOW, HIGH):
        if column not in table.column_names:
            raise UsageError(
                f"{path} has no column {column!r}; the lowest and highest price of each day are needed here"
            )
    try:
        lows, highs = ([float(value) for value in table[column].to_pylist()] for column in (LOW, HIGH))
        return Bars(history=history, lows=np.array(lows), highs=np.array(highs))
    except (TypeError, ValueError, BadHistory) as error:
        raise UsageError(f"{path} is no history of days: {error}") from error


def read_volumes(path: Path) -> Floats | None:
    """Read what was traded each day, in any unit; `None` where a file does not say it. Raises `UsageError`."""
    table = _table(path)
    if VOLUME not in table.column_names:
        return None
    try:
        found = np.array([float(value) for value in table[VOLUME].to_pylist()])
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} has a volume that is none: {error}") from error
    if not np.isfinite(found).all() or found.min(initial=0.0) < 0:
        raise UsageError(f"{path} has a volume that is negative, or no number")
    return found


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


def table_of_parquet(path: Path) -> pa.Table:
    """Read a Parquet file; raises `UsageError`, and `OSError`."""
    try:
        return parquet.read_table(path)
    except pa.ArrowException as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error


def _day(value: Any) -> date:  # noqa: ANN401 - what a file holds
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return date.fromisoformat(str(value))
