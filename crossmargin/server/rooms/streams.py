"""Streams of events: bands that accounts come into, liquidations, and marks."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from crossmargin.errors import UsageError
from crossmargin.server.access import Asker
from crossmargin.server.house import House
from crossmargin.server.middleware import AROUND
from crossmargin.server.openapi import STREAMS
from crossmargin.server.route import Asked, Room
from crossmargin.server.stream import socket, sse
from crossmargin.server.stream.events import KINDS, SEVERITY, wanted_of
from crossmargin.server.stream.hub import Feed

room = Room(STREAMS)

LONGEST = 8192
ID = r"^\d{1,18}$"
LAST_EVENT_ID = "Last-Event-ID"


class StreamQuery(Asked):
    """Which events, and behind which; lists are parted by commas."""

    kinds: str | None = Field(default=None, max_length=LONGEST, description=f"Only these of {', '.join(KINDS)}.")
    owners: str | None = Field(
        default=None,
        max_length=LONGEST,
        description="Only events of these: margin accounts, CAIP-10 accounts, or addresses on whatever chain.",
    )
    venues: str | None = Field(default=None, max_length=LONGEST, description="Only events at these venues.")
    assets: str | None = Field(default=None, max_length=LONGEST, description="Only events of these CAIP-19 assets.")
    min_band: str | None = Field(
        default=None, max_length=40, description=f"Only bands that begin or end at least as bad: {', '.join(SEVERITY)}."
    )
    after: str | None = Field(
        default=None,
        pattern=ID,
        description="The id of the last event that you have; 0 for all that are kept. Last-Event-ID says the same.",
    )


@room.get("/v1/stream", answer=sse.EVENT_STREAM, cached=False)
async def stream_events(house: House, asker: Asker, request: web.Request, query: StreamQuery) -> web.StreamResponse:
    """Stream events as they are stored (server-sent events), behind one that you name or from now on."""
    lists = {name: _words(getattr(query, name)) for name in ("kinds", "owners", "venues", "assets")}
    wanted = wanted_of(**lists, min_band=query.min_band)
    house.streams.check(lists)
    hub = house.streams.hub
    said = request.headers.get(LAST_EVENT_ID, query.after)
    after = hub.last if said is None else _id(said)
    await hub.check_place(after)
    with house.streams.entered(asker, "sse"):
        return await sse.answer(request, house.streams, Feed(hub, wanted, after))


@room.get("/v1/ws", answer="application/json", cached=False)
async def open_websocket(house: House, asker: Asker, request: web.Request) -> web.StreamResponse:
    """Open a websocket for the same events: `subscribe`, `unsubscribe` and `ping` in JSON frames."""
    socket.check_origin(request, request[AROUND].origins)
    with house.streams.entered(asker, "websocket"):
        return await socket.converse(request, house.streams)


def _words(given: str | None) -> list[str]:
    return [] if given is None else [word.strip() for word in given.split(",")]


def _id(said: str) -> int:
    if not (said.isascii() and said.isdigit() and len(said) <= 18):  # noqa: PLR2004 - digits of the largest id
        raise UsageError(f"{LAST_EVENT_ID} must be the id of an event, which is a whole number")
    return int(said)
