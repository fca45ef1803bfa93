"""A limit that nobody states: found by asking for more, remembered when it was met, and tried again after a while."""

from __future__ import annotations

GROW = 2
FINE = 20
"""A gap of a twentieth between what goes well and what is refused is not searched further."""

PATIENCE = 200
LONGEST_PATIENCE = 16
"""Times `patience`, after as many tries in vain."""


class Limit:
    """How much one node takes in one request, from 1 to `most`; `value` is what to ask for next.

    What goes well is doubled. Once something was refused, the gap to the most that went well is halved until it is narrow, or
    closed at once by the limit that the node names; there it stays. After `patience` requests at the limit it asks once for what was
    refused, since providers change their plans, and waits twice as long when that was in vain.
    """

    __slots__ = ("_good", "_most", "_patience", "_refused", "_trying", "_waited", "_waits", "value")

    def __init__(self, *, start: int, most: int, patience: int = PATIENCE) -> None:
        self.value = min(start, most)
        self._most = most
        self._patience = patience
        self._good = 0
        self._refused: int | None = None
        self._trying = False
        self._waited = 0
        self._waits = 1

    def refuses(self, size: int) -> bool:
        """Tell whether so much was refused, and is not just being tried again."""
        return self._refused is not None and size >= self._refused and not self._trying

    def known(self, size: int) -> bool:
        """Tell whether so much went well before."""
        return size <= self._good

    def succeeded(self, size: int) -> None:
        """Note that the node took so much."""
        self._good = max(self._good, size)
        if self._refused is not None and size >= self._refused:
            self._refused, self._trying, self._waits = None, False, 1
        if GROW * size >= self.value:
            self.value = self._next()

    def _next(self) -> int:
        if self._refused is None:
            return min(self.value * GROW, self._most)
        gap = self._refused - self._good
        if gap > max(1, self._good // FINE):
            return max(self.value, self._good + gap // 2)
        self._waited += 1
        if self._waited < self._patience * self._waits or self._refused > self._most:
            return max(self.value, self._good)
        self._waited, self._trying = 0, True
        return self._refused

    def refused(self, size: int, limit: int | None = None) -> None:
        """Note that the node refused so much, and the limit that it named; one that is not below `size` says nothing."""
        if self._trying:
            self._trying, self._waits = False, min(2 * self._waits, LONGEST_PATIENCE)
        self._waited = 0
        if limit is not None and 0 < limit < size:
            self._refused, self.value = limit + 1, limit
            self._good = min(self._good, limit)
        else:
            self._refused = size if self._refused is None else min(size, self._refused)
            self._good = self._good if self._good < self._refused else 0
            self.value = max(self._good, min(self.value, size // 2))
        self._refused = max(self._refused, 2)
        self.value = max(1, min(self.value, self._refused - 1))
