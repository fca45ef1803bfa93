"""Events and functions by their Solidity signature; fixed-shape events are decoded by column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from chains.columns import binaries
from chains.model import Quarantined

Words = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_SIGNATURE = re.compile(r"^([\w$]+)\((.*)\)$")
_SIZES = re.compile(r"\[(\d*)\]")
_TOGETHER = 4
_REFUSED = (DecodingError, OverflowError, UnicodeDecodeError)
_KEPT, _KEPT_BYTES = 8_192, 512
"""How many calls and answers are remembered, and of what length: folds ask the same of the same contracts at block after block."""


class LoggedEvent(NamedTuple):
    """One decoded log: where it stands in the chain, who emitted it, and its arguments in the order of the signature."""

    block: int
    ordinal: int
    tx_index: int
    tx_hash: bytes
    address: bytes
    event: Event
    args: tuple[Any, ...]


class Misfit(NamedTuple):
    """A log whose topic names an event and whose shape is another."""

    block: int
    ordinal: int
    tx_index: int
    address: bytes
    event: Event
    data: bytes

    def quarantined(self, venue_id: str) -> Quarantined:
        """Return the row in which the log is kept."""
        reason = f"malformed_event:{self.event.name}"
        return Quarantined(self.block, self.tx_index, self.ordinal, venue_id, reason, self.data)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an event."""

    type: str
    name: str
    indexed: bool

    @property
    def element(self) -> str:
        """The type without the sizes of an array."""
        return self.type.partition("[")[0]

    @property
    def dynamic(self) -> bool:
        """Whether its length is told by its content."""
        return self.element in {"string", "bytes"} or "[]" in self.type

    @property
    def words(self) -> int:
        """How many words a static argument takes where it is not indexed."""
        return prod(int(size) for size in _SIZES.findall(self.type))


