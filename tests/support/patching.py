"""Bytes of accounts with other values in some fields, by the tables that read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chains.solana.layouts import Layout, Table


def patched(layout: Layout, data: bytes, values: Mapping[str, Any]) -> bytes:
    """An account with other values: integers, bytes, and for arrays of structures {index: {field: value}}."""
    changed = bytearray(data)
    _patch(changed, layout.fields, values, 0)
    return bytes(changed)


def _patch(data: bytearray, fields: Table, values: Mapping[str, Any], start: int) -> None:
    for name, value in values.items():
        offset, kind = fields[name]
        at = start + offset
        if not isinstance(kind, str):
            count, stride, table = kind
            for number, inside in value.items():
                assert number < count
                _patch(data, table, inside, at + number * stride)
        else:
            raw = (
                value
                if isinstance(value, bytes)
                else value.to_bytes(int(kind[1:]) // 8, "little", signed=kind[0] == "i")
            )
            data[at : at + len(raw)] = raw
