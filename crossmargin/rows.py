"""Rows of a query as JSON: exact numbers stay exact, bytes are hex, times are RFC 3339."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from crossmargin.documents import Document
from indexer.store.query import QueryResult

SAFE_INTEGER = 2**53 - 1
WIDE_TYPES = ("DECIMAL", "HUGEINT", "UHUGEINT", "BIGNUM", "UBIGINT")


def rows_document(result: QueryResult) -> Document:
    """Write a result; a column of wide integers or decimals is all strings, whatever its values."""
    wide = [kind.startswith(WIDE_TYPES) for kind in result.types]
    return {
        "columns": [{"name": name, "type": kind} for name, kind in zip(result.columns, result.types, strict=True)],
        "rows": [
            [_number_text(value) if is_wide else plain(value) for value, is_wide in zip(row, wide, strict=True)]
            for row in result.rows
        ],
        "truncated": result.truncated,
    }


def _number_text(value: object) -> object:
    return None if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - whatever DuckDB gives
    """Write one value as JSON can hold it."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return f"{value:f}"
        case bytes() | bytearray() | memoryview():
            return f"0x{bytes(value).hex()}"
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case timedelta() | UUID():
            return str(value)
        case _:
            return str(value)
