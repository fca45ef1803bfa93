"""Work that ends before anybody looks leaves its place, so that the service never seems busy for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any

import pytest

from crossmargin.errors import Busy, TooSlow
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


async def test_askers_take_turns_and_none_has_every_thread_of_heavy_work() -> None:
    pools, go, order = Workers(), Event(), list[str]()

    def noting(name: str) -> Callable[[], None]:
        return lambda: order.append(name) if go.wait(30) else None

    many = [asyncio.create_task(heavy(pools, noting(f"many {n}"), "many")) for n in range(20)]
    await asyncio.sleep(0)
    await heavy(pools, lambda: order.append("one"), "one")
    assert order == ["one"]  # while both threads that the other may have are taken

    later = [asyncio.create_task(heavy(pools, noting(f"{name} {n}"), name)) for n in range(3) for name in ("b", "c")]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*many, *later)
    pools.close()

    assert sorted(order) == sorted(
        ["one", *(f"many {n}" for n in range(20)), *(f"{name} {n}" for name in "bc" for n in range(3))]
    )
    assert max(order.index(f"{name} 2") for name in ("b", "c")) < 15


async def test_who_has_many_questions_inside_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_OF_ONE", 3)
    pools, go = Workers(), Event()
    inside = [asyncio.create_task(heavy(pools, lambda: go.wait(30), "many")) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(Busy, match="3 of your questions"):
        await heavy(pools, lambda: 7, "many")
    assert await heavy(pools, lambda: 7, "other") == 7

    go.set()
    await asyncio.gather(*inside)
    assert await heavy(pools, lambda: 7, "many") == 7
    pools.close()


async def test_who_gives_up_waiting_leaves_the_queue_and_no_thread_is_lost() -> None:
    pools, go = Workers(), Event()
    working = [asyncio.create_task(heavy(pools, lambda: go.wait(30), name)) for name in ("a", "a", "b")]
    await asyncio.sleep(0)

    with pytest.raises(TooSlow):
        await pools.do(lambda: 7, heavy=True, most_seconds=0.01, asker="c")
    gone = asyncio.create_task(heavy(pools, lambda: 7, "d"))
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*working)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)

    assert await asyncio.gather(*(heavy(pools, lambda: 7, name) for name in "abcdabcd")) == [7] * 8
    pools.close()


async def heavy(pools: Workers, work: Callable[[], Any], asker: str) -> Any:
    return await pools.do(work, heavy=True, most_seconds=None, asker=asker)
