"""Server-sent events (WHATWG HTML, "Server-sent events"): one answer that goes on as long as somebody reads it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from crossmargin.errors import DeskError
from crossmargin.server.middleware import AROUND, prepare
from crossmargin.server.quick import Quick
from crossmargin.server.stream.events import Streamed
from crossmargin.server.stream.hub import Closing, Feed, Streams

EVENT_STREAM = "text/event-stream"
HEARTBEAT_S = 15.0
STALLED_S = 20.0
"""After how long nobody reads on."""

RETRY_MS = 3000


async def answer(request: web.Request, streams: Streams, feed: Feed) -> web.StreamResponse:
    """Send what a feed gives until the reader is gone, reads no more, or the service ends."""
    response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "X-Accel-Buffering": "no"})
    await prepare(request, response)
    if request.method == "HEAD":
        return response
    sending = asyncio.create_task(_sent(request, response, streams, feed))
    if isinstance(request.protocol, Quick):
        request.protocol.on_lost(sending.cancel)
    try:
        await asyncio.wait((sending,))
    finally:
        sending.cancel()
    if not sending.cancelled() and (fault := sending.exception()) is not None:
        request[AROUND].log.warning("stream_failed", exc_info=fault)
    return response


async def _sent(request: web.Request, response: web.StreamResponse, streams: Streams, feed: Feed) -> None:
    try:
        await _send(response, f"retry: {RETRY_MS}\nid: {feed.place}\n\n")
        await _go_on(request, response, feed)
    except TimeoutError:
        streams.dropped()
        request[AROUND].log.info("stream_dropped", last=feed.place)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the reader is gone, and comes back with the last id that it has


async def _go_on(request: web.Request, response: web.StreamResponse, feed: Feed) -> None:
    try:
        while may_go_on(request):
            found = await feed.next(HEARTBEAT_S)
            text = "".join(map(written, found)) or ": heartbeat\n"
            past = "" if found and found[-1].id == feed.place else f"id: {feed.place}\n\n"
            await _send(response, text + past)
    except Closing:
        await _send(response, ": the service ends; come back\n\n")
    except DeskError as error:
        await _send(response, f": {error}\n\n")


def may_go_on(request: web.Request) -> bool:
    """Whether whoever began to read may still: a key may have been revoked meanwhile."""
    try:
        request[AROUND].access.asker(request.headers.get("Authorization"))
    except DeskError:
        return False
    return True


def written(event: Streamed) -> str:
    """Write an event; its body is one line of JSON."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.body}\n\n"


async def _send(response: web.StreamResponse, text: str) -> None:
    """Send, and wait while the reader's buffers are full; raises `TimeoutError`."""
    async with asyncio.timeout(STALLED_S):
        await response.write(text.encode())
