"""A piece of a span while it is examined: few enough blocks to hold at once, and what is stored of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chains.completeness import Level, Part, joined
from chains.evm.evidence.compare import Difference, Followed
from chains.evm.evidence.receipts import BlockLog

Emitted = tuple[bytes, bytes]
"""A contract and the topic0 of a log of it."""


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
    level: Level = Level.FETCHED
    doubtful: Mapping[int, Collection[Emitted]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        piece: Piece,
        level: Level,
        why: Mapping[int, str],
        found: Sequence[Difference] = (),
        doubtful: Mapping[int, Collection[Emitted]] | None = None,
    ) -> Weighed:
        """Give a piece a level, apart from the blocks that `why` names, which stay at the word of one node.

        `doubtful`: of those, the logs that they may hold at most; of a block that is not among them nothing is excluded.
        """
        numbers = range(piece.first, piece.last + 1)
        parts = joined(Part(n, n, Level.FETCHED if n in why else level, why.get(n, "")) for n in numbers)
        return cls(parts, list(found), level, {n: logs for n, logs in (doubtful or {}).items() if n in why})

    def parts_for(self, takes: Callable[[Emitted], bool]) -> list[Part]:
        """Return the parts as they are for whom takes only some logs: what speaks for a block that can hold none of these is enough."""
        spared = {number for number, logs in self.doubtful.items() if not any(map(takes, logs))}
        if not spared:
            return self.parts
        return joined(each for part in self.parts for each in self._without(part, spared))

    def _without(self, part: Part, spared: Collection[int]) -> Iterator[Part]:
        numbers = sorted(number for number in spared if part.first <= number <= part.last)
        first = part.first
        for number in numbers:
            if first < number:
                yield part._replace(first=first, last=number - 1)
            yield Part(number, number, self.level, "")
            first = number + 1
        if first <= part.last:
            yield part._replace(first=first)


def cut(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Return a span in pieces, the highest first: a block vouches for those below it."""
    while last >= first:
        yield max(first, last - size + 1), last
        last -= size
