"""News over a websocket: it wakes, and whatever becomes of it, nothing is lost, leaks or tells a secret."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import web

from chains.errors import ChainError
from chains.registry import connect
from chains.solana import news
from chains.solana.news import News
from indexer.loop import Progress, follow
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import DroppedWebsocket, Duplicated, Fault, Reordered, Swallowed
from tests.support.indexing import Heard
from tests.support.observing import Overheard
from tests.support.solana_indexing import chain_of, holdings, venue_of

SECRET = "canary-secret-key"
LONG_S, SOON_S = 60.0, 9.0
NOTHING = "ws://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(news, "LONGEST_PAUSE_S", 0.02)


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=6, users=2, actions=4, skips=False) as net:
        yield net


@asynccontextmanager
async def listening(
    *urls: str, accounts: Sequence[bytes] = (), met: list[tuple[str, ChainError]] | None = None
) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """Something that waits for news; at its end no task and no connection is left."""
    heard: list[tuple[str, ChainError]] = [] if met is None else met
    told = News(urls, observer=Overheard(heard))

    async def wait(seconds: float) -> None:
        await told.wait(seconds, accounts, "confirmed")

    async with aclosing(told):
        yield wait
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    gc.collect()


async def waited(wait: Callable[[float], Awaitable[None]], seconds: float) -> float:
    began = monotonic()
    await wait(seconds)
    return monotonic() - began


async def test_without_an_address_there_is_silence() -> None:
    async with listening() as wait:
        assert 0.05 <= await waited(wait, 0.05) < SOON_S


async def test_a_change_of_a_watched_account_wakes(net: Devnet) -> None:
    async with listening(net.ws_url, accounts=[bytes(a) for a in net.vault.all_accounts]) as wait:
        await wait(LONG_S)
        silent = await waited(wait, 0.1)
        net.population.do("deposit", "deposit")
        net.ledger.idle(2)
        woken = await waited(wait, LONG_S)

    assert silent >= 0.1
    assert woken < SOON_S


async def test_what_came_while_nobody_waited_counts(net: Devnet) -> None:
    async with listening(net.ws_url, accounts=[bytes(a) for a in net.vault.all_accounts]) as wait:
        await wait(LONG_S)
        net.population.do("deposit")
        net.ledger.idle(2)
        await asyncio.sleep(0.1)

        assert await waited(wait, LONG_S) < SOON_S


async def test_a_connection_that_breaks_is_made_again_and_says_so(net: Devnet) -> None:
    met: list[tuple[str, ChainError]] = []
    async with listening(net.ws_url, accounts=[bytes(net.vault.all_accounts[0])], met=met) as wait:
        await wait(LONG_S)
        for _ in range(3):
            net.node.drop_websockets()
            assert await waited(wait, LONG_S) < SOON_S
            assert await waited(wait, LONG_S) < SOON_S

    assert {label for label, _ in met} == {"websocket 1 (127.0.0.1)"}
    assert "broke off" in str(met[0][1])
    assert "polling goes on" in str(met[0][1])


async def test_an_address_where_nobody_answers_is_left_for_the_next(net: Devnet) -> None:
    met: list[tuple[str, ChainError]] = []
    async with listening(NOTHING, net.ws_url, accounts=[bytes(a) for a in net.vault.all_accounts], met=met) as wait:
        await wait(LONG_S)
        await wait(LONG_S)
        net.population.do("deposit")
        net.ledger.idle(2)
        assert await waited(wait, LONG_S) < SOON_S

    assert [label for label, _ in met] == ["websocket 1 (127.0.0.1)"]


@pytest.mark.parametrize(
    "url", [f"ws://user:{SECRET}@127.0.0.1:9/{SECRET}?k={SECRET}", f"ws://[{SECRET}", f"http://{SECRET}"]
)
async def test_an_address_that_cannot_be_reached_tells_no_secret_and_ends_nothing(url: str) -> None:
    met: list[tuple[str, ChainError]] = []
    async with listening(url, met=met) as wait:
        for _ in range(3):
            await wait(0.05)

    assert met
    told = " ".join(f"{label} {error} {error!r}" for label, error in met)
    assert SECRET not in told.replace(f"({SECRET})", "")


async def test_it_can_be_closed_while_somebody_waits_and_stays_closed(net: Devnet) -> None:
    told = News([net.ws_url])
    await told.wait(LONG_S, [], "confirmed")
    waiting = asyncio.create_task(told.wait(LONG_S, [], "confirmed"))
    await asyncio.sleep(0.05)
    await told.aclose()
    await told.aclose()
    await asyncio.wait_for(waiting, SOON_S)
    await told.wait(0.01, [], "confirmed")

    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_closing_in_the_middle_of_a_handshake_leaves_nothing_behind() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", slow)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    told = News([f"ws://127.0.0.1:{runner.addresses[0][1]}"])
    await told.wait(0.1, [], "confirmed")
    await told.aclose()
    await runner.cleanup()


async def test_a_server_that_says_nonsense_is_left() -> None:
    async def nonsense(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            await socket.send_str('{"odd":')
        return socket

    app = web.Application()
    app.router.add_get("/", nonsense)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    met: list[tuple[str, ChainError]] = []
    async with listening(f"ws://127.0.0.1:{runner.addresses[0][1]}", accounts=[bytes(32)], met=met) as wait:
        await wait(SOON_S)
    await runner.cleanup()

    assert met


class Awaited(Heard):
    """Tells when a slot was taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()

    def appended(self, progress: Progress) -> None:
        super().appended(progress)
        self.more.set()

    async def reached(self, slot: int) -> None:
        async with asyncio.timeout(LONG_S):
            while not self.appended_ or self.appended_[-1].indexed < slot:
                self.more.clear()
                await self.more.wait()


@pytest.mark.parametrize(
    "fault",
    [Duplicated(), Reordered(), Swallowed(), DroppedWebsocket(after=1), None],
    ids=["duplicated", "reordered", "swallowed", "dropped", "flood"],
)
async def test_a_chain_that_is_followed_misses_nothing_whatever_its_news_are(
    fault: Fault | None, net: Devnet, tmp_path: Path
) -> None:
    if fault is not None:
        net.faults.inject(fault)
    chain = connect(chain_of(net, finality="confirmed", ws=True), [venue_of(net)], [])
    stop, heard = asyncio.Event(), Awaited()
    with Store.open(tmp_path / "store.duckdb") as store:
        async with aclosing(chain):
            following = asyncio.create_task(follow(chain, store, listener=heard, stop=stop, poll_s=0.3))
            for _ in range(4):
                await asyncio.to_thread(net.population.act, 40 if fault is None else 5)
                await asyncio.sleep(0.05)
            target = net.ledger.standing().confirmed.slot
            await heard.reached(target)
            stop.set()
            await following
        cursor = store.cursor(net.chain_id)
        assert cursor is not None
        assert cursor.block.number == target
        assert holdings(net, store).nets == net.expected_at(target).nets
