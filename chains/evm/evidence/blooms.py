"""The filter over the logs of a block: it never denies what is there, and affirms some of what is not (Yellow Paper, section 4.3.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from eth_hash.auto import keccak

SIZE = 256
NOTHING = bytes(SIZE)
_BITS = 8 * SIZE - 1


@lru_cache(maxsize=65_536)
def bits(value: bytes) -> tuple[tuple[int, int], ...]:
    """Return the three bits that a value sets, each as its byte and the mask within it."""
    digest = keccak(value)
    places = [int.from_bytes(digest[i : i + 2]) & _BITS for i in (0, 2, 4)]
    return tuple((SIZE - 1 - place // 8, 1 << place % 8) for place in places)


def bloom_of(values: Collection[bytes]) -> bytes:
    """Return the filter that holds these values and no others."""
    bloom = bytearray(SIZE)
    for value in values:
        for byte, mask in bits(value):
            bloom[byte] |= mask
    return bytes(bloom)


def holds(bloom: bytes, value: bytes) -> bool:
    """Tell whether a value may be in a filter; `False` is certain."""
    return all(bloom[byte] & mask for byte, mask in bits(value))


def rows(blooms: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Return filters one below the other."""
    return np.frombuffer(b"".join(blooms), np.uint8).reshape(len(blooms), SIZE)


def holding(blooms: npt.NDArray[np.uint8], values: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Return which filter (row) may hold which value (column)."""
    found = np.ones((len(blooms), len(values)), np.bool_)
    for column, value in enumerate(values):
        for byte, mask in bits(value):
            found[:, column] &= (blooms[:, byte] & mask) != 0
    return found
