"""A subscription is handed every event once, in order, out of memory or out of the store, and is told where there is a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from chains.redaction import Redactor
from crossmargin.errors import Busy, Forgotten, UsageError
from crossmargin.logs import logger
from crossmargin.server.stream import hub as module
from crossmargin.server.stream.events import Wanted, wanted_of
from crossmargin.server.stream.hub import Closing, Feed, Hub
from crossmargin.server.stream_metrics import StreamMetrics
from crossmargin.server.workers import Workers
from indexer.store import MEMORY, Store

NOTHING: dict[str, list[str]] = {"owners": [], "venues": [], "assets": []}


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(module, "MOST_KEPT", 4)
    monkeypatch.setattr(module, "PAGE", 3)
    workers = Workers()
    with Store.open(MEMORY) as store:
        made = Hub(store, workers, StreamMetrics(CollectorRegistry()), logger(Redactor(), quiet=True))
        await made.begin()
        yield made
        await made.close()
        await asyncio.to_thread(workers.close)


def tell(hub: Hub, count: int, now: float = 10.0) -> None:
    with hub._store.events(now) as ledger:
        ledger.tell([("mark", {**NOTHING, "number": number}) for number in range(count)])


async def read(feed: Feed, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        page = await feed.next(5.0)
        assert page, "nothing came"
        found += [event.id for event in page]
    return found


async def test_whoever_is_behind_what_is_in_memory_reads_the_store(hub: Hub) -> None:
    early = Feed(hub, Wanted(), 0)
    tell(hub, 20)
    late = asyncio.create_task(read(Feed(hub, Wanted(), 10_000_018), 3))
    found = await read(early, 20)
    tell(hub, 2)

    assert found == list(range(10_000_000, 10_000_020))
    assert await late == [10_000_019, 10_000_020, 10_000_021]
    assert await read(early, 2) == [10_000_020, 10_000_021]


async def test_what_is_not_wanted_is_passed_over_and_counts_as_read(hub: Hub) -> None:
    feed = Feed(hub, wanted_of(kinds=["liquidation"]), 0)
    tell(hub, 7)
    await read(Feed(hub, Wanted(), 0), 7)

    assert await feed.next(0.05) == []
    assert feed.place == 10_000_006


async def test_a_gap_is_told(hub: Hub) -> None:
    tell(hub, 3, 10.0)
    tell(hub, 3, 30.0)
    with hub._store.events(40.0) as ledger:
        ledger.forget(20)

    with pytest.raises(Forgotten, match="up to 10000002 are not kept"):
        await hub.check_place(10_000_001)
    with pytest.raises(UsageError, match="no event has had the id"):
        await hub.check_place(9 * 10**17)
    await hub.check_place(10_000_002)
    assert await read(Feed(hub, Wanted(), 0), 3) == [30_000_000, 30_000_001, 30_000_002]


async def test_everybody_is_let_go_when_the_service_ends(hub: Hub) -> None:
    waiting = asyncio.create_task(Feed(hub, Wanted(), 0).next(60.0))
    await asyncio.sleep(0)
    await hub.close()

    with pytest.raises(Closing):
        await waiting


async def test_who_waits_is_let_go_when_what_happens_cannot_be_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence would look like calm; when it can be read again, nothing is missing."""
    monkeypatch.setattr(module, "BEHIND_S", 0.1)
    waiting = asyncio.create_task(Feed(hub, Wanted(), 0).next(60.0))
    with hub._store.events(10.0) as ledger:
        ledger.tell([("mark", {"owners": []})])

    with pytest.raises(Busy, match="silence would look like calm"):
        await waiting
    with hub._store.events(11.0) as ledger:
        ledger.forget(11)
    tell(hub, 2, 11.0)
    async with asyncio.timeout(60):
        while hub.last != 11_000_001:
            await hub.changed(hub.round, 120)
    assert await read(Feed(hub, Wanted(), 10_000_000), 2) == [11_000_000, 11_000_001]
