"""How far long work is, told to whoever waits for it; no number depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

Told = Callable[[str, int, int], None]
"""Is told what is done now, how many parts of it are done, and of how many."""


def untold(_what: str, _done: int, _total: int) -> None:
    """Nobody waits."""


def each_told(told: Told, what: str, items: Sequence[T]) -> Iterator[T]:
    """Give the items one by one, and tell how many were done before each and at the end."""
    for done, item in enumerate(items):
        told(what, done, len(items))
        yield item
    told(what, len(items), len(items))
