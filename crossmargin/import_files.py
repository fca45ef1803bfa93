"""Files of price histories, liquidity and bridges' messages, CSV or Parquet, as what is imported; complaints name file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.histories import DAY, LARGEST_FILE, PARQUET, table_of_parquet
from crossmargin.imports import day_of, day_of_row
from crossmargin.transfers import COLUMNS as TRANSFER
from crossmargin.transfers import DELIVERED_BLOCK, EVIDENCE

ASSET = "asset"
LIQUIDITY = ("daily_volume_usd", "spread", "fee")
DEPTH = "depth"

Line = tuple[str, Mapping[str, Any]]
"""Where it stands, and its columns."""


def price_documents(
    path: Path, *, asset: str | None, price: str, source: str | None, gaps: bool, today: date
) -> Iterator[Document]:
    """Yield the history of each asset in a file, by name.

    The asset is `asset`, or else the column of that name, or else what the file is named after. Raises `UsageError`.
    """
    lines = list(_lines(path))
    _need(path, lines, (DAY, price))
    histories: dict[str, list[tuple[date, float, float | None, float | None]]] = {}
    for place, line in lines:
        row = (line[DAY], line[price], _told(line, "low"), _told(line, "high"))
        name = asset or _name(line, path, place)
        days = histories.setdefault(name, [])
        day = day_of_row(row, place, today=today)
        if days and day[0] <= days[-1][0]:
            raise UsageError(f"{place}: {day[0]} follows {days[-1][0]}; give every day of {name} once, oldest first")
        days.append(day)
    for name, days in sorted(histories.items()):
        written = [[day.isoformat(), *prices] for day, *prices in days]
        yield {"identity": name, "source": source or path.name, "gaps": gaps, "days": written}


def liquidity_document(path: Path, *, source: str | None) -> Document:
    """Return what a file says of liquidity; raises `UsageError`."""
    lines = list(_lines(path))
    _need(path, lines, (ASSET, "as_of", *LIQUIDITY))
    rows = [
        {"identity": line[ASSET], "as_of": day_of(line["as_of"], place).isoformat()}
        | {name: line[name] for name in LIQUIDITY}
        | ({DEPTH: depth} if (depth := _told(line, DEPTH)) is not None else {})
        for place, line in lines
    ]
    return {"source": source or path.name, "rows": rows}


def transfer_document(path: Path, *, source: str | None) -> Document:
    """Return what a file says of messages of bridges; raises `UsageError`."""
    lines = list(_lines(path))
    _need(path, lines, TRANSFER)
    rows = [{name: _plain(line.get(name)) for name in (*TRANSFER, DELIVERED_BLOCK, EVIDENCE)} for _, line in lines]
    return {"source": source or path.name, "rows": rows}


def _plain(value: object) -> object:
    """Write what Parquet has as a type as a file of text would have it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _name(line: Mapping[str, Any], path: Path, place: str) -> str:
    if ASSET not in line:
        return path.stem
    name = line[ASSET]
    if not isinstance(name, str) or not name:
        raise UsageError(f"{place}: names no asset")
    return name


def _told(line: Mapping[str, Any], column: str) -> Any:  # noqa: ANN401 - what a file holds
    """Return a value that may be left out; an empty cell says nothing."""
    value = line.get(column)
    return None if value == "" else value


def _need(path: Path, lines: list[Line], columns: tuple[str, ...]) -> None:
    if not lines:
        raise UsageError(f"{path} has no row")
    has = lines[0][1]
    for column in columns:
        if column not in has:
            raise UsageError(f"{path} has no column {column!r}; it has {', '.join(map(repr, has))}")


def _lines(path: Path) -> Iterator[Line]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path} is larger than {LARGEST_FILE:,} bytes; import it in parts")
        yield from _parquet(path) if path.suffix in PARQUET else _csv(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _parquet(path: Path) -> Iterator[Line]:
    for number, line in enumerate(table_of_parquet(path).to_pylist(), start=1):
        yield f"{path} row {number}", line


def _csv(path: Path) -> Iterator[Line]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or ()
            if len(set(names)) != len(names):
                raise UsageError(f"{path} has a column twice; keep the one that is meant")
            for line in reader:
                place = f"{path} line {reader.line_num}"
                if None in line or None in line.values():
                    raise UsageError(f"{place}: has not as many cells as the first line has names")
                yield place, line
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error