class Event:
    """An event by signature, as in `Event("Burn(address indexed from, uint256 value)")`.

    Addresses decode to 20 bytes, integers to `int`, `bool` to `bool`, `bytesN` to bytes, strings to `str`, arrays of fixed size to their
    words; an indexed dynamic argument or array is its hash. A struct of static members is written out, member by member; `hashed` is then
    the signature that its topic is the hash of.
    """

    __slots__ = ("arguments", "name", "topic0")

    def __init__(self, signature: str, *, hashed: str = "") -> None:
        name, arguments = _parse(signature)
        self.name = name
        self.arguments = arguments
        self.topic0 = keccak(text=hashed or f"{name}({','.join(a.type for a in arguments)})")

    def __repr__(self) -> str:
        return f"Event({self.name})"

    def rows(self, table: pa.Table) -> tuple[list[LoggedEvent], list[Misfit]]:
        """Decode the logs of `table` that carry this event's topic; those of another shape come back apart."""
        columns = self.columns(table)
        fitting = columns.table
        places = _places(fitting, "tx_hash", "address")
        arguments = list(zip(*self._columns(fitting), strict=True)) or [()] * fitting.num_rows
        return [
            LoggedEvent(block, ordinal, tx_index, tx_hash, address, self, args)
            for (block, ordinal, tx_index, tx_hash, address), args in zip(places, arguments, strict=True)
        ], columns.misfits

    def columns(self, table: pa.Table) -> EventColumns:
        """Pick out the logs of `table` that carry this event's topic; those of another shape come back apart."""
        mine = pc.equal(table["topic0"], pa.scalar(self.topic0, pa.binary()))
        fits = pc.and_(mine, self._shaped(table))
        misfits = self._misfits(_filtered(table, pc.and_not(mine, fits)))
        fitting = _filtered(table, fits)
        clean = self._clean(fitting)
        if not clean.all():
            misfits += self._misfits(fitting.filter(pa.array(~clean)))
            fitting = _filtered(fitting, pa.array(clean))
        return EventColumns(event=self, table=fitting, misfits=misfits)

    def words(self, fitting: pa.Table, argument: int) -> Words:
        """Return one argument of logs of this shape as words; raises `ValueError` for one that takes more or less than a word."""
        wanted = self.arguments[argument]
        if wanted.dynamic or wanted.words != 1:
            message = f"{self.name}: {wanted.type} {wanted.name} is no single word"
            raise ValueError(message)
        before = self.arguments[:argument]
        if wanted.indexed:
            return _words(fitting[f"topic{1 + sum(a.indexed for a in before)}"], 1)[:, 0]
        plain = [a for a in self.arguments if not a.indexed]
        if not _fixed_shape(plain):
            message = f"{self.name}: its data has no fixed shape"
            raise ValueError(message)
        start = sum(a.words for a in before if not a.indexed)
        return _words(fitting["data"], sum(a.words for a in plain))[:, start]

    def _misfits(self, table: pa.Table) -> list[Misfit]:
        rows = _places(table, "address", "data")
        return [Misfit(block, ordinal, tx, address, self, data) for block, ordinal, tx, address, data in rows]

    def _shaped(self, table: pa.Table) -> pa.ChunkedArray:
        """Tell which logs have as many topics and words as the signature."""
        indexed = sum(a.indexed for a in self.arguments)
        fits = pc.equal(table["log_index"], table["log_index"])
        for i in range(1, 4):
            present = pc.is_valid(table[f"topic{i}"])
            fits = pc.and_(fits, present if i <= indexed else pc.invert(present))
        plain = [a for a in self.arguments if not a.indexed]
        if _fixed_shape(plain):
            fits = pc.and_(fits, pc.equal(pc.binary_length(table["data"]), 32 * sum(a.words for a in plain)))
        return fits

    def _clean(self, table: pa.Table) -> Mask:
        """Tell which logs hold values of the types of their arguments, and nothing in the bits that these leave empty."""
        clean = _clean_data([a for a in self.arguments if not a.indexed], table)
        for i, argument in enumerate(a for a in self.arguments if a.indexed):
            if argument.element == argument.type:
                clean &= _in_range(_words(table[f"topic{i + 1}"], 1)[:, 0], argument.type)
        return clean

    def _columns(self, table: pa.Table) -> list[list[Any]]:
        plain = [a for a in self.arguments if not a.indexed]
        data = iter(_data_columns(plain, table))
        topics = iter(_words(table[f"topic{i + 1}"], 1)[:, 0] for i in range(len(self.arguments) - len(plain)))
        return [_column(next(topics), a.type) if a.indexed else next(data) for a in self.arguments]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """The logs of one event (`chains.evm.logs.LOG_SCHEMA`, in chain order), and apart from them those of another shape."""

    event: Event
    table: pa.Table
    misfits: list[Misfit]

    def words(self, argument: int) -> Words:
        """Return an argument as words, rows of 32 bytes; raises `ValueError` for one that is no single word."""
        return self.event.words(self.table, argument)

    def addresses(self, argument: int) -> pa.Array:
        """Return an address argument as binary values of 20 bytes."""
        return binaries(self.words(argument)[:, 12:].tobytes(), 20)

    def integers(self, argument: int) -> list[int]:
        """Return an integer argument."""
        words = self.words(argument)
        return _signed(words) if self.event.arguments[argument].type.startswith("int") else _unsigned(words)


class Function:
    """A view function by signature and result types, as in `Function("aggregator()", "address")`; `hashed` as for events."""

    __slots__ = ("_arguments", "_results", "selector", "signature")

    def __init__(self, signature: str, *results: str, hashed: str = "") -> None:
        name, arguments = _parse(signature)
        self._arguments = tuple(a.type for a in arguments)
        self._results = results
        self.signature = hashed or f"{name}({','.join(self._arguments)})"
        self.selector = keccak(text=self.signature)[:4]

    def calldata(self, *arguments: object) -> bytes:
        """Return selector and encoded arguments."""
        plain = all(isinstance(argument, bytes | str | int) for argument in arguments)
        return self.selector + (_encoded(self._arguments, *arguments) if plain else encode(self._arguments, arguments))

    def result(self, output: bytes) -> tuple[Any, ...] | None:
        """Decode an answer; `None` when it is not an answer of this function."""
        return (_answered if len(output) <= _KEPT_BYTES else _answer)(self._results, output)


