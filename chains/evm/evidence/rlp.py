"""Recursive Length Prefix, the encoding that Ethereum hashes (Yellow Paper, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Item: TypeAlias = bytes | Sequence["Item"]
"""A string of bytes, or a list of items."""

_STRING, _LIST = 0x80, 0xC0
_SHORT = 55
"""The longest content whose length fits into its first byte."""


def encode(item: Item) -> bytes:
    """Return the encoding of an item."""
    if isinstance(item, bytes):
        return string(item)
    return listed(b"".join([string(part) if isinstance(part, bytes) else encode(part) for part in item]))


def string(content: bytes) -> bytes:
    """Return the encoding of a string; a single byte below 0x80 is its own."""
    if len(content) == 1 and content[0] < _STRING:
        return content
    return _prefix(len(content), _STRING) + content


def listed(body: bytes) -> bytes:
    """Return the encoding of a list whose items are encoded already, one behind the other."""
    return _prefix(len(body), _LIST) + body


def whole(number: int) -> bytes:
    """Return a number as the shortest string of bytes, zero as the empty one."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def _prefix(length: int, kind: int) -> bytes:
    if length <= _SHORT:
        return bytes((kind + length,))
    size = whole(length)
    return bytes((kind + _SHORT + len(size),)) + size
