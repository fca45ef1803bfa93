"""What numba compiles for `weaving`. Importing it raises `ImportError` without numba."""

from __future__ import annotations

from aggregator.audit.c_functions import copy
from aggregator.audit.weaving import Bytes, Codes, Numbers
from aggregator.jitted import compile_for, jitted

__all__ = ["compile_for", "woven"]


@jitted()
def woven(words: Bytes, ends: Codes, numbers: Numbers, first: int, room: Bytes) -> tuple[int, int]:
    """Join the words of each row, from one row on, as far as there is room; return before which row that ended, and how many bytes it is.

    `ends`: where each word begins, and where the last ends; `numbers`: of each piece those of the rows' words.
    """
    at, (pieces, rows) = 0, numbers.shape
    for row in range(first, rows):
        size = 0
        for piece in range(pieces):
            word = numbers[piece, row]
            size += ends[word + 1] - ends[word]
        if at + size > len(room):
            return row, at
        for piece in range(pieces):
            word = numbers[piece, row]
            length = ends[word + 1] - ends[word]
            copy(room.ctypes.data + at, words.ctypes.data + ends[word], length)
            at += length
    return rows, at
