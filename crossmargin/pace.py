"""How fast a chain comes in, and how long the rest will take: pure arithmetic over times of a monotonic clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.loop import Progress

WINDOW_S = 30.0
"""Over so many of the last seconds a rate is told; longer where a single batch takes longer."""

TELLING = 0.01
TELLING_S = 3.0
"""The share that must be done, or the time that must be over, before the rest can be told from it."""

WAIT = "wait"
"""The stage in which nothing is done: for news, for a node's patience, for another chain."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How many blocks and records had come at a moment."""

    at: float
    blocks: int
    records: int


@dataclass(slots=True)
class Pace:
    """What came of one chain since `began`; `first` is the block with which it began."""

    first: int
    began: float
    blocks: int = 0
    records: int = 0
    rows: int = 0
    marks: deque[Mark] = field(default_factory=deque)
    stages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.marks.append(Mark(self.began, 0, 0))

    def add(self, progress: Progress, now: float) -> dict[str, float]:
        """Count a batch; return its stages in seconds, with the wait before and between them."""
        passed = now - self.marks[-1].at
        stages = {**progress.seconds, WAIT: max(0.0, passed - sum(progress.seconds.values()))}
        self.blocks += progress.indexed - progress.first + 1
        self.records += progress.records
        self.rows += progress.rows
        self.stages.update(stages)
        self.marks.append(Mark(now, self.blocks, self.records))
        while len(self.marks) > 2 and now - self.marks[1].at >= WINDOW_S:  # noqa: PLR2004 - two marks make a rate
            self.marks.popleft()
        return stages

    def rates(self) -> tuple[float, float]:
        """Return blocks and records a second, of late."""
        old, new = self.marks[0], self.marks[-1]
        seconds = max(new.at - old.at, 1e-3)
        return (new.blocks - old.blocks) / seconds, (new.records - old.records) / seconds

    def done(self, progress: Progress) -> float:
        """Return the share of the way that is done."""
        return (progress.indexed - self.first + 1) / max(progress.target - self.first + 1, 1)

    def left_s(self, progress: Progress) -> float | None:
        """Return the seconds to the target, `None` as long as they would be a guess."""
        blocks = progress.target - progress.indexed
        rate, _ = self.rates()
        known = self.done(progress) >= TELLING or self.marks[-1].at - self.began >= TELLING_S
        if blocks <= 0:
            return 0.0
        return blocks / rate if known and rate > 0 else None

    def spent(self) -> Mapping[str, float]:
        """Return the share of each stage in the time since this was last asked."""
        whole = sum(self.stages.values())
        shares = {name: seconds / whole for name, seconds in self.stages.items()} if whole > 0 else {}
        self.stages.clear()
        return shares
