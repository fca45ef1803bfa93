"""Account layouts as tables of fields, and accounts in bulk as columns of them.

A table is a mapping of field names to (offset in bytes, type). Types: `u8` to `u64` and `i8` to `i64`; `u128`, `i128` and `u256`, which
numpy has not and which become Python integers; `key`, 32 bytes; `bytes:N`; and `(count, stride, table)`, an array of structures.
All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Table: TypeAlias = Mapping[str, tuple[int, "Kind"]]
Kind: TypeAlias = str | tuple[int, int, Table]
Records: TypeAlias = npt.NDArray[np.void]

KEY = 32
_WIDE: Mapping[str, tuple[int, bool]] = {"u128": (16, False), "i128": (16, True), "u256": (32, False)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What an account of one kind is: its `size` in bytes, the bytes it begins with (`discriminator`, empty where none), its fields.

    `grows`: an account may be longer than `size`; what is behind is not read.
    """

    name: str
    size: int
    discriminator: bytes
    fields: Table
    grows: bool = False

    def problem(self, data: bytes) -> str | None:
        """Say why bytes are no account of this kind, `None` where they are."""
        if len(data) != self.size and not (self.grows and len(data) > self.size):
            return f"the account has {len(data)} bytes, a {self.name} has {self.size}"
        if data[: len(self.discriminator)] != self.discriminator:
            return f"the account begins with {data[: len(self.discriminator)].hex()}, a {self.name} with {self.discriminator.hex()}"
        return None

    def records(self, accounts: Sequence[bytes]) -> Records:
        """Return accounts as one array of records, without looking at their fields; all must be of this kind."""
        cut = accounts if not self.grows else [data[: self.size] for data in accounts]
        return np.frombuffer(b"".join(cut), self._dtype)

    @cached_property
    def _dtype(self) -> np.dtype[np.void]:
        return _structure(self.fields, self.size)


def picked(structures: Records, wanted: npt.NDArray[np.bool_]) -> Records:
    """Return some structures, copied as bytes: numpy alone copies them field by field."""
    found: Records = structures.view(f"V{structures.dtype.itemsize}")[wanted].view(structures.dtype)
    return found


def packed(records: Records, names: Sequence[str]) -> Records:
    """Return some fields alone, copied one behind the other."""
    found: Records = np.empty(len(records), [(name, records.dtype[name]) for name in names])
    for name in names:
        found[name] = records[name]
    return found


def stacked(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Lay arrays of one kind one below the other, structures as bytes."""
    kind = parts[0].dtype
    if kind.names is None:
        return np.concatenate(parts)
    return np.concatenate([part.view(f"V{kind.itemsize}") for part in parts]).view(kind)


def integers(column: npt.NDArray[Any], kind: str) -> list[int]:
    """Return a column of a wide kind (`u128`, `i128`, `u256`) as integers, flattened in order."""
    size, signed = _WIDE[kind]
    raw = np.ascontiguousarray(column).tobytes()
    return [int.from_bytes(raw[at : at + size], "little", signed=signed) for at in range(0, len(raw), size)]


def keys(column: npt.NDArray[Any]) -> list[bytes]:
    """Return a column of keys as their bytes, flattened in order."""
    raw = np.ascontiguousarray(column).tobytes()
    return [raw[at : at + KEY] for at in range(0, len(raw), KEY)]


def read(fields: Table, data: bytes, start: int = 0) -> dict[str, Any]:
    """Return one structure as values: integers, bytes, and lists of structures."""
    return {name: _value(kind, data, start + offset) for name, (offset, kind) in fields.items()}


def _value(kind: Kind, data: bytes, at: int) -> object:
    if not isinstance(kind, str):
        count, stride, table = kind
        return [read(table, data, at + i * stride) for i in range(count)]
    size = _size(kind)
    raw = data[at : at + size]
    if kind == "key" or kind.startswith("bytes:"):
        return raw
    return int.from_bytes(raw, "little", signed=kind.startswith("i"))


def _size(kind: Kind) -> int:
    if not isinstance(kind, str):
        return kind[0] * kind[1]
    if kind == "key":
        return KEY
    if kind.startswith("bytes:"):
        return int(kind.removeprefix("bytes:"))
    return int(kind[1:]) // 8


def _structure(fields: Table, size: int) -> np.dtype[np.void]:
    formats = [_format(kind) for _, kind in fields.values()]
    offsets = [offset for offset, _ in fields.values()]
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size})


def _format(kind: Kind) -> Any:  # noqa: ANN401 - what numpy takes
    if not isinstance(kind, str):
        count, stride, table = kind
        return (_structure(table, stride), (count,))
    if kind in _WIDE or kind == "key" or kind.startswith("bytes:"):
        return np.dtype(f"V{_size(kind)}")
    return np.dtype(f"<{kind[0]}{_size(kind)}")
