"""New heads over a websocket: they say that it is worth looking, and nothing else, so that a lost one costs time and no row."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import aiohttp
import msgspec

from chains.errors import NodeBusy
from chains.ports import Observer
from chains.rpc.node import host_of

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HANDSHAKE_S = 10.0
PING_S = 20.0
SILENCE_S = 90.0
"""A socket that tells of no head for so long is left, even if it answers pings: nodes forget subscriptions."""

LONGEST_MESSAGE = 1 << 20


class _Params(msgspec.Struct):
    subscription: str = ""


class _Message(msgspec.Struct):
    id: int | None = None
    result: str | None = None
    method: str = ""
    params: _Params | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_sleep = asyncio.sleep
_SUBSCRIBE = msgspec.json.encode(
    {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
).decode()


class _Broken(Exception):
    """A connection that is of no use: the message says why."""


class Heads:
    """A subscription to new heads at one of several websocket addresses, made again whenever it breaks; with no address, silence."""

    def __init__(self, urls: Sequence[str], *, observer: Observer | None = None, silence_s: float = SILENCE_S) -> None:
        self._urls = tuple(urls)
        self._labels = [f"websocket {number} ({host_of(url)})" for number, url in enumerate(urls, start=1)]
        self._observer = observer
        self._silence_s = silence_s
        self._something = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._failures = 0
        self._closed = False

    async def wait(self, timeout_s: float) -> None:
        """Return at the next head, or after `timeout_s` seconds; what came since the last call counts. Never fails."""
        if self._urls and self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._something.wait()
        self._something.clear()

    async def aclose(self) -> None:
        """Close the connection for good, and wake who waits."""
        self._closed = True
        self._something.set()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None

    async def _listen(self) -> None:
        """Hear one address after the other, with pauses that grow until one tells of a head."""
        turn = 0
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=HANDSHAKE_S)
        ) as session:
            while True:
                place = turn % len(self._urls)
                try:
                    await self._hear(session, self._urls[place])
                except Exception as error:  # noqa: BLE001 - whatever ends a connection, another is made
                    self._report(self._labels[place], error)
                turn += 1
                self._something.set()
                await _sleep(min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S))
                self._failures += 1

    async def _hear(self, session: aiohttp.ClientSession, url: str) -> None:
        async with asyncio.timeout(HANDSHAKE_S):
            socket = await session.ws_connect(url, heartbeat=PING_S, max_msg_size=LONGEST_MESSAGE)
        try:
            await socket.send_str(_SUBSCRIBE)
            async with asyncio.timeout(HANDSHAKE_S):
                subscription = await self._subscribed(socket)
            self._something.set()
            while True:
                async with asyncio.timeout(self._silence_s):
                    await self._head(socket, subscription)
                self._failures = 0
                self._something.set()
        finally:
            await socket.close()

    async def _subscribed(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        while (message := await _received(socket)).id != 1:
            continue
        if not message.result:
            raise _Broken("refused the subscription")
        return message.result

    async def _head(self, socket: aiohttp.ClientWebSocketResponse, subscription: str) -> None:
        while True:
            params = (await _received(socket)).params
            if params is not None and params.subscription == subscription:
                return

    def _report(self, label: str, error: Exception) -> None:
        """Tell of a broken connection by its kind alone: what it says may hold the address."""
        if self._observer is None:
            return
        match error:
            case TimeoutError():
                how = "fell silent"
            case _Broken():
                how = str(error)
            case _:
                how = f"broke off ({type(error).__name__})"
        self._observer.failed(label, NodeBusy(f"{label} {how}; polling goes on"))


async def _received(socket: aiohttp.ClientWebSocketResponse) -> _Message:
    """Return the next message; raises `_Broken` when there is none or it is no JSON-RPC."""
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise _Broken(f"broke off ({message.type.name.lower()})")
    try:
        return _MESSAGE.decode(message.data)
    except (msgspec.DecodeError, RecursionError):
        raise _Broken("spoke another language") from None
