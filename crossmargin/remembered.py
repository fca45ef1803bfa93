"""What was read once and is given until somebody writes; from any thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Gives what `read` gave; whoever wrote calls `forget` behind it, and then nothing that was read before is given any more."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = Lock()
        self._known: tuple[T] | None = None

    def get(self) -> T:
        """Return it, read anew where it was forgotten; raises what reading does."""
        with self._lock:
            if self._known is None:
                self._known = (self._read(),)
            return self._known[0]

    def forget(self) -> None:
        """Let the next one read anew; what is being read right now is forgotten too."""
        with self._lock:
            self._known = None
