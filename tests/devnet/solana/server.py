"""A node of the devnet: JSON-RPC by POST and websocket on one loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from threading import Event, Thread
from typing import Any, Self

import msgspec
from aiohttp import WSMsgType, web
from solders.hash import Hash

from tests.devnet.solana.blocks import Block
from tests.devnet.solana.errors import INVALID_REQUEST, PARSE_ERROR, RpcError
from tests.devnet.solana.faults import (
    Answer,
    ClosedConnection,
    Delay,
    Duplicated,
    Elsewhere,
    Fault,
    Faults,
    HttpError,
    MalformedBody,
    NodeBehind,
    RateLimited,
    Reordered,
    Swallowed,
    first_of,
    has,
)
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.methods import METHODS
from tests.devnet.solana.subscriptions import Hub, Told
from tests.devnet.solana.view import View

HOST = "127.0.0.1"
LARGEST_REQUEST = 10_000_000
SUBSCRIBE, UNSUBSCRIBE = "Subscribe", "Unsubscribe"


class Connection:
    """One websocket, with what is still to be sent over it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self.request = request
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue()
        """Messages; None ends the connection once those before it are sent."""
        self.held_back: str | None = None

    async def send_all(self) -> None:
        """Send what is waiting, until the connection is to end."""
        while (message := await self.waiting.get()) is not None:
            await self.socket.send_str(message)
        self.abort()

    def abort(self) -> None:
        """End without a farewell."""
        if self.request.transport is not None:
            self.request.transport.abort()


class Server:
    """One node over a ledger, standing `lag` slots behind it. Several may serve one ledger."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        lag: int = 0,
        genesis_hash: Hash | None = None,
        long_term_storage: bool = True,
    ) -> None:
        self.ledger = ledger
        self.lag = lag
        self.faults = Faults()
        self.refused_subscriptions: frozenset[str] = frozenset()
        self.requests: list[str] = []
        """The method of every request so far."""
        self._genesis_hash = genesis_hash or ledger.genesis_hash
        self._long_term_storage = long_term_storage
        self._hub = Hub(ledger)
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stop = asyncio.Event()
        self._ready = Event()
        self._thread = Thread(target=self._run, name="solana devnet node", daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://{HOST}:{self._port}"

    @property
    def ws_url(self) -> str:
        """Where to open a websocket."""
        return f"ws://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._ready.wait()
        with self.ledger.lock:
            self._hub.changed(self.lag)
            self.ledger.watch(self._follow)
        return self

    def __exit__(self, *exc: object) -> None:
        self.ledger.unwatch(self._follow)
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def drop_websockets(self) -> None:
        """End every websocket without a farewell."""
        self._loop.call_soon_threadsafe(self._end_all)

    # The thread

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        application = web.Application(client_max_size=LARGEST_REQUEST)
        application.router.add_post("/", self._post)
        application.router.add_get("/", self._websocket)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        for connection in self._connections:
            connection.abort()
        await runner.cleanup()

    # Requests

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            asked = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return reply(failure(None, RpcError(PARSE_ERROR, "Parse error")))
        each = asked if isinstance(asked, list) else [asked]
        faults = [self._faults_of(one) for one in each]
        refusal = await refused(request, [fault for some in faults for fault in some])
        if refusal is not None:
            return refusal
        answers = [self._answer(one, some) for one, some in zip(each, faults, strict=True)]
        return reply(answers if isinstance(asked, list) else answers[0])

    def _faults_of(self, asked: Any) -> list[Fault]:
        method, params = asked_for(asked)
        self.requests.append(method)
        return self.faults.for_request(method, params)

    def _answer(self, asked: Any, faults: list[Fault]) -> dict[str, Any]:
        method, params = asked_for(asked)
        name = asked.get("id") if isinstance(asked, dict) else None
        made_up = first_of(faults, Answer)
        if made_up is not None:
            said = {"result": made_up.result} if made_up.error is None else {"error": made_up.error}
            return {"jsonrpc": "2.0", "id": name, **said}
        try:
            return {"jsonrpc": "2.0", "id": name, "result": self._result(method, params, faults)}
        except RpcError as error:
            return failure(name, error)

    def _result(self, method: str, params: list[Any], faults: list[Fault]) -> Any:
        """What a method gives. Raises RpcError."""
        behind = first_of(faults, NodeBehind)
        if behind is not None:
            raise RpcError.behind(behind.slots)
        if not method:
            raise RpcError(INVALID_REQUEST, "Invalid request")
        if method not in METHODS:
            raise RpcError.unknown_method()
        with self.ledger.lock:
            return METHODS[method](self._view(faults), params)

    def _view(self, faults: list[Fault]) -> View:
        elsewhere = first_of(faults, Elsewhere)
        return View(
            ledger=self.ledger,
            genesis_hash=self._genesis_hash,
            lag=self.lag + (elsewhere.slots if elsewhere else 0),
            long_term_storage=self._long_term_storage,
            faults=faults,
        )

    # Websockets

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(socket, request)
        self._connections.add(connection)
        async with sending(connection):
            try:
                async for frame in socket:
                    if frame.type is WSMsgType.TEXT:
                        self._hear(connection, frame.data)
            finally:
                self._connections.discard(connection)
                with self.ledger.lock:
                    self._hub.leave(connection)
        return socket

    def _hear(self, connection: Connection, text: str) -> None:
        """Answer a frame. The answer goes before any notification that it causes."""
        asked = msgspec.json.decode(text)
        method, params = asked_for(asked)
        name = asked.get("id")
        told: list[Told] = []
        try:
            with self.ledger.lock:
                if method.endswith(UNSUBSCRIBE):
                    result: Any = self._hub.remove(connection, params[0] if params else None)
                elif method.endswith(SUBSCRIBE) and method in self.refused_subscriptions:
                    raise RpcError.unknown_method()
                elif method.endswith(SUBSCRIBE):
                    result, told = self._hub.add(connection, method, params)
                else:
                    raise RpcError.unknown_method()
                self._queue(connection, {"jsonrpc": "2.0", "id": name, "result": result})
        except RpcError as error:
            self._queue(connection, failure(name, error))
        self._deliver(told)

    def _follow(self, lost: tuple[Block, ...]) -> None:
        """After a change of the chain, in the thread that made it and under the ledger's lock."""
        told = self._hub.changed(self.lag)
        if told:
            self._loop.call_soon_threadsafe(self._deliver, told)

    def _deliver(self, told: Iterable[Told]) -> None:
        for connection, method, body in told:
            if isinstance(connection, Connection):
                self._notify(connection, method, body)

    def _notify(self, connection: Connection, method: str, body: dict[str, Any]) -> None:
        """Send a notification, and do to it what was asked for."""
        if self.faults.drops():
            self._end_all()
            return
        faults = self.faults.for_notification(method)
        if has(faults, Swallowed):
            return
        if has(faults, Reordered) and connection.held_back is None:
            connection.held_back = encoded(body)
            return
        for _ in range(2 if has(faults, Duplicated) else 1):
            self._queue(connection, body)
        if connection.held_back is not None:
            connection.waiting.put_nowait(connection.held_back)
            connection.held_back = None

    def _queue(self, connection: Connection, body: dict[str, Any]) -> None:
        connection.waiting.put_nowait(encoded(body))

    def _end_all(self) -> None:
        for connection in self._connections:
            connection.waiting.put_nowait(None)


