"""Keeps the book in memory up with the store: after each committed step, and every half minute, since time alone makes data stale."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic

from aggregator.live import Version
from chains.errors import ChainError
from chains.ports import Head
from crossmargin.logs import Logger
from indexer.loop import Progress

TICK_S = 30.0
LEAST_PAUSE_S = 1.0
SHARE = 3
"""Between two fills there is a pause of so many times what the last took: a large book leaves time for everything else. A tick after a
fill the next begins, whatever happened, so that a silent chain shows in the book that long after its `stale_after`, and a fill."""


class BookKeeper:
    """A listener that has the book taken anew (`take`), and tells `told` of each version; steps while that goes on are one.

    `take` is called in a thread, one call at a time. Where it fails the version of before stays, with the cuts that it is as of.
    """

    def __init__(self, take: Callable[[], Version], told: Callable[[Version], None], log: Logger) -> None:
        self._take, self._told, self._log = take, told, log
        self._due, self._stop = asyncio.Event(), asyncio.Event()

    def appended(self, progress: Progress) -> None:
        del progress
        self._due.set()

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        del chain_id, depth, to
        self._due.set()

    def polled(self, chain_id: str, head: Head) -> None:
        """What is stored is as it was."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        """Whether the chain may still be believed is looked at with the next tick."""

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Keep the book while the context is open; it is filled at once."""
        work = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self._stop.set()
            self._due.set()
            await work

    async def _keep(self) -> None:
        while not self._stop.is_set():
            self._due.clear()
            begun = monotonic()
            try:
                self._told(await asyncio.to_thread(self._take))
            except Exception as error:  # noqa: BLE001 - the next step or tick tries again
                self._log.warning("book_not_taken", kind=type(error).__name__, error=str(error))
            pause_s = min(TICK_S, max(LEAST_PAUSE_S, SHARE * (monotonic() - begun)))
            await self._wait(self._stop, pause_s)
            await self._wait(self._due, TICK_S - pause_s)

    async def _wait(self, event: asyncio.Event, limit_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await event.wait()
