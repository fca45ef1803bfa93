"""A stream is read on whatever the size of its events, and begun again after what the service asks to wait."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from crossmargin.client import Client


async def test_a_long_event_is_read_and_a_wait_that_is_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever reads would stand before the same event for ever, or ask again too early."""
    owners = [f"eip155:1:0x{number:040x}" for number in range(10_000)]
    event = json.dumps({"id": "7", "kind": "health_band", "owners": owners})
    refused, pauses = [True], []

    async def told(_: web.Request) -> web.Response:
        if refused:
            refused.pop()
            return web.json_response({}, status=503, headers={"Retry-After": "9"})
        text = f"retry: 3000\nid: 6\n\nid: 7\nevent: health_band\ndata: {event}\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("crossmargin.client.client.asyncio.sleep", pause)
    app = web.Application()
    app.router.add_get("/v1/stream", told)
    async with TestServer(app) as server, Client(str(server.make_url("/"))) as client:
        found = await anext(client.stream(after="6"))

    assert (found.id, found.document["owners"]) == ("7", owners)
    assert pauses[:1] == [9.0]
