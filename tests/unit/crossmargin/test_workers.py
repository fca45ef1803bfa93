"""Work that ends before anybody looks leaves its place, so that the service never seems busy for ever."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from crossmargin.errors import Busy
from crossmargin.server import workers
from crossmargin.server.workers import Workers


class AtOnce:
    """Threads that are done with their work before it is handed over."""

    def submit(self, work: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work())
        except ValueError as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        pass


async def test_work_that_is_done_at_once_is_not_counted_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ThreadPoolExecutor", lambda *_, **__: AtOnce())
    monkeypatch.setattr(workers, "MOST_WAITING", 2)
    pools = Workers()

    for _ in range(10):
        assert await pools.do(lambda: 7, heavy=False, most_seconds=1) == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await pools.do(lambda: int("x"), heavy=False, most_seconds=1)
        await asyncio.sleep(0)


async def test_what_timed_out_within_work_is_told_as_that() -> None:
    pools = Workers()

    def asks_somebody() -> int:
        raise TimeoutError("nobody answered")

    with pytest.raises(TimeoutError, match="nobody answered"):
        await pools.do(asks_somebody, heavy=False, most_seconds=None)
    pools.close()


async def test_more_than_may_wait_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_WAITING", 0)
    pools = Workers()

    with pytest.raises(Busy):
        await pools.do(lambda: 7, heavy=True, most_seconds=1)
    pools.close()
