"""JSON logs that are written alike, cut out of an answer all at once.

Nodes write every log in the same way: the same keys in the same order, and hexadecimal digits between quotes. Logs of one length are
laid one below the other; the first of them, read as JSON, says where its digits stand. Every log that has the very same bytes everywhere
else, and hexadecimal digits where the first has them, says the same in the same places. What is written in another way is left to a
slower reader.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

MOST_LAYOUTS = 400
AT_ONCE = 2_000
"""Logs that are laid out at once: so many stay in a processor's cache."""

MOST_DIGITS = 15
HASH, ADDRESS, MOST_TOPICS = 32, 20, 4

_OPEN, _COMMA = ord("{"), ord(",")
_WORD = 8
_HEX = re.compile(rb'"0x([0-9a-fA-F]*)"')
_KEYED = re.compile(rb'"(\w+)":"0x([0-9a-fA-F]*)"')
_LISTED = re.compile(rb'"topics":\[((?:"0x[0-9a-fA-F]{64}"(?:,(?="))?)*)\]')
_QUANTITIES = (b"blockNumber", b"transactionIndex", b"logIndex")
_SIZES = {b"blockHash": HASH, b"transactionHash": HASH, b"address": ADDRESS}
_NO_DIGIT = 0xFF
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
for _spelled in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _DIGITS[np.frombuffer(_spelled, np.uint8)] = np.arange(16)


class Odd(Exception):
    """Logs that are written in another way than usual."""


class RpcLog(msgspec.Struct, rename="camel"):
    """One log as a node says it; `removed` logs belong to a block that is no longer part of the chain."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    removed: bool = False


_RECORD = msgspec.json.Decoder(RpcLog)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the digits stand in logs that are written alike: (start, stop) of each value within a log, and the bytes around them."""

    quantities: tuple[slice, ...]
    words: tuple[slice, ...]
    topics: tuple[slice, ...]
    data: slice
    others: tuple[slice, ...]
    text: Words
    fixed: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Logs of one layout: which of the answer's they are, and their values; bytes of all of them stand one behind the other."""

    rows: Rows
    quantities: tuple[Rows, ...]
    words: tuple[bytes, ...]
    topics: tuple[bytes, ...]
    data: bytes
    data_size: int


def groups(answer: bytes | memoryview) -> tuple[int, list[Group]]:
    """Cut an `eth_getLogs` answer, a JSON list, into groups of logs that are written alike; raises `Odd`.

    Returns how many logs there are, and the groups, which hold each of them once.
    """
    if bytes(answer[:1]) != b"[" or bytes(answer[-1:]) != b"]":
        raise Odd
    body = np.zeros(len(answer) + _WORD, np.uint8)
    body[: len(answer)] = np.frombuffer(answer, np.uint8)
    starts = np.flatnonzero(body == _OPEN)
    if not len(starts):
        if len(answer) == len(b"[]"):
            return 0, []
        raise Odd
    lengths = np.diff(starts, append=len(answer)) - 1
    if starts[0] != 1 or (body[starts[1:] - 1] != _COMMA).any():
        raise Odd
    return len(starts), list(_alike(body, starts, lengths))


def _alike(body: Bytes, starts: Rows, lengths: Rows) -> Iterator[Group]:
    layouts = 0
    for length in np.unique(lengths).tolist():
        logs = np.lib.stride_tricks.sliding_window_view(body, _whole(length))
        rows = np.flatnonzero(lengths == length)
        while len(rows):
            layouts += 1
            if layouts > MOST_LAYOUTS:
                raise Odd
            layout = layout_of(logs[starts[rows[0]], :length].tobytes())
            others = []
            for some in np.split(rows, range(AT_ONCE, len(rows), AT_ONCE)):
                laid = logs[starts[some]]
                differ = ((laid.view(np.uint64) ^ layout.text) & layout.fixed).any(axis=1)
                yield _group(layout, some[~differ], laid[~differ]) if differ.any() else _group(layout, some, laid)
                others.append(some[differ])
            rows = np.concatenate(others)


def _whole(length: int) -> int:
    """Return how many bytes the words take that hold so many."""
    return -(-length // _WORD) * _WORD


def layout_of(log: bytes) -> Layout:
    """Read one log and tell where its digits stand; raises `Odd`."""
    try:
        if _RECORD.decode(log).removed:
            raise Odd
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Odd from error
    found = {}
    for match in _KEYED.finditer(log):
        if match[1] in found:
            raise Odd
        found[match[1]] = slice(*match.span(2))
    lists = list(_LISTED.finditer(log))
    if len(lists) != 1 or not {*_QUANTITIES, *_SIZES, b"data"} <= found.keys():
        raise Odd
    return _layout(log, found, _topics(lists[0]))


def _topics(listed: re.Match[bytes]) -> tuple[slice, ...]:
    first = listed.start(1)
    topics = tuple(slice(first + m.start(1), first + m.end(1)) for m in _HEX.finditer(listed[1]))
    if len(topics) > MOST_TOPICS:
        raise Odd
    return topics


def _layout(log: bytes, found: dict[bytes, slice], topics: tuple[slice, ...]) -> Layout:
    quantities = tuple(found.pop(name) for name in _QUANTITIES)
    words = tuple(found.pop(name) for name in _SIZES)
    data = found.pop(b"data")
    others = tuple(found.values())
    fixed = np.zeros(_whole(len(log)), np.uint8)
    fixed[: len(log)] = 0xFF
    for part in (*quantities, *words, *topics, data, *others):
        fixed[part] = 0
    if not _sized(quantities, words, data):
        raise Odd
    return Layout(
        quantities=quantities,
        words=words,
        topics=topics,
        data=data,
        others=others,
        text=np.frombuffer(log.ljust(len(fixed), b"\0"), np.uint64),
        fixed=fixed.view(np.uint64),
    )


def _sized(quantities: Sequence[slice], words: Sequence[slice], data: slice) -> bool:
    """Tell whether values have the sizes that those of a log have."""
    widths = [part.stop - part.start for part in words]
    return (
        all(1 <= part.stop - part.start <= MOST_DIGITS for part in quantities)
        and widths == [2 * size for size in _SIZES.values()]
        and (data.stop - data.start) % 2 == 0
    )


def _group(layout: Layout, rows: Rows, laid: Bytes) -> Group:
    for part in layout.others:
        _digits(laid, part)
    return Group(
        rows=rows,
        quantities=tuple(_quantity(laid, part) for part in layout.quantities),
        words=tuple(_unhexed(laid, part) for part in layout.words),
        topics=tuple(_unhexed(laid, part) for part in layout.topics),
        data=_unhexed(laid, layout.data),
        data_size=(layout.data.stop - layout.data.start) // 2,
    )


def _unhexed(laid: Bytes, part: slice) -> bytes:
    try:
        return binascii.unhexlify(laid[:, part].tobytes())
    except binascii.Error as error:
        raise Odd from error


def _quantity(laid: Bytes, part: slice) -> Rows:
    digits = _digits(laid, part)
    values = np.zeros(len(laid), np.int64)
    for i in range(digits.shape[1]):
        values = (values << 4) | digits[:, i]
    return values


def _digits(laid: Bytes, part: slice) -> Bytes:
    digits = _DIGITS[laid[:, part]]
    if (digits == _NO_DIGIT).any():
        raise Odd
    return digits
