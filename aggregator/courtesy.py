"""Giving way: a thread that computes for long lets those be answered who ask meanwhile.

Of the threads of a process one at a time runs Python, and who computes gets its turn back as soon as whoever answers waits for a socket.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

ASKED_S = 0.02
"""How long after a question somebody is taken to be asking."""

TURN_S, REST_S = 0.002, 0.004
"""How long is computed while somebody asks, and how long is rested then: a third of the time is left to the work."""


class Courtesy:
    """Between who asks (`asked`, any thread) and one thread that computes (`paced`)."""

    def __init__(self, clock: Callable[[], float] = monotonic, rest: Callable[[float], None] = sleep) -> None:
        self._clock, self._rest = clock, rest
        self._asked_at = self._since = -math.inf

    def asked(self) -> None:
        """Note that somebody asks something now."""
        self._asked_at = self._clock()

    def paced(self, items: Iterable[T]) -> Iterator[T]:
        """Give the items one by one, with rests between them while somebody asks."""
        for item in items:
            self._give_way()
            yield item

    def _give_way(self) -> None:
        now = self._clock()
        if now - self._asked_at > ASKED_S:
            self._since = now
        elif now - self._since >= TURN_S:
            self._rest(REST_S)
            self._since = self._clock()


ALONE = Courtesy()
"""Nobody asks."""
