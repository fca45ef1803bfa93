"""Threads in which the desk works: few at a time, heavy work apart from quick answers, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from crossmargin.errors import Busy, TooSlow

T = TypeVar("T")

QUICK, HEAVY = 4, 2
MOST_WAITING = 256


class Workers:
    """Two pools; work that is given up is still finished, and keeps its thread until then."""

    def __init__(self) -> None:
        self._pools = {False: _Pool(QUICK, "quick"), True: _Pool(HEAVY, "heavy")}

    async def do(self, work: Callable[[], T], *, heavy: bool, most_seconds: float | None) -> T:
        """Return what work gives; raises `Busy`, `TooSlow`, and whatever it raises."""
        return await self._pools[heavy].do(work, most_seconds)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class _Pool:
    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._inside = 0

    async def do(self, work: Callable[[], T], most_seconds: float | None) -> T:
        if self._inside >= MOST_WAITING:
            raise Busy(f"{self._inside} questions are waiting already; ask again in a moment")
        loop = asyncio.get_running_loop()
        self._inside += 1
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._left))
        limit = asyncio.timeout(most_seconds)
        try:
            async with limit:
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if not limit.expired():  # the work's own
                raise
            raise TooSlow(f"this took longer than {most_seconds:g} s; ask for less at once, or later") from error

    def _left(self) -> None:
        self._inside -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
