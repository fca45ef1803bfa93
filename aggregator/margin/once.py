"""What was made of an object, kept while the object is: accounts of one state share venues, policies and feeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """A pure function of objects that nobody changes, remembered by their identity for the last `most` of them."""

    def __init__(self, make: Callable[[K], V], most: int) -> None:
        self._make = make
        self._most = most
        self._made: dict[int, tuple[K, V]] = {}

    def __call__(self, of: K) -> V:
        """Return what is made of an object; what it was made of is held, so that no other object has its identity meanwhile."""
        held = self._made.get(id(of))
        if held is not None:
            return held[1]
        made = self._make(of)
        self._made[id(of)] = (of, made)
        while len(self._made) > self._most:
            self._made.pop(next(iter(self._made)), None)
        return made