class Decoded(NamedTuple):
    """The known events of a log table in chain order, and the logs that name one and have another shape."""

    events: list[LoggedEvent]
    misfits: list[Misfit]


def by_topic(table: pa.Table) -> dict[bytes, pa.Table]:
    """Return the logs of each topic0, in chain order: a table of many events is taken apart once, not once for each."""
    named = table.filter(pc.is_valid(table["topic0"])) if table["topic0"].null_count else table
    topics = named["topic0"].combine_chunks().dictionary_encode()
    numbers = topics.indices.to_numpy()
    apart = named.take(pa.array(np.argsort(numbers, kind="stable"))).combine_chunks()
    counts = np.bincount(numbers, minlength=len(topics.dictionary))
    starts = np.cumsum(counts) - counts
    return {
        topic: apart.slice(start, count)
        for topic, start, count in zip(topics.dictionary.to_pylist(), starts.tolist(), counts.tolist(), strict=True)
    }


def decode_all(events: Iterable[Event], table: pa.Table) -> Decoded:
    """Decode every known event of a log table, in chain order."""
    return decode_each(events, by_topic(table))


def decode_each(events: Iterable[Event], logs: Mapping[bytes, pa.Table]) -> Decoded:
    """Decode the known events of logs that are apart by topic, in chain order."""
    logged: list[LoggedEvent] = []
    misfits: list[Misfit] = []
    for event in events:
        if event.topic0 in logs:
            rows, odd = event.rows(logs[event.topic0])
            logged += rows
            misfits += odd
    logged.sort(key=lambda row: row[:2])
    return Decoded(logged, sorted(misfits, key=lambda row: row[:2]))


def address_of(output: bytes) -> bytes | None:
    """Return the address that a one-word answer holds, or `None` when it is not one."""
    return output[12:] if len(output) == 32 and not any(output[:12]) else None  # noqa: PLR2004 - one EVM word


@lru_cache(_KEPT, typed=True)
def _encoded(types: tuple[str, ...], *arguments: object) -> bytes:
    return encode(types, arguments)


def _answer(types: tuple[str, ...], output: bytes) -> tuple[Any, ...] | None:
    try:
        return tuple(decode(types, output))
    except _REFUSED:
        return None


_answered = lru_cache(_KEPT)(_answer)


def _filtered(table: pa.Table, wanted: pa.ChunkedArray | pa.Array) -> pa.Table:
    """Return some rows in one piece each column; without a copy where that is all of them, or none."""
    if pc.all(wanted, skip_nulls=False).as_py():
        return table.combine_chunks()
    return table.filter(wanted).combine_chunks() if pc.any(wanted).as_py() else table.slice(0, 0).combine_chunks()


def _parse(signature: str) -> tuple[str, tuple[Argument, ...]]:
    match = _SIGNATURE.match(signature)
    if match is None:
        message = f"not a signature: {signature!r}"
        raise ValueError(message)
    parts = [part.split() for part in match[2].split(",") if part.strip()]
    return match[1], tuple(Argument(part[0], part[-1], "indexed" in part) for part in parts)


def _fixed_shape(arguments: Sequence[Argument]) -> bool:
    return not any(a.dynamic for a in arguments)


def _places(table: pa.Table, *more: str) -> list[tuple[Any, ...]]:
    names = ("block_number", "log_index", "tx_index", *more)
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _words(column: pa.ChunkedArray, count: int) -> Words:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    body = np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return body.reshape(len(array), count, 32)


def _data_columns(arguments: Sequence[Argument], table: pa.Table) -> list[list[Any]]:
    if not arguments:
        return []
    if _fixed_shape(arguments):
        parts = zip(arguments, _split(arguments, table), strict=True)
        return [_arrays(words) if a.type.endswith("]") else _column(words[:, 0], a.type) for a, words in parts]
    decoded = [values for data in table["data"].to_pylist() if (values := _decoded(arguments, data)) is not None]
    return [list(column) for column in zip(*decoded, strict=True)] or [[]] * len(arguments)


