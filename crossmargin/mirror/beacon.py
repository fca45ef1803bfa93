"""Wakes those who wait for something new of a chain."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from chains.errors import ChainError
from chains.ports import Head
from indexer.loop import Progress


class Beacon:
    """A listener on the event loop: an event that was taken before looking is set by the next thing that a follower tells."""

    def __init__(self) -> None:
        self._next: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closed = False

    def next(self, chain_id: str) -> asyncio.Event:
        """What will be set when something is told of a chain from now on, or nobody is to wait any more."""
        event = self._next[chain_id]
        if self._closed:
            event.set()
        return event

    def appended(self, progress: Progress) -> None:
        self._wake(progress.chain_id)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        del depth, to
        self._wake(chain_id)

    def polled(self, chain_id: str, head: Head) -> None:
        del head
        self._wake(chain_id)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        del error, retry_in
        self._wake(chain_id)

    def close(self) -> None:
        """Let everybody go on who waits, now and later."""
        self._closed = True
        for chain_id in [*self._next]:
            self._wake(chain_id)

    def _wake(self, chain_id: str) -> None:
        self._next.pop(chain_id, asyncio.Event()).set()
