"""Nodes on loopback that do what a test says, and a pool over them whose clock stands still until it sleeps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from chains.evm.dialect import EvmDialect
from chains.rpc import NodePool
from tests.support.observing import Overheard

SECRET = "canary-secret-key"
CHAIN = "eip155:1"
Call = dict[str, Any]
Answer = Callable[[Call], object]
Serve = Callable[[web.Request, "Scripted"], Awaitable[web.StreamResponse]]


class Error(Exception):
    """A node's own error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.said = {"code": code, "message": message, "data": data}


@dataclass(slots=True)
class Scripted:
    """A node: `answers` by method, or for all; `serve`, when it is set, has the whole HTTP exchange to itself."""

    answers: dict[str, Answer] = field(default_factory=dict)
    serve: Serve | None = None
    chain: str = "0x1"
    height: int = 100
    calls: list[Call] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def methods(self) -> list[str]:
        return [call["method"] for call in self.calls]

    def asked(self, method: str) -> int:
        return self.methods().count(method)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        calls = body if isinstance(body, list) else [body]
        self.calls += calls
        self.sizes.append(len(calls))
        self.headers.append(dict(request.headers))
        if self.serve is not None:
            return await self.serve(request, self)
        said = [self.reply(call) for call in calls]
        return web.json_response(said if isinstance(body, list) else said[0])

    def reply(self, call: Call) -> Call:
        try:
            return {"jsonrpc": "2.0", "id": call["id"], "result": self.result(call)}
        except Error as error:
            return {"jsonrpc": "2.0", "id": call["id"], "error": error.said}

    def result(self, call: Call) -> object:
        method = call["method"]
        if method in self.answers:
            return self.answers[method](call)
        return {"eth_chainId": self.chain, "eth_blockNumber": hex(self.height)}.get(method, "0x2a")


def fails(*errors: Error | None) -> Answer:
    """Answer with errors in turn, `None` being a good answer, and well after them."""
    left = list(errors)

    def answer(_call: Call) -> object:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return "0x2a"

    return answer


def saying(status: int, body: str = "", **headers: str) -> Serve:
    """Answer everything with the same."""

    async def serve(_request: web.Request, _node: Scripted) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=body, headers=named)

    return serve


@dataclass(slots=True)
class Clock:
    """Time that passes when somebody sleeps; `naps` are all sleeps in seconds."""

    now: float = 1_000.0
    naps: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(slots=True)
class Bench:
    """A pool over nodes, with its clock and its observer."""

    pool: NodePool
    nodes: list[Scripted]
    clock: Clock
    heard: Overheard

    @property
    def labels(self) -> list[str]:
        return [node.label for node in self.pool.nodes]

    async def settle(self) -> None:
        """Let trials of nodes end."""
        await asyncio.gather(*self.pool._tasks, return_exceptions=True)

    async def call(self, method: str = "eth_gasPrice", *params: object, **wishes: Any) -> Any:
        return await self.pool.call(method, params, object, **wishes)

    def kinds(self) -> list[str]:
        return [type(error).__name__ for _, error in self.heard.errors]


@asynccontextmanager
async def bench(*nodes: Scripted, **settings: Any) -> AsyncIterator[Bench]:
    """Serve nodes and ask them through a pool."""
    runners = [await _served(node) for node in nodes]
    clock, heard = Clock(), Overheard()
    options: dict[str, Any] = {"timeout_s": 5.0, "tries": 3, "chance": Random(0)} | settings
    urls: Sequence[str] = [node.url for node in nodes]
    pool = NodePool(CHAIN, EvmDialect(1), urls, observer=heard, clock=clock, sleep=clock.sleep, **options)
    try:
        yield Bench(pool, list(nodes), clock, heard)
    finally:
        await pool.aclose()
        for runner in runners:
            await runner.cleanup()


async def _served(node: Scripted) -> web.AppRunner:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/{key}", node.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    node.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    return runner
