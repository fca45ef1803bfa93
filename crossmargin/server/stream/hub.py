"""Hands events on: out of memory to whoever keeps up, out of the store to whoever comes back; nothing is told before it is stored."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import time
from typing import Any

from aiohttp import web

from crossmargin.errors import Busy, Forgotten, TooMany, UsageError
from crossmargin.logs import Logger
from crossmargin.server.access import OWNER, Asker
from crossmargin.server.stream.events import Streamed, Wanted, streamed
from crossmargin.server.stream_metrics import StreamMetrics
from crossmargin.server.workers import Workers
from crossmargin.settings import EventSettings
from indexer.store import EventEnds, Store

LOOK_EVERY_S = 0.1
PAGE = 500
MOST_KEPT = 10_000
"""Events in memory; who is further behind reads the store."""

MICROSECONDS = 1_000_000
DRAIN_S = 2.0
BEHIND_S = 10.0
"""After how long without being able to read what happens nobody is left to believe that nothing did."""


class Closing(Exception):
    """The service ends."""


class Hub:
    """The newest events of a store; `begin` it before anybody asks. All of it belongs to the event loop."""

    def __init__(self, store: Store, workers: Workers, metrics: StreamMetrics, log: Logger) -> None:
        self._store, self._workers, self._metrics, self._log = store, workers, metrics, log
        self._ids: list[int] = []
        self._events: list[Streamed] = []
        self._floor = self.last = 0
        self._edition = -1
        self._news: asyncio.Future[None] | None = None
        self._tail: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self.round = 0
        """How often something came."""
        self.closing = False

    async def begin(self) -> None:
        """Find the end of what is stored, and follow it from there."""
        self._edition = self._store.edition
        self._floor = self.last = (await self.ends()).last
        self._tail = asyncio.create_task(self._follow())

    async def ends(self) -> EventEnds:
        return await self._workers.do(self._ends, heavy=False, most_seconds=None)

    async def check_place(self, after: int) -> None:
        """Refuse a place from which nobody can go on; raises `Forgotten` and `UsageError`."""
        ends = await self.ends()
        if 0 < after < ends.forgotten:
            raise Forgotten(
                f"events up to {ends.forgotten} are not kept any more, so what came behind {after} has a gap: "
                f"ask what is so now, then go on with after=0 for all that is kept, or after={ends.forgotten}"
            )
        if after > max(ends.last, int(time() * MICROSECONDS)):
            raise UsageError(f"no event has had the id {after} yet; the last is {ends.last}")

    async def after(self, place: int) -> list[Streamed]:
        """Return the next events behind a place, a page at most; raises `Closing`, `Forgotten` and `Busy`."""
        if self.closing:
            raise Closing
        if self._is_behind():
            raise Busy("what happens cannot be read now, and silence would look like calm; come back in a moment")
        if place >= self._floor:
            first = bisect_right(self._ids, place)
            return self._events[first : first + PAGE]
        await self.check_place(place)
        return await self._page(place)

    async def changed(self, since: int, most_s: float) -> None:
        """Wait until `round` is another one than `since`, the service ends, or so long."""
        if self.round != since or self.closing:
            return
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._news,), timeout=most_s)

    async def close(self) -> None:
        """Let everybody go."""
        self.closing = True
        self._tell()
        if self._tail is not None:
            self._tail.cancel()
            await asyncio.gather(self._tail, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            edition = self._store.edition
            if edition == self._edition:
                continue
            try:
                await self._take()
            except Exception as error:  # noqa: BLE001 - the next look tries again, whatever it was
                self._stumble(error)
            else:
                self._edition, self._failing_since = edition, None

    def _stumble(self, error: Exception) -> None:
        """Note that what happened cannot be read; when that lasts, whoever waits for it is let go."""
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
            self._log.warning("events_not_read", kind=type(error).__name__, error=str(error))
        elif self._is_behind():
            self._tell()

    def _is_behind(self) -> bool:
        since = self._failing_since
        return since is not None and asyncio.get_running_loop().time() - since >= BEHIND_S

    async def _take(self) -> None:
        while events := await self._page(self.last):
            self._failing_since = None
            for event in events:
                self._metrics.events.labels(event.kind).inc()
                self._ids.append(event.id)
                self._events.append(event)
                self.last = event.id
            self._thin_out()
            self._tell()

    def _thin_out(self) -> None:
        if (surplus := len(self._ids) - MOST_KEPT) > 0:
            self._floor = self._ids[surplus - 1]
            del self._ids[:surplus], self._events[:surplus]

    def _tell(self) -> None:
        self.round += 1
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    def _ends(self) -> EventEnds:
        with self._store.reading() as reader:
            return reader.event_ends()

    async def _page(self, place: int) -> list[Streamed]:
        return await self._workers.do(lambda: self._read(place), heavy=False, most_seconds=None)

    def _read(self, place: int) -> list[Streamed]:
        with self._store.reading() as reader:
            rows = reader.events_after(place, PAGE)
        return [streamed(row) for row in rows]


class Feed:
    """One subscription: what it wants, and the id of the last event that it has been past."""

    def __init__(self, hub: Hub, wanted: Wanted, after: int) -> None:
        self._hub, self._wanted, self.place = hub, wanted, after

    async def next(self, most_s: float) -> list[Streamed]:
        """Return the next events, none where none came for so long; raises what `Hub.after` raises."""
        loop = asyncio.get_running_loop()
        until = loop.time() + most_s
        while True:
            since = self._hub.round
            page = await self._hub.after(self.place)
            if page:
                self.place = page[-1].id
                if found := [event for event in page if self._wanted.admits(event)]:
                    return found
                continue
            if (left := until - loop.time()) <= 0:
                return []
            await self._hub.changed(since, left)


Check = Callable[[Mapping[str, Any]], None]


class Streams:
    """The streams that are open, within their limits; `check`: raises for names of which no event can be."""

    def __init__(self, hub: Hub, settings: EventSettings, check: Check) -> None:
        self.hub, self.check, self._settings = hub, check, settings
        self._open = Counter[str]()
        self._all_left = asyncio.Event()

    async def begin(self) -> None:
        await self.hub.begin()

    @contextmanager
    def entered(self, asker: Asker, transport: str) -> Iterator[None]:
        """Count one more; raises `TooMany` and `Busy`."""
        limits = self._settings
        if sum(self._open.values()) >= limits.streams:
            raise Busy(f"{limits.streams} streams are open already; come back in a moment")
        if asker.id != OWNER.id and self._open[asker.id] >= limits.streams_per_key:
            raise TooMany(f"this key has {limits.streams_per_key} streams open, and may have no more; close one")
        gauge = self.hub._metrics.open.labels(transport)  # noqa: SLF001 - both are of this module
        self._open[asker.id] += 1
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()
            self._open[asker.id] -= 1
            if not self._open[asker.id]:
                del self._open[asker.id]
            if not self._open:
                self._all_left.set()

    def dropped(self) -> None:
        self.hub._metrics.dropped.inc()  # noqa: SLF001 - as above

    async def drain(self, _app: web.Application) -> None:
        """Let everybody go, and wait a moment until they have."""
        await self.hub.close()
        if self._open:
            self._all_left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._all_left.wait()
