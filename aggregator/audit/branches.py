"""Nodes of a snapshot's tree in arrays: the same hashes and sums as the stand-alone verifier's, for millions of units.

The kernels are compiled by numba, and call OpenSSL, where both are there; without them `tree_index` builds the tree as the verifier does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import FileIO
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregator.audit.verifier import UNITS, UNKNOWN, Fault, Node, Part, Spelled

DIGITS = 18
"""Of a limb of an amount: two of them, and a carry, are less than 2**64."""

DIGEST = 32
"""Bytes of a hash."""

AT_ONCE = 1 << 18
"""Bytes of lines that are read together, and stay near until they are hashed; more where those of one unit are."""

Offsets = NDArray[np.int64]
Places = NDArray[np.int32]
Amounts = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint8]
"""One a row."""


Kernels = Any
"""The module `branch_kernels`."""

_END = ord("\n")


@cache
def kernels() -> Kernels | None:
    """Return what is compiled, or nothing without numba or OpenSSL."""
    try:
        from aggregator.audit import branch_kernels  # noqa: PLC0415 - numba takes half a second to import
    except ImportError:
        return None
    return branch_kernels


@cache
def failures() -> list[str]:
    """Return what kernels failed by in this process, which asks them no more."""
    return []


@dataclass(frozen=True, slots=True)
class Words:
    """How sums are written: each behind the word of its place, and what stands before, between and behind those of a node."""

    text: Bytes
    ends: Offsets
    around: tuple[Bytes, Bytes, Bytes]

    @staticmethod
    def of(words: Sequence[str], opened: str, between: str, closed: str) -> Words:
        """Take the words of all places."""
        encoded = [word.encode() for word in words]
        ends = np.fromiter(accumulate(map(len, encoded), initial=0), np.int64)
        return Words(
            _signs(b"".join(encoded)),
            ends,
            (_signs(opened.encode()), _signs(between.encode()), _signs(closed.encode())),
        )


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes of a level: where the sums of each begin and the last end, places of their names, amounts (lowest limb first), and hashes."""

    starts: Offsets
    places: Places
    amounts: Amounts
    hashes: Hashes

    def __len__(self) -> int:
        """Return how many nodes there are."""
        return len(self.hashes)


@dataclass(frozen=True, slots=True)
class Held:
    """What units hold, as columns: see `verifier.Holdings`; `amounts`: as text, each with an end of line."""

    counts: Offsets
    unknown: Flags
    names: Sequence[str]
    which: Places
    amounts: bytes


class Tree:
    """Builds nodes over units that hold something of some names; needs `kernels`."""

    def __init__(self, names: Sequence[str], kernels: Kernels) -> None:
        self._kernels = kernels
        self.sums = Spelled(names)
        self._place_of = np.array([self.sums.places[name] for name in names], np.int32)
        self._words = Words.of(self.sums.starts, "{", '",', '"}')

    def leaves(self, held: Held, hashes: Hashes) -> Level:
        """Make leaves of what units hold and of their hashes; raises `Fault` where these are not as many."""
        digits = _signs(held.amounts)
        ends = np.flatnonzero(digits == _END)
        if len(hashes) != len(held.counts) or not held.counts.sum() == len(held.which) == len(ends):
            raise Fault("a position is of no unit")
        longest = int(np.diff(ends, prepend=-1).max(initial=1)) - 1
        limbs = (longest + len(str(len(ends)))) // DIGITS + 1
        units_place, unknown_place = self.sums.places[UNITS], self.sums.places[UNKNOWN]
        which = self._place_of[held.which]
        starts, places, amounts = self._kernels.leaves(
            held.counts, held.unknown, which, digits, ends, units_place, unknown_place, limbs
        )
        return Level(starts, places, amounts, hashes)

    def texts(self, level: Level, words: Words) -> Iterator[memoryview]:
        """Yield the sums of each node as they are written."""
        text, ends = self._kernels.spelled(
            level.starts, level.places, level.amounts, words.text, words.ends, *words.around
        )
        seen = memoryview(text)
        return (seen[begin:end] for begin, end in pairwise(ends.tolist()))

    def above(self, level: Level) -> Level:
        """Join the nodes of a level in pairs; of an odd number the last goes up as it is."""
        sums = level.starts, level.places, level.amounts
        said = self._kernels.sums_hashes(*sums, self._words.text, self._words.ends, *self._words.around)
        starts, places, amounts = self._kernels.joined(*sums)
        return Level(starts, places, amounts, self._kernels.node_hashes(level.hashes, said))

    def levels(self, leaves: Level) -> Iterator[Level]:
        """Yield the leaves, and all levels above them up to the root."""
        yield leaves
        while len(leaves) > 1:
            leaves = self.above(leaves)
            yield leaves

    def root(self, level: Level) -> Node:
        """Return the one node of a level with the names of its sums."""
        limbs = level.amounts.tolist()
        amounts = [sum(limb * 10 ** (DIGITS * place) for place, limb in enumerate(each)) for each in limbs]
        names = map(self.sums.names.__getitem__, level.places.tolist())
        return Node(level.hashes[0].tobytes(), dict(zip(names, amounts, strict=True)))


def leaf_hashes(units: Part, positions: Part, counts: Offsets, kernels: Kernels) -> tuple[Hashes, Offsets]:
    """Hash each unit's line with those of its positions, of which it has so many; return the hashes, and how long the units' lines are.

    Lines are read as they are hashed. Raises `Fault` where there are not as many as that.
    """
    hashes, lengths = np.empty((len(counts), DIGEST), np.uint8), np.empty(len(counts), np.int64)
    done = 0
    with units.path.open("rb", 0) as of_units, positions.path.open("rb", 0) as of_positions:
        lines, held = _Ahead(of_units, units), _Ahead(of_positions, positions)
        while done < len(counts):
            count, used, held_used = kernels.leaf_hashes(
                counts[done:], lines.text, held.text, hashes[done:], lengths[done:]
            )
            done += count
            read = lines.more(used), held.more(held_used)
            if not count and not any(read):
                raise Fault("a position is of no unit")
        if len(lines.text) or lines.more(0) or len(held.text) or held.more(0):
            raise Fault("a position is of no unit")
    return hashes, lengths


class _Ahead:
    """Bytes of a part of a file that were read and not used yet."""

    def __init__(self, file: FileIO, part: Part) -> None:
        file.seek(part.begin)
        self._file, self._left, self._room = file, part.end - part.begin, np.empty(AT_ONCE, np.uint8)
        self.text = self._room[:0]

    def more(self, used: int) -> int:
        """Let go of what was used, and read more if there is; return how many bytes: more room is made where what is kept fills it."""
        kept = self.text[used:]
        room = self._room if len(kept) < len(self._room) else np.empty(2 * len(self._room), np.uint8)
        room[: len(kept)] = kept
        until = min(len(room), len(kept) + self._left)
        read = self._file.readinto(room[len(kept) : until].data)
        self._left -= read
        self._room, self.text = room, room[: len(kept) + read]
        return read


def _signs(text: bytes) -> Bytes:
    return np.frombuffer(text, np.uint8)
