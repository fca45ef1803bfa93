"""The same events over a websocket (RFC 6455): JSON frames, several subscriptions, each with its own place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from typing import Annotated, Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field

from crossmargin.errors import Forbidden, UsageError
from crossmargin.server.asking import message_of
from crossmargin.server.middleware import AROUND, check_left, counted, noted, told
from crossmargin.server.route import Asked
from crossmargin.server.stream.events import LONGEST_WANTED, MOST_WANTED, Wanted, wanted_of
from crossmargin.server.stream.hub import Closing, Feed, Streams
from crossmargin.server.stream.sse import HEARTBEAT_S, STALLED_S, may_go_on

LARGEST_MESSAGE = 64 * 1024
MOST_SUBSCRIPTIONS = 16
PING_S = 30.0
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=LONGEST_WANTED)]], Field(max_length=MOST_WANTED)]


class Message(Asked):
    """What a reader says; `after`: the id of the last event that it has (`null`: from now on)."""

    op: Literal["subscribe", "unsubscribe", "ping"]
    id: str = Field(default="", max_length=80)
    after: str | None = Field(default=None, pattern=r"^\d{1,18}$")
    kinds: Words = Field(default_factory=list)
    owners: Words = Field(default_factory=list)
    venues: Words = Field(default_factory=list)
    assets: Words = Field(default_factory=list)
    min_band: str | None = Field(default=None, max_length=40)

    def wanted(self) -> Wanted:
        return wanted_of(
            kinds=self.kinds,
            owners=self.owners,
            venues=self.venues,
            assets=self.assets,
            min_band=self.min_band,
        )


def check_origin(request: web.Request, origins: Collection[str]) -> None:
    """Refuse pages of other sites: browsers let any page open a websocket; raises `Forbidden`."""
    origin = request.headers.get("Origin")
    own = {f"{scheme}://{request.host}" for scheme in ("http", "https")}
    if origin is not None and origin not in origins and origin not in own:
        raise Forbidden("pages of this origin may not read here; list it in origins of [server]")


async def converse(request: web.Request, streams: Streams) -> web.WebSocketResponse:
    """Answer one reader until it is gone, reads no more, or the service ends."""
    socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=LARGEST_MESSAGE, compress=False, timeout=2.0)
    await socket.prepare(request)
    conversation = Conversation(request, socket, streams)
    try:
        await conversation.go_on()
    finally:
        await conversation.end()
    return socket


class Conversation:
    """One websocket with its subscriptions."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, streams: Streams) -> None:
        self._request, self._socket, self._streams = request, socket, streams
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._ending = asyncio.create_task(self._until_the_end())

    async def go_on(self) -> None:
        """Do what is said until the reader is gone, or takes nothing of what is answered."""
        try:
            await self._listen()
        except TimeoutError:
            self._drop()
        except ConnectionError:
            pass

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                await self._refuse("", UsageError("frames must be text in JSON"))
                continue
            name = ""
            try:
                said = message_of(Message, message.data)
                name = said.id
                await self._do(said)
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                await self._refuse(name, error)

    async def end(self) -> None:
        for task in (*self._pumps.values(), self._ending):
            task.cancel()
        await asyncio.gather(*self._pumps.values(), self._ending, return_exceptions=True)

    async def _do(self, said: Message) -> None:
        match said.op:
            case "ping":
                await self._send({"op": "pong", "id": said.id})
            case "unsubscribe":
                pump = self._pumps.pop(said.id, None)
                if pump is None:
                    raise UsageError("there is no subscription of this id")
                pump.cancel()
                await self._send({"op": "unsubscribed", "id": said.id})
            case "subscribe":
                await self._subscribe(said)

    async def _subscribe(self, said: Message) -> None:
        if said.id in self._pumps:
            raise UsageError("there is a subscription of this id; unsubscribe it first, or take another id")
        if len(self._pumps) >= MOST_SUBSCRIPTIONS:
            raise UsageError(f"a websocket has {MOST_SUBSCRIPTIONS} subscriptions at most")
        if (left := counted(self._request)) is not None:
            check_left(left)
        hub, wanted = self._streams.hub, said.wanted()
        self._streams.check({"owners": said.owners, "venues": said.venues, "assets": said.assets})
        after = hub.last if said.after is None else int(said.after)
        await hub.check_place(after)
        await self._send({"op": "subscribed", "id": said.id, "after": str(after)})
        self._pumps[said.id] = asyncio.create_task(self._pump(said.id, Feed(hub, wanted, after)))

    async def _pump(self, name: str, feed: Feed) -> None:
        """Send what a feed gives; who does not read is let go, with the last event that was sent by name."""
        try:
            while True:
                found = await feed.next(HEARTBEAT_S)
                for event in found:
                    await self._send_text(f'{{"op":"event","subscription":{json.dumps(name)},"event":{event.body}}}')
                if not found:
                    await self._send({"op": "heartbeat", "subscription": name, "last": str(feed.place)})
        except TimeoutError:
            self._drop(last=feed.place)
        except (Closing, ConnectionError):
            pass
        except Exception as error:  # noqa: BLE001 - whoever reads is told that nothing more comes
            self._pumps.pop(name, None)
            with suppress(TimeoutError, ConnectionError):
                await self._refuse(name, error)

    def _drop(self, **place: int) -> None:
        self._streams.dropped()
        self._request[AROUND].log.info("stream_dropped", **place)
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _until_the_end(self) -> None:
        """Close when the service ends, or the key of whoever reads does not hold any more."""
        hub = self._streams.hub
        while not hub.closing:
            await hub.changed(hub.round, HEARTBEAT_S)
            if not may_go_on(self._request):
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"the key does not hold any more")
                return
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service ends; come back")

    async def _refuse(self, name: str, error: Exception) -> None:
        by = self._request[AROUND]
        failure = noted(by, error, route="/v1/ws")
        said = {
            "code": failure.code,
            "title": failure.title,
            "status": failure.http_status,
            "detail": told(by, failure),
        }
        await self._send({"op": "error", "subscription": name, "problem": said})

    async def _send(self, said: dict[str, Any]) -> None:
        await self._send_text(json.dumps(said, separators=(",", ":")))

    async def _send_text(self, text: str) -> None:
        async with asyncio.timeout(STALLED_S):
            await self._socket.send_str(text)