@contextlib.asynccontextmanager
async def sending(connection: Connection) -> AsyncIterator[None]:
    """Send in the background what is waiting for a connection."""
    task = asyncio.create_task(connection.send_all())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task


async def refused(request: web.Request, faults: list[Fault]) -> web.StreamResponse | None:
    """What happens to a request before anybody reads it; None when it is read."""
    if delay := first_of(faults, Delay):
        await asyncio.sleep(delay.seconds)
    if limited := first_of(faults, RateLimited):
        headers = {"Retry-After": str(limited.retry_after_seconds)}
        return web.Response(status=429, headers=headers, text="Too many requests for a specific RPC call")
    if broken := first_of(faults, HttpError):
        return web.Response(status=broken.status, text="upstream connect error")
    if malformed := first_of(faults, MalformedBody):
        return web.Response(text=malformed.body, content_type="application/json")
    if has(faults, ClosedConnection):
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    return None


def asked_for(asked: Any) -> tuple[str, list[Any]]:
    """The method and the parameters of a request; an empty method when it is none."""
    if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
        return "", []
    params = asked.get("params")
    return asked["method"], params if isinstance(params, list) else []


def failure(name: Any, error: RpcError) -> dict[str, Any]:
    """An error as an answer."""
    return {"jsonrpc": "2.0", "error": error.to_json(), "id": name}


def encoded(body: Any) -> str:
    """JSON."""
    return msgspec.json.encode(body).decode()


def reply(body: Any) -> web.Response:
    """An answer by HTTP."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
