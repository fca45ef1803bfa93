"""The filter over the logs of a block: it never denies what is there, and affirms some of what is not (Yellow Paper, section 4.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eth_hash.auto import keccak

SIZE = 256
NOTHING = bytes(SIZE)
_LAST_BIT = 8 * SIZE - 1


@lru_cache(maxsize=65_536)
def mask(value: bytes) -> int:
    """Return the three bits that a value sets, as a number."""
    digest = keccak(value)
    found = 0
    for start in (0, 2, 4):
        found |= 1 << (int.from_bytes(digest[start : start + 2]) & _LAST_BIT)
    return found


def holding(bloom: bytes, values: Iterable[bytes]) -> list[bytes]:
    """Return the values that may be in a filter; the others are certainly not."""
    bits = int.from_bytes(bloom)
    return [value for value in values if bits & (wanted := mask(value)) == wanted]