def _clean_data(arguments: Sequence[Argument], table: pa.Table) -> Mask:
    if not _fixed_shape(arguments):
        return np.array([_decoded(arguments, data) is not None for data in table["data"].to_pylist()], np.bool_)
    clean = np.ones(table.num_rows, np.bool_)
    for argument, words in zip(arguments, _split(arguments, table), strict=True):
        for i in range(argument.words):
            clean &= _in_range(words[:, i], argument.element)
    return clean


def _split(arguments: Sequence[Argument], table: pa.Table) -> list[Words]:
    """Return the words of each static argument, by log."""
    ends = list(accumulate(a.words for a in arguments))
    words = _words(table["data"], ends[-1] if ends else 0)
    return [words[:, end - a.words : end] for a, end in zip(arguments, ends, strict=True)]


def _decoded(arguments: Sequence[Argument], data: bytes) -> list[Any] | None:
    types = [a.type for a in arguments]
    try:
        values = decode(types, data)
    except _REFUSED:
        return None
    return [bytes.fromhex(v[2:]) if t == "address" else v for t, v in zip(types, values, strict=True)]


def _column(words: Words, type_name: str) -> list[Any]:
    for prefix, read in () if type_name.endswith("]") else _READERS:
        if type_name.startswith(prefix):
            return read(words)
    return _slices(words, 0, 32)


def _arrays(words: Words) -> list[tuple[bytes, ...]]:
    return [tuple(bytes(word) for word in row) for row in words]


def _in_range(words: Words, type_name: str) -> Mask:
    """Tell which words are values of a type, with nothing where the type leaves nothing to say."""
    kind = type_name.rstrip("0123456789")
    size = int(type_name[len(kind) :] or 256)
    match kind:
        case "address":
            return empty(words[:, :12])
        case "bool":
            return empty(words[:, :31]) & (words[:, 31] <= 1)
        case "uint":
            return empty(words[:, : 32 - size // 8])
        case "int":
            first = 32 - size // 8
            sign = (words[:, first] >> 7) * np.uint8(0xFF)
            return empty(words[:, :first] != sign[:, None])
        case _:
            return empty(words[:, size:])


def empty(part: npt.NDArray[Any]) -> Mask:
    """Tell which rows of bytes are all zero: by column, four bytes at once, since numpy is slow along short rows."""
    behind = part.shape[1] // _TOGETHER * _TOGETHER
    found = np.zeros(len(part), np.uint32)
    for column in (*part[:, :behind].view(np.uint32).T, *part[:, behind:].T):
        found |= column
    return np.asarray(found == 0, np.bool_)


def _slices(words: Words, start: int, stop: int) -> list[bytes]:
    size = stop - start
    body = np.ascontiguousarray(words[:, start:stop]).tobytes()
    return [body[i : i + size] for i in range(0, len(body), size)]


def _unsigned(words: Words) -> list[int]:
    if not words[:, :24].any():
        return _limb(words, 24)
    if not words[:, :16].any():
        return [high << 64 | low for high, low in zip(_limb(words, 16), _limb(words, 24), strict=True)]
    return [int.from_bytes(word) for word in _slices(words, 0, 32)]


def _limb(words: Words, start: int) -> list[int]:
    limb: list[int] = np.ascontiguousarray(words[:, start : start + 8]).view(">u8")[:, 0].tolist()
    return limb


def _signed(words: Words) -> list[int]:
    return [int.from_bytes(word, signed=True) for word in _slices(words, 0, 32)]


_READERS: tuple[tuple[str, Callable[[Words], list[Any]]], ...] = (
    ("address", lambda words: _slices(words, 12, 32)),
    ("uint", _unsigned),
    ("int", _signed),
    ("bool", lambda words: np.any(words, axis=1).tolist()),
)
