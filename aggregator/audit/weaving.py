"""Rows as texts that are joined of a few pieces each, by a compiled kernel where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aggregator.preferring import NotCompiled, compiling, say_slower

ROOM = 1 << 20
"""Bytes of texts that are joined together, and stay near until somebody has used them; more where one row has."""

Codes = NDArray[np.int64]
Numbers = NDArray[np.int32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of each row: the row's own of as many words, or that of `which`, or of all rows the only one (`is_one`).

    `words`: without gaps, of type `large_string`.
    """

    words: pa.Array
    which: Codes | None = None
    is_one: bool = False


def is_there() -> bool:
    """Say whether there is a kernel that did not fail yet in this process."""
    return not _failed() and _kernel() is not None


def give_up(why: str) -> None:
    """Ask the kernel no more in this process."""
    say_slower("the lines of a snapshot", why)
    _failed().append(why)


def woven(pieces: Sequence[Piece], rows: int) -> Iterator[memoryview]:
    """Yield the texts of so many rows, one after another: some at a time, which are there until the next are asked for.

    Raises `NotCompiled` before anything is yielded.
    """
    words, ends, codes = _flat(pieces, rows)
    room, done = np.empty(ROOM, np.uint8), 0
    kernel = _kernel()
    kernel.compile_for(kernel.woven, words, ends, codes, done, room)
    while done < rows:
        until, size = kernel.woven(words, ends, codes, done, room)
        if until == done:
            room = np.empty(2 * len(room), np.uint8)
        else:
            yield room[:size].data
        done = until


def contiguous(texts: pa.Array) -> memoryview:
    """Return the bytes of all texts, one after another."""
    offsets = _offsets(texts)
    return memoryview(texts.buffers()[2] or b"")[offsets[0] : offsets[-1]]


def _offsets(texts: pa.Array) -> Codes:
    return np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]


def _flat(pieces: Sequence[Piece], rows: int) -> tuple[Bytes, Codes, Numbers]:
    """Return the bytes of all words, where each begins and the last ends, and of each piece the number of each row's word."""
    texts = [contiguous(each.words) for each in pieces]
    starts = [*accumulate(map(len, texts), initial=0)]
    firsts = [*accumulate((len(each.words) for each in pieces), initial=0)]
    codes = np.empty((len(pieces), rows), np.int32)
    for number, (first, each) in enumerate(zip(firsts, pieces, strict=False)):
        codes[number] = first if each.is_one else np.arange(first, first + rows) if each.which is None else each.which
        if each.which is not None:
            codes[number] += first
    offsets = [_offsets(each.words) for each in pieces]
    begins = [each[:-1] - each[0] + start for each, start in zip(offsets, starts, strict=False)]
    words = np.concatenate([np.frombuffer(each, np.uint8) for each in texts])
    return words, np.append(np.concatenate(begins), starts[-1]), codes


@cache
def _kernel() -> Any:  # noqa: ANN401 - the module `weaving_kernel`
    try:
        with compiling():
            from aggregator.audit import weaving_kernel  # noqa: PLC0415 - numba takes half a second to import
    except NotCompiled as error:
        if not isinstance(error.__cause__, ImportError):
            give_up(str(error))
        return None
    return weaving_kernel


@cache
def _failed() -> list[str]:
    """Return what the kernel failed by in this process."""
    return []
