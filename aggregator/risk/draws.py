"""Numbers that look like chance and are not: a function of a seed, a name and a place, the same on every machine.

Source: Steele, Lea and Flood (2014), the mixing function of SplitMix64.
"""

from __future__ import annotations

import hashlib

import numpy as np

from aggregator.risk.history import Floats

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def shares(seed: int, name: str, shape: tuple[int, ...]) -> Floats:
    """Return numbers spread evenly from 0 to below 1, of a shape."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    begin = np.uint64(int.from_bytes(digest[:8], "big"))
    count = int(np.prod(shape))
    mixed = begin + _STEP * np.arange(1, count + 1, dtype=np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)) * 2.0**-53, np.float64).reshape(shape)


def fractions(numbers: Floats) -> Floats:
    """Return what is behind the point of numbers that are not negative, exactly.

    Not by the operator of remainders: that one rests on the stack of the x87 unit, which another library's code may have left full.
    """
    return np.asarray(numbers - np.floor(numbers), np.float64)
