"""Texts of many accounts at once: what each says is written side by side, without a Python object for each."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chains.solana.layouts import Records, packed

Bytes = npt.NDArray[np.uint8]


def binary(rows: Bytes, kind: pa.DataType | None = None) -> pa.Array:
    """Return rows of bytes as an array of binaries, without looking at them; of strings, where all are known to be ASCII."""
    count, size = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(size)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.Array.from_buffers(kind or pa.binary(), count, buffers)


def hexed(rows: Bytes, before: bytes = b"", behind: bytes = b"") -> pa.Array:
    """Write rows of bytes in hexadecimal digits, with what stands before and behind each."""
    start, end = len(before), len(before) + 2 * rows.shape[1]
    text = np.empty((len(rows), end + len(behind)), np.uint8)
    text[:, :start] = np.frombuffer(before, np.uint8)
    digits = hexlify(np.ascontiguousarray(rows).data)
    text[:, start:end] = np.frombuffer(digits, np.uint8).reshape(len(rows), end - start)
    text[:, end:] = np.frombuffer(behind, np.uint8)
    return binary(text, pa.string())


def numbers(column: npt.NDArray[Any]) -> pa.Array:
    """Write integers in decimal digits."""
    return pa.array(np.ascontiguousarray(column)).cast(pa.string())


def in_rows(columns: Sequence[npt.NDArray[Any]], between: str) -> pa.Array:
    """Write columns of integers of one type in decimal digits, those of each row in one text."""
    table = np.stack(columns, axis=1)
    offsets = np.arange(len(table) + 1, dtype=np.int32) * np.int32(len(columns))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), numbers(table.ravel())), between)


def side_by_side(*parts: pa.Array | str) -> pa.Array:
    """Write the parts of each row one behind the other."""
    merged: list[pa.Array | str] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return pc.binary_join_element_wise(*merged, "")


def listed(texts: pa.Array, counts: npt.NDArray[np.int64]) -> pa.Array:
    """Join so many texts of each row with commas."""
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), texts), ",")


def distinct(records: Records, names: Sequence[str]) -> tuple[Records, pa.Array]:
    """Return each combination of some fields once, and which of them each record has."""
    found = packed(records, names)
    coded = binary(found.view(np.uint8).reshape(len(found), found.itemsize)).dictionary_encode()
    return np.frombuffer(b"".join(coded.dictionary.to_pylist()), found.dtype), coded.indices
