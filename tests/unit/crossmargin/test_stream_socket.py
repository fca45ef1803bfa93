"""A websocket of a stranger: what he sends is refused by name, costs him his quota, and breaks nothing."""

from __future__ import annotations

import asyncio
import io
import json
import socket as sockets
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from crossmargin.api_keys import digest_of
from crossmargin.server.metrics import Metrics
from crossmargin.server.middleware import AROUND, surrounded
from crossmargin.server.stream import socket
from crossmargin.server.stream.hub import Hub, Streams
from crossmargin.server.workers import Workers
from crossmargin.settings import EventSettings
from indexer.store import MEMORY, ApiKeyRow, Store
from tests.support.around import surroundings

LIMITS = EventSettings(keep_s=3600, mark_move=0.01, streams=10, streams_per_key=10)
HANDSHAKE = (
    "GET /v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class House:
    """A server of nothing but websockets over an empty store, and what it logged."""

    server: BaseTestServer
    store: Store
    metrics: Metrics
    errors: io.StringIO

    @property
    def url(self) -> str:
        return str(self.server.make_url("/v1/ws"))


def holder(key: str) -> ApiKeyRow:
    """Whoever has whatever key: three questions a minute."""
    return ApiKeyRow(
        id=key,
        name="reader",
        digest=digest_of(key),
        scopes="read",
        quota=3,
        created_at=0,
        created_by="",
        expires_at=None,
        revoked_at=None,
    )


@pytest.fixture
async def house() -> AsyncIterator[House]:
    workers, (around, errors) = Workers(), surroundings(holder)
    metrics = around.metrics
    with Store.open(MEMORY) as store:
        streams = Streams(Hub(store, workers, metrics.streams, around.log), LIMITS, lambda _: None)
        await streams.begin()

        async def open_websocket(request: web.Request) -> web.StreamResponse:
            socket.check_origin(request, request[AROUND].origins)
            return await socket.converse(request, streams)

        app = web.Application(middlewares=[surrounded(around)])
        app.router.add_get("/v1/ws", open_websocket)
        app.on_shutdown.append(streams.drain)
        server = TestServer(app)
        async with server:
            yield House(server, store, metrics, errors)
        await asyncio.to_thread(workers.close)


async def said(ws: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(20):
        return dict(json.loads((await ws.receive()).data))


@pytest.mark.parametrize("origin", ["http://[", "null", "https://evil.example", "127.0.0.1"])
async def test_an_origin_that_is_none_of_ours_is_refused_whatever_it_says(house: House, origin: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(house.url, headers={"Origin": origin})

    assert refused.value.status == 403


async def test_each_subscription_is_a_question_of_the_key(house: House) -> None:
    headers = {"Authorization": "Bearer k"}
    async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(house.url) as ws:
        for name in ("a", "b", "c"):
            await ws.send_json({"op": "subscribe", "id": name})
        answers = [await said(ws) for _ in range(3)]

    assert [answer["op"] for answer in answers] == ["subscribed", "subscribed", "error"]
    assert (answers[2]["problem"]["code"], answers[2]["problem"]["status"]) == ("too-many-requests", 429)


async def test_a_store_that_cannot_be_read_is_told_and_ends_nothing(house: House) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(house.url) as ws:
        house.store.close()
        await ws.send_json({"op": "subscribe", "id": "a", "after": "0"})
        refused = await said(ws)
        await ws.send_json({"op": "ping", "id": "p"})

        assert (refused["op"], refused["problem"]["status"]) == ("error", 503)
        assert await said(ws) == {"op": "pong", "id": "p"}


async def test_who_asks_and_takes_no_answer_is_let_go_without_a_fault(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "STALLED_S", 0.2)
    frame = struct.pack("!BB4s2s", 0x81, 0x80 | 2, b"\0\0\0\0", b"[]")
    host, port = house.server.host, house.server.port
    assert port is not None
    with sockets.socket() as plain:
        plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        plain.setblocking(False)  # noqa: FBT003 - the standard library's
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, (host, port))
        await loop.sock_sendall(plain, HANDSHAKE.format(host=host, port=port).encode())

        async def ask() -> None:
            while True:
                await loop.sock_sendall(plain, frame * 1000)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(ask(), 60)

    assert house.metrics.streams.dropped._value.get() == 1
    assert house.errors.getvalue() == ""
