"""The book in memory is filled at once and after steps; a fill that fails stops neither the next nor the service."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from aggregator.book import BookInputs
from aggregator.gather import Catalogue, Condition
from aggregator.live import LiveBook, Version
from chains.redaction import Redactor
from crossmargin import book_keeper
from crossmargin.book_keeper import BookKeeper
from crossmargin.logs import logger
from indexer.loop import Progress
from tests.unit.aggregator.builders import policy

EMPTY = BookInputs(
    cuts={},
    catalogue=Catalogue(venues=(), feeds=(), assets=(), policy=policy(), accounts=()),
    condition=Condition(),
    venues=(),
    observations=(),
)
STEP = Progress(chain_id="eip155:1", first=1, indexed=2, target=2, records=0, rows=0, seconds={})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first fill of an installation compiles the kernel; three times as long would outlast the test."""
    monkeypatch.setattr(book_keeper, "LEAST_PAUSE_S", 0.0)
    monkeypatch.setattr(book_keeper, "SHARE", 0)


async def test_it_is_filled_at_once_and_after_each_step_whatever_failed_before() -> None:
    live, told, failed = LiveBook(), asyncio.Queue[Version](), Event()
    faults = iter([None, OSError("the disk"), None])

    def take() -> Version:
        if (fault := next(faults)) is not None:
            failed.set()
            raise fault
        return live.take(EMPTY)

    keeper = BookKeeper(take, told.put_nowait, logger(Redactor(), quiet=True))
    async with asyncio.timeout(60), keeper.keeping():
        first = await told.get()
        keeper.appended(STEP)
        await asyncio.to_thread(failed.wait, 10)
        keeper.rewound("eip155:1", 1, 1)
        second = await told.get()

    assert (first.number, second.number) == (1, 2)
    assert live.version is second


async def test_time_alone_fills_it_a_tick_after_the_last_fill_however_long_the_pause_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pause is part of the tick: as long as one, it leaves nothing to wait for behind it."""
    waited: list[float] = []
    live, told = LiveBook(), asyncio.Queue[Version]()
    monkeypatch.setattr(book_keeper, "LEAST_PAUSE_S", book_keeper.TICK_S)

    class Counting(BookKeeper):
        async def _wait(self, event: asyncio.Event, limit_s: float) -> None:
            del event
            waited.append(limit_s)
            await asyncio.sleep(0)

    keeper = Counting(lambda: live.take(EMPTY), told.put_nowait, logger(Redactor(), quiet=True))
    async with asyncio.timeout(60), keeper.keeping():
        await told.get()
        await told.get()

    assert waited[:2] == [book_keeper.TICK_S, 0.0]
