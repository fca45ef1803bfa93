"""How many requests a key may make, and the headers that say so (`RateLimit`, `RateLimit-Policy`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Clock = Callable[[], float]
"""Seconds that only grow."""

MANY = 10_000
TIDIED_EVERY_S = 10


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests within so many seconds."""

    requests: int
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a quota, and in how many seconds the next request is free where nothing is."""

    quota: Quota
    requests: int
    seconds: int

    @property
    def exceeded(self) -> bool:
        return self.requests < 0

    def headers(self) -> dict[str, str]:
        """Write them as draft-ietf-httpapi-ratelimit-headers does."""
        said = {
            "RateLimit-Policy": f'"key";q={self.quota.requests};w={self.quota.seconds}',
            "RateLimit": f'"key";r={max(self.requests, 0)};t={self.seconds}',
        }
        return said | ({"Retry-After": str(self.seconds)} if self.exceeded else {})


class Quotas:
    """Fixed windows by name; nothing is kept across a restart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._tidied = -math.inf

    @property
    def names(self) -> int:
        """How many names are held."""
        return len(self._windows)

    def take(self, name: str, quota: Quota) -> Left:
        """Count one request."""
        now = self._clock()
        window = int(now // quota.seconds)
        held = self._windows.get(name)
        used = held.used + 1 if held is not None and held.number == window else 1
        ends = (window + 1) * quota.seconds
        self._windows[name] = _Window(window, min(used, quota.requests + 1), ends)
        self._tidy(now)
        return Left(quota, quota.requests - used, max(math.ceil(ends - now), 1))

    def _tidy(self, now: float) -> None:
        """Forget windows that have ended, where there are many; one that has not is never forgotten, for then its key could ask anew."""
        if len(self._windows) > MANY and now - self._tidied >= TIDIED_EVERY_S:
            self._windows = {name: held for name, held in self._windows.items() if held.ends > now}
            self._tidied = now


class _Window(NamedTuple):
    number: int
    used: int
    ends: float
