"""A piece of a span while it is examined: few enough blocks to hold at once, and what is stored of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chains.completeness import Level, Part, joined
from chains.evm.evidence.compare import Difference, Followed
from chains.evm.evidence.receipts import BlockLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Blocks `first`..`last`, the stored logs of each, the hashes of those that are stored, and what is followed."""

    first: int
    last: int
    stored: Mapping[int, Sequence[BlockLog]]
    hashes: Mapping[int, bytes]
    followed: Followed

    def logs(self, number: int) -> Sequence[BlockLog]:
        """Return what is stored of a block."""
        return self.stored.get(number, ())


@dataclass(slots=True)
class Weighed:
    """What came out: a level and, where it is not the one that was asked for, the reason, for each run of blocks."""

    parts: list[Part] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @classmethod
    def of(cls, piece: Piece, level: Level, why: Mapping[int, str], found: Sequence[Difference] = ()) -> Weighed:
        """Give a piece a level, apart from the blocks that `why` names, which stay at the word of one node."""
        numbers = range(piece.first, piece.last + 1)
        return cls(
            joined(Part(n, n, Level.FETCHED if n in why else level, why.get(n, "")) for n in numbers), list(found)
        )

    def add(self, other: Weighed) -> None:
        """Join what came out of another piece."""
        self.parts = joined([*self.parts, *other.parts])
        self.differences += other.differences


def cut(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Return a span in pieces, the highest first: a block vouches for those below it."""
    while last >= first:
        yield max(first, last - size + 1), last
        last -= size
