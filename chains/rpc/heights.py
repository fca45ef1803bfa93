"""How far each node is along the chain, as far as it said itself, and which of them lags."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

LAG_BLOCKS = 3
LAG_S = 10.0
REMEMBERED = 64
MANY = 3
"""Nodes of which the second highest counts: one alone may say what it likes."""


class Heights:
    """The newest blocks that one node told of: `newest` is -1 before the first. Times in seconds of one clock."""

    __slots__ = ("_rises", "newest")

    def __init__(self) -> None:
        self.newest = -1
        self._rises: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    def told(self, height: int, now: float) -> None:
        """Note what the node says is its newest block; it may have gone back."""
        self.newest = height
        while self._rises and self._rises[-1][0] > height:
            self._rises.pop()
        if not self._rises or self._rises[-1][0] < height:
            self._rises.append((height, now))

    def lacks(self, height: int, now: float) -> None:
        """Note that the node does not have a block."""
        if self.newest >= height:
            self.told(height - 1, now)

    def since(self, height: int) -> float | None:
        """Return when the node was first known to have reached a height, `None` if it was not."""
        place = bisect_left(self._rises, (height, float("-inf")))
        return self._rises[place][1] if place < len(self._rises) else None


def lags(height: int, others: Sequence[Heights], now: float) -> bool:
    """Tell whether a node at this height is some blocks behind what others reached some seconds ago."""
    since = sorted(at for other in others if (at := other.since(height + LAG_BLOCKS + 1)) is not None)
    needed = 2 if len(others) >= MANY - 1 else 1
    return len(since) >= needed and now - since[needed - 1] >= LAG_S
