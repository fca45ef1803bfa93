"""Recursive Length Prefix read back, in its one form only (Yellow Paper, appendix B)."""

from __future__ import annotations

from chains.evm.evidence.rlp import Item
from chains.evm.proofs.faults import BadProof

_STRING, _LONG_STRING, _LIST, _LONG_LIST = 0x80, 0xB7, 0xC0, 0xF7
_SHORT = 55
_DEEPEST = 16
"""No header, account or node is nested deeper."""


def decode(raw: bytes) -> Item:
    """Return the item that is encoded; raises `BadProof` for anything but the one encoding of an item."""
    item, end = _item(raw, 0, _DEEPEST)
    if end != len(raw):
        raise BadProof(f"{len(raw) - end} bytes follow the item")
    return item


def _item(raw: bytes, at: int, depth: int) -> tuple[Item, int]:
    if at >= len(raw) or not depth:
        raise BadProof("an item ends before its end" if depth else "items are nested too deep")
    first = raw[at]
    if first < _STRING:
        return raw[at : at + 1], at + 1
    is_list = first >= _LIST
    start, end = _span(raw, at, *((_LIST, _LONG_LIST) if is_list else (_STRING, _LONG_STRING)))
    if not is_list:
        if end - start == 1 and raw[start] < _STRING:
            raise BadProof("a single byte is encoded with a length")
        return raw[start:end], end
    items: list[Item] = []
    while start < end:
        item, start = _item(raw[:end], start, depth - 1)
        items.append(item)
    return items, end


def _span(raw: bytes, at: int, short: int, long: int) -> tuple[int, int]:
    """Return where the content of an item begins and ends."""
    size, start = raw[at] - short, at + 1
    if raw[at] > long:
        digits = raw[start : start + raw[at] - long]
        start += raw[at] - long
        size = int.from_bytes(digits)
        if size <= _SHORT or not digits[0]:
            raise BadProof("a length is not written in its shortest form")
    if start + size > len(raw):
        raise BadProof("an item ends before its end")
    return start, start + size
