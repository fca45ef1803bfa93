"""New heads over a websocket: they wake, and whatever becomes of the connection, polling goes on and no secret is told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from time import monotonic

import pytest
from aiohttp import web

from chains.evm import news
from chains.evm.news import Heads
from chains.model import ChainSpec
from chains.registry import connect
from tests.devnet.evm.anvil import anvil
from tests.support.observing import Overheard

SECRET = "canary-secret-key"
LONG_S, SOON_S = 60.0, 9.0
NOTHING = "ws://127.0.0.1:9"
SUBSCRIPTION = "0x9cef478923ff08bf67fde6c64013158d"
Script = Callable[[web.WebSocketResponse, int], Awaitable[None]]
"""What a node does on a connection after the subscription, given how many there were before."""


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(news, "LONGEST_PAUSE_S", 0.02)


@asynccontextmanager
async def told(*urls: str, heard: Overheard | None = None, silence_s: float = LONG_S) -> AsyncIterator[Heads]:
    """Somebody who waits for heads; at the end no task and no connection is left."""
    async with aclosing(Heads(urls, observer=heard, silence_s=silence_s)) as heads:
        yield heads
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and "Heads" in repr(task)] == []
    gc.collect()


@asynccontextmanager
async def node(script: Script, *, answer: object = None) -> AsyncIterator[str]:
    """A node that takes a subscription, or answers otherwise, and then follows the script."""
    connections = 0

    async def serve(request: web.Request) -> web.WebSocketResponse:
        nonlocal connections
        connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        assert (asked["method"], asked["params"]) == ("eth_subscribe", ["newHeads"])
        await socket.send_json(answer or {"jsonrpc": "2.0", "id": asked["id"], "result": SUBSCRIPTION})
        await script(socket, connections - 1)
        return socket

    app = web.Application()
    app.router.add_get("/{key}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    finally:
        await runner.cleanup()


async def tell_head(socket: web.WebSocketResponse, number: int, subscription: str = SUBSCRIPTION) -> None:
    params = {"subscription": subscription, "result": {"number": hex(number)}}
    await socket.send_json({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


async def stay(socket: web.WebSocketResponse, _before: int) -> None:
    await socket.receive()


async def waited(heads: Heads, seconds: float) -> float:
    began = monotonic()
    await heads.wait(seconds)
    return monotonic() - began


async def test_without_an_address_there_is_silence() -> None:
    async with told() as heads:
        assert 0.05 <= await waited(heads, 0.05) < SOON_S


async def test_a_chain_with_a_websocket_hears_of_every_block() -> None:
    with anvil(chain_id=31337) as devnet:
        url = devnet.url.replace("http://", "ws://")
        spec = ChainSpec(
            id="eip155:31337", name="devnet", rpc=(devnet.url,), finality="latest", start_block=0, ws=(url,)
        )
        async with aclosing(connect(spec, [], [])) as chain:
            await asyncio.wait_for(chain.news(LONG_S), SOON_S)
            silent = asyncio.create_task(chain.news(LONG_S))
            await asyncio.sleep(0.05)
            assert not silent.done()
            await asyncio.to_thread(devnet.call, "evm_mine")
            await asyncio.wait_for(silent, SOON_S)


async def test_a_head_that_came_while_nobody_waited_counts() -> None:
    more, sent = asyncio.Event(), asyncio.Event()

    async def script(socket: web.WebSocketResponse, before: int) -> None:
        await more.wait()
        await tell_head(socket, 7)
        sent.set()
        await stay(socket, before)

    async with node(script) as url, told(url) as heads:
        await heads.wait(LONG_S)
        more.set()
        await sent.wait()
        await asyncio.sleep(0.03)
        assert await waited(heads, LONG_S) < SOON_S


async def test_news_of_other_subscriptions_wake_nobody() -> None:
    async def script(socket: web.WebSocketResponse, before: int) -> None:
        await tell_head(socket, 7, "0xother")
        await stay(socket, before)

    async with node(script) as url, told(url) as heads:
        await heads.wait(LONG_S)
        assert await waited(heads, 0.05) >= 0.05


async def test_a_connection_that_breaks_is_made_again_and_says_so() -> None:
    async def script(socket: web.WebSocketResponse, before: int) -> None:
        if before < 2:
            await tell_head(socket, before)
        else:
            await stay(socket, before)

    heard = Overheard()
    async with node(script) as url, told(url, heard=heard) as heads:
        while len(heard.errors) < 2:
            assert await waited(heads, LONG_S) < SOON_S

    assert {label.rpartition(":")[0] for label, _ in heard.errors} == {"websocket 1 (127.0.0.1"}
    assert all("broke off" in str(error) and "polling goes on" in str(error) for _, error in heard.errors)


async def test_a_connection_that_tells_of_no_head_is_left_although_it_lives() -> None:
    async def script(socket: web.WebSocketResponse, before: int) -> None:
        if before:
            await tell_head(socket, 8)
        await stay(socket, before)

    heard = Overheard()
    async with node(script) as url, told(url, heard=heard, silence_s=0.03) as heads:
        while not heard.errors:
            assert await waited(heads, LONG_S) < SOON_S
        assert await waited(heads, LONG_S) < SOON_S

    assert "fell silent; polling goes on" in str(heard.errors[0][1])


async def test_an_address_where_nobody_answers_is_left_for_the_next() -> None:
    heard = Overheard()
    async with node(stay) as url, told(NOTHING, url, heard=heard) as heads:
        await heads.wait(LONG_S)
        await heads.wait(LONG_S)

    assert [label for label, _ in heard.errors] == ["websocket 1 (127.0.0.1:9)"]


@pytest.mark.parametrize(
    "answer, how",
    [
        ({"id": 1, "error": {"code": -32601, "message": f"no such method at wss://x/{SECRET}"}}, "refused the subscription"),
        ([SECRET], "spoke another language"),
        ({"id": 1, "result": {SECRET: 1}}, "spoke another language"),
    ],
)  # fmt: skip
async def test_a_node_without_subscriptions_is_left_and_not_quoted(answer: object, how: str) -> None:
    heard = Overheard()
    async with node(stay, answer=answer) as url, told(url, heard=heard) as heads:
        await heads.wait(SOON_S)

    assert how in str(heard.errors[0][1])
    assert SECRET not in str(heard.errors)


async def test_noise_ends_a_connection() -> None:
    async def script(socket: web.WebSocketResponse, _before: int) -> None:
        await socket.send_bytes(b"\x00\xff")
        await socket.receive()

    heard = Overheard()
    async with node(script) as url, told(url, heard=heard) as heads:
        await heads.wait(LONG_S)
        while not heard.errors:
            await heads.wait(LONG_S)

    assert "broke off (binary)" in str(heard.errors[0][1])


@pytest.mark.parametrize(
    "url", [f"ws://user:{SECRET}@127.0.0.1:9/{SECRET}?k={SECRET}", f"ws://[{SECRET}", "http://127.0.0.1:9/" + SECRET]
)
async def test_an_address_that_cannot_be_reached_tells_no_secret_and_ends_nothing(url: str) -> None:
    heard = Overheard()
    async with told(url, heard=heard) as heads:
        for _ in range(3):
            await heads.wait(0.05)

    assert heard.errors
    assert SECRET not in " ".join(f"{label} {error} {error!r}" for label, error in heard.errors)


async def test_it_can_be_closed_while_somebody_waits_and_stays_closed() -> None:
    async with node(stay) as url:
        heads = Heads([url])
        await heads.wait(LONG_S)
        waiting = asyncio.create_task(heads.wait(LONG_S))
        await asyncio.sleep(0.02)
        await heads.aclose()
        await heads.aclose()
        await asyncio.wait_for(waiting, SOON_S)
        assert await waited(heads, 0.01) < SOON_S


async def test_pauses_between_connections_grow_until_one_tells_of_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "LONGEST_PAUSE_S", 10.0)
    pauses: list[float] = []

    async def nap(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 6:
            await asyncio.Event().wait()

    monkeypatch.setattr(news, "_sleep", nap)

    async def script(socket: web.WebSocketResponse, before: int) -> None:
        if before == 3:
            await tell_head(socket, 1)

    async with node(script) as url, told(url) as heads:
        while len(pauses) <= 6:
            await heads.wait(0.02)

    assert pauses[:6] == [0.01, 0.02, 0.04, 0.01, 0.02, 0.04], "the fourth connection told of a head"
