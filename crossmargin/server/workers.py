"""Threads in which the desk works: few at a time, heavy work apart from quick answers, askers in turn, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from crossmargin.errors import Busy, TooSlow

T = TypeVar("T")

QUICK, HEAVY = 4, 3
HEAVY_OF_ONE = 2
"""So many threads of heavy work one asker may have: another finds one free, however long that work takes."""

MOST_WAITING = 256
MOST_OF_ONE = 128
"""So many questions of one asker may be inside, so that there is room for another's."""

ITSELF = ""
"""The asker of what the service does for itself, and for whoever waits for the same: it has no limit of its own."""


class Workers:
    """Two pools; work that is given up is still finished, and keeps its thread until then."""

    def __init__(self) -> None:
        self._pools = {False: _Pool(QUICK, QUICK, "quick"), True: _Pool(HEAVY, HEAVY_OF_ONE, "heavy")}

    async def do(self, work: Callable[[], T], *, heavy: bool, most_seconds: float | None, asker: str = ITSELF) -> T:
        """Return what work gives; raises `Busy`, `TooSlow`, and whatever it raises. `asker`: whose turn it is."""
        return await self._pools[heavy].do(work, most_seconds, asker)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class _Pool:
    """All of it but the threads belongs to the event loop."""

    def __init__(self, threads: int, of_one: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._of_one = of_one
        self._inside: Counter[str] = Counter()
        self._working: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def do(self, work: Callable[[], T], most_seconds: float | None, asker: str) -> T:
        self._enter(asker)
        limit = asyncio.timeout(most_seconds)
        try:
            async with limit:
                await self._turn(asker)
                return await asyncio.wrap_future(self._begun(work, asker))
        except TimeoutError as error:
            if not limit.expired():  # the work's own
                raise
            raise TooSlow(f"this took longer than {most_seconds:g} s; ask for less at once, or later") from error

    def _enter(self, asker: str) -> None:
        inside = self._inside.total()
        if inside >= MOST_WAITING:
            raise Busy(f"{inside} questions are waiting already; ask again in a moment")
        if asker != ITSELF and self._inside[asker] >= MOST_OF_ONE:
            raise Busy(f"{MOST_OF_ONE} of your questions are waiting already; ask again when some are answered")
        self._inside[asker] += 1

    async def _turn(self, asker: str) -> None:
        """Wait for a thread; who gives up before has left."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(turn)
        self._hand_on()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(asker, turn)
            else:
                self._left(asker)
            raise

    def _forget(self, asker: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting[asker]
        queue.remove(turn)
        if not queue:
            del self._waiting[asker]
        self._leave(asker)

    def _hand_on(self) -> None:
        """Give free threads to those who wait, one question of each asker after the other."""
        while self._free and (asker := self._next()) is not None:
            queue = self._waiting.pop(asker)
            turn = queue.popleft()
            if queue:
                self._waiting[asker] = queue  # behind the others
            self._free -= 1
            self._working[asker] += 1
            turn.set_result(None)

    def _next(self) -> str | None:
        return next((asker for asker in self._waiting if self._working[asker] < self._of_one), None)

    def _begun(self, work: Callable[[], T], asker: str) -> Future[T]:
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._left, asker))
        return future

    def _left(self, asker: str) -> None:
        self._free += 1
        self._working[asker] -= 1
        self._leave(asker)
        self._hand_on()

    def _leave(self, asker: str) -> None:
        self._inside[asker] -= 1
        for counter in (self._inside, self._working):
            if not counter[asker]:
                del counter[asker]

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
