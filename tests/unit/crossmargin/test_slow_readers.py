"""A reader that takes nothing is let go, and counted; who reads beside it misses nothing. Over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chains.redaction import Redactor
from crossmargin.logs import logger
from crossmargin.server.access import Access
from crossmargin.server.metrics import Metrics
from crossmargin.server.middleware import Surroundings, surrounded
from crossmargin.server.quota import Quotas
from crossmargin.server.stream import hub as hub_module
from crossmargin.server.stream import socket as socket_module
from crossmargin.server.stream import sse
from crossmargin.server.stream.events import Wanted
from crossmargin.server.stream.hub import Feed, Hub, Streams
from crossmargin.server.workers import Workers
from crossmargin.settings.running import EVENTS
from crossmargin.tracing import Untraced
from indexer.store import MEMORY, Store

EVENTS_TOLD = 400
FILLER = "x" * 50_000
"""More than all buffers between a service and a reader hold, 400 times."""

SSE = b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SUBSCRIBE = b'{"op":"subscribe","id":"a","after":"0"}'
FRAME = bytes([0x81, 0x80 | len(SUBSCRIBE), 0, 0, 0, 0]) + SUBSCRIBE
"""A text frame, masked with zeros."""


@dataclass(frozen=True, slots=True)
class Running:
    hub: Hub
    metrics: Metrics
    server: TestServer


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(hub_module, "LOOK_EVERY_S", 0.01)
    for module in (sse, socket_module):
        monkeypatch.setattr(module, "STALLED_S", 0.5)
    workers, metrics = Workers(), Metrics([])
    with Store.open(MEMORY) as store:
        log = logger(Redactor(), as_json=True)
        hub = Hub(store, workers, metrics.streams, log)
        await hub.begin()
        streams = Streams(hub, EVENTS, lambda _: None)

        async def read(request: web.Request) -> web.StreamResponse:
            return await sse.answer(request, streams, Feed(hub, Wanted(), 0))

        async def converse(request: web.Request) -> web.StreamResponse:
            return await socket_module.converse(request, streams)

        around = Surroundings(
            metrics=metrics,
            redactor=Redactor(),
            log=log,
            access=Access("token", lambda _: None, anonymous=True),
            quotas=Quotas(monotonic),
            origins=frozenset(),
            public=False,
            tracing=Untraced(),
        )
        app = web.Application(middlewares=[surrounded(around)])
        app.router.add_get("/sse", read)
        app.router.add_get("/ws", converse)
        server = TestServer(app)
        async with server:
            yield Running(hub, metrics, server)
            await hub.close()
        await asyncio.to_thread(workers.close)


def stalled(server: TestServer, *said: bytes) -> socket.socket:
    """Ask, and read nothing of the answer."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((str(server.host), int(server.port or 0)))
    for part in said:
        line.sendall(part)
    return line


def drained(line: socket.socket) -> int:
    """Read what is still on its way, to the end or the break; gives how many bytes that was."""
    count = 0
    with suppress(ConnectionResetError):
        while part := line.recv(1 << 20):
            count += len(part)
    return count


async def became(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - a counter tells nobody that it moved
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("said", [(SSE,), (WEBSOCKET, FRAME)], ids=["sse", "websocket"])
async def test_who_takes_nothing_is_let_go_and_nobody_else_waits_for_it(
    running: Running, said: tuple[bytes, ...]
) -> None:
    nothing: dict[str, list[str]] = {"owners": [], "venues": [], "assets": []}
    with await asyncio.to_thread(stalled, running.server, *said) as line:
        with running.hub._store.events(10.0) as ledger:
            ledger.tell([("mark", {**nothing, "number": number, "filler": FILLER}) for number in range(EVENTS_TOLD)])

        async with aiohttp.ClientSession() as session, session.get(running.server.make_url("/sse")) as answer:
            read = 0
            async for row in answer.content:
                read += row.startswith(b"event: mark")
                if read == EVENTS_TOLD:
                    break
        await became(lambda: running.metrics.streams.dropped._value.get() == 1)

        assert read == EVENTS_TOLD
        assert await asyncio.to_thread(drained, line) < EVENTS_TOLD * len(FILLER)
