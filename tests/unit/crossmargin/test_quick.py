"""The shortest way reads two private parts of aiohttp's protocol."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from crossmargin.server.quick import PRIVATE


@pytest.mark.parametrize("name", PRIVATE)
def test_this_release_of_aiohttp_has_what_the_shortcut_reads(name: str) -> None:
    assert name in RequestHandler.__slots__


async def test_a_connection_that_waits_for_a_question_is_known_by_them() -> None:
    """Idle between two requests, and at work while one is answered."""
    seen: list[tuple[bool, int]] = []
    protocols: list[RequestHandler] = []

    class Seen(RequestHandler):
        def data_received(self, data: bytes) -> None:
            seen.append((self._waiter is not None and not self._waiter.done(), len(self._messages)))
            super().data_received(data)
            protocols.append(self)

    async def handler(request: web.BaseRequest) -> web.Response:
        (protocol,) = set(protocols)
        seen.append((protocol._waiter is not None and not protocol._waiter.done(), len(protocol._messages)))
        return web.Response(text=request.path)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Seen(web.Server(handler), loop=loop), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(2):
            writer.write(b"GET /there HTTP/1.1\r\nHost: here\r\n\r\n")
            assert b"/there" in await reader.read(4096)
            await asyncio.sleep(0.05)
        writer.close()

    idle, at_work = (True, 0), (False, 0)
    assert seen[1:] == [at_work, idle, at_work]
