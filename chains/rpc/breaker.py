"""When a node is left alone, and when it is tried again."""

from __future__ import annotations

from enum import StrEnum

FAILURES = 3
"""In a row, until a node is set aside."""

COOL_DOWN_S = 1.0
LONGEST_COOL_DOWN_S = 60.0
LOST_S = 16.0
"""A pause of so long follows upon several trials that failed."""


class State(StrEnum):
    """How far a node is trusted: asked like any other; not asked for a while; asked again to see whether it is well."""

    IN_USE = "in_use"
    SET_ASIDE = "set_aside"
    ON_TRIAL = "on_trial"


class Breaker:
    """Sets a node aside after failures in a row, for longer each time, until a trial goes well. Times in seconds of one clock."""

    __slots__ = ("_cool_down_s", "_doubtful", "_until", "failures", "state")

    def __init__(self) -> None:
        self.state = State.IN_USE
        self.failures = 0
        self._cool_down_s = COOL_DOWN_S
        self._doubtful = False
        self._until = 0.0

    def due(self, now: float) -> bool:
        """Tell whether a node that was set aside may be tried again."""
        return self.state is State.SET_ASIDE and now >= self._until

    @property
    def lost(self) -> bool:
        """Whether the node is away for longer than a moment."""
        return self.state is not State.IN_USE and self._cool_down_s >= LOST_S

    def remaining(self, now: float) -> float:
        """Return how long the node is still left alone."""
        return 0.0 if self.state is State.IN_USE else max(0.0, self._until - now)

    def tried(self) -> None:
        """Begin to see whether the node is well."""
        self.state = State.ON_TRIAL

    def passed(self) -> None:
        """Use the node again; one more failure before it was of use sets it aside again, for longer."""
        self.state = State.IN_USE
        self.failures = FAILURES - 1

    def went_well(self) -> None:
        """Note a good answer: all is as if nothing had been."""
        self.state = State.IN_USE
        self.failures = 0
        self._cool_down_s = COOL_DOWN_S
        self._doubtful = False

    def failed(self, now: float) -> None:
        """Note a failure."""
        self.failures += 1
        if self.state is not State.IN_USE or self.failures >= FAILURES:
            self.set_aside(now)

    def set_aside(self, now: float) -> None:
        """Leave the node alone for a while."""
        if self.state is State.SET_ASIDE and now < self._until:
            return
        if self._doubtful:
            self._cool_down_s = min(2 * self._cool_down_s, LONGEST_COOL_DOWN_S)
        self.state, self._doubtful = State.SET_ASIDE, True
        self._until = now + self._cool_down_s
