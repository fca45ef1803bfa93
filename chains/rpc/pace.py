"""How fast, and how much at once, one node is asked."""

from __future__ import annotations

import asyncio
import math
from collections import deque

SLOWER = 0.5
"""What is left of the rate when nothing but refusals comes; in between, the share of refusals decides."""

LEAST_SLOWER = 0.95
FASTER_PER_S = 0.05
FASTER_LATER_PER_S = 0.25
"""Part of the rate that is added in a second of good answers: at first, and when the last refusal is `LONG_S` ago."""

LONG_S = 10.0
LEAST_STEP = 0.5
LEAST_PER_S = 1.0
FIRST_PER_S = 20.0
"""A node that was asked less often than this when it first refused is asked so often from then on."""

MOST_PER_S = 2_000.0
"""A bound that is no bound."""

BURST_S = 1.0
"""Requests of so long may be made at once after a pause."""

CALM_S = 1.0
"""Refusals within so long of one another are one."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0


class Pace:
    """Requests per second that a node bears, those in batches counted singly: without bound until it says that there is one.

    Then somewhat fewer than it was asked, by the share of refusals, and a little more with every second of good answers. All times
    are seconds of one clock.
    """

    __slots__ = ("_bad", "_free_at", "_good", "_pause_s", "_raised_at", "_refused_at", "_sent", "_until", "per_s")

    def __init__(self) -> None:
        self.per_s = math.inf
        self._free_at = -math.inf
        self._until = -math.inf
        self._refused_at = -math.inf
        self._raised_at = -math.inf
        self._pause_s = FIRST_PAUSE_S
        self._good = 0
        self._bad = 0
        self._sent: deque[tuple[float, int]] = deque()

    def delay(self, now: float) -> float:
        """Return after how long the next request may be made."""
        return max(0.0, self._free_at - now, self._until - now)

    def take(self, now: float, count: int) -> None:
        """Note that so many requests are made now."""
        self._free_at = max(self._free_at, now - BURST_S) + count / self.per_s
        self._sent.append((now, count))
        self._seen(now)

    def _seen(self, now: float) -> float:
        """Return how many requests were made in the last second."""
        while self._sent and self._sent[0][0] <= now - 1.0:
            self._sent.popleft()
        return float(sum(count for _, count in self._sent))

    def refused(self, now: float, retry_after_s: float | None) -> None:
        """Slow down; the node's own wish for a pause is kept to."""
        if retry_after_s is not None:
            self.hold(now, retry_after_s)
        elif now >= self._until:
            self.hold(now, self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._bad += 1
        if now < self._refused_at + CALM_S:
            return
        share = self._bad / (self._bad + self._good)
        seen = max(self._seen(now), FIRST_PER_S if math.isinf(self.per_s) else LEAST_PER_S)
        left = min(LEAST_SLOWER, 1 - SLOWER * share)
        self.per_s = max(LEAST_PER_S, left * min(self.per_s, seen))
        self._refused_at = self._raised_at = now
        self._good = self._bad = 0
        self._free_at = max(self._free_at, now)

    def hold(self, now: float, pause_s: float) -> None:
        """Leave the node alone for so long."""
        self._until = max(self._until, now + pause_s)

    def timed_out(self) -> None:
        """Slow down, where there is a bound already."""
        self.per_s = max(LEAST_PER_S, SLOWER * self.per_s)

    def went_well(self, now: float) -> None:
        """Speed up a little."""
        self._pause_s = FIRST_PAUSE_S
        self._good += 1
        if math.isinf(self.per_s) or now <= self._raised_at:
            return
        part = FASTER_LATER_PER_S if now >= self._refused_at + LONG_S else FASTER_PER_S
        self.per_s += min(now - self._raised_at, 1.0) * max(LEAST_STEP, part * self.per_s)
        self._raised_at = now
        if self.per_s >= MOST_PER_S:
            self.per_s = math.inf


class Gate:
    """How many requests are under way at one node: fewer after time-outs, slowly more again after good answers."""

    __slots__ = ("_inside", "_limit", "_most", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = float(most)
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        """Whether one more may begin at once."""
        return self._inside < int(self._limit)

    async def __aenter__(self) -> None:
        while not self.free:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                self._wake()
                raise
        self._inside += 1

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self.free:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    def timed_out(self) -> None:
        """Ask less at once."""
        self._limit = max(1.0, SLOWER * self._limit)

    def went_well(self) -> None:
        """Ask a little more at once; a window's worth of good answers adds one."""
        self._limit = min(self._most, self._limit + 1 / self._limit)
        self._wake()
