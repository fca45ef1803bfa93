"""How documents are written: alike for HTTP and the command line; text of strangers is made harmless."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Document = Mapping[str, Any]
"""What is answered: text keys; numbers that matter are decimal strings."""

LONGEST_SYMBOL = 32
UNSAFE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(document: object) -> bytes:
    """Write a document as JSON, compact and in ASCII: no terminal acts on what a token's name holds."""
    return _COMPACT.encode(document).encode("ascii") + b"\n"


def harmless(text: str, *, longest: int | None = None, kept: str = "") -> str:
    """Return `text` without control, format and direction characters but those that are `kept`, cut to `longest`."""
    clean = "".join("�" if unicodedata.category(char) in UNSAFE and char not in kept else char for char in text)
    return clean if longest is None or len(clean) <= longest else f"{clean[: longest - 1]}…"


def symbol(text: str) -> str:
    """Return a token's symbol, which anybody can choose, as it may be printed."""
    return harmless(text, longest=LONGEST_SYMBOL)


def cell(value: object) -> object:
    """Return a value as a spreadsheet may be given it: text that begins like a formula is quoted, lines and tabs stay."""
    if isinstance(value, str):
        clean = harmless(value, kept="\n\t")
        return f"'{clean}" if clean.startswith(FORMULA_STARTS) and not _is_number(clean) else clean
    return value


def moment(time: int) -> str:
    """Write Unix seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
