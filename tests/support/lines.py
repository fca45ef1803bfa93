"""Tables of a snapshot as lines, read and written by Python's own JSON, one row at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aggregator.audit.lines import Row
from aggregator.audit.tables import rows_of
from aggregator.book import Book


def tables(book: Book) -> dict[str, list[Row]]:
    """All rows of a book's snapshot."""
    return {name: list(rows) for name, rows in rows_of(book).items()}


def line(row: Mapping[str, Any]) -> bytes:
    """A row in canonical JSON (RFC 8785), with the end of its line: keys are ASCII, and no value is a fraction."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a snapshot's table."""
    return [json.loads(raw) for raw in (folder / f"{table}.ndjson").read_bytes().splitlines()]


def rewrite(folder: Path, table: str, found: Iterable[Mapping[str, Any]]) -> None:
    """Write other rows in their place."""
    (folder / f"{table}.ndjson").write_bytes(b"".join(map(line, found)))
