"""Lines of a snapshot's tables as Python's own JSON writes them, one row at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def line(row: Mapping[str, Any]) -> bytes:
    """A row in canonical JSON (RFC 8785), with the end of its line: keys are ASCII, and no value is a fraction."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
