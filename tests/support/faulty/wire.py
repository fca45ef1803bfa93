"""JSON-RPC as a proxy sees it: exchanges, calls, replies, and the honest node behind."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from random import Random
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, NamedTuple

import msgspec
from aiohttp import ClientSession, web

ADDRESS_LENGTH = len("0x") + 40


class Call(NamedTuple):
    """One request of a client."""

    id: int | str | None
    method: str
    params: list[Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What answers a call; `status`: the HTTP status that goes with it where it is alone in its body."""

    id: int | str | None
    result: Any = None
    error: dict[str, Any] | None = None
    status: int = 200

    def saying(self, result: Any) -> Reply:
        """Return an answer with another result."""
        return replace(self, result=result, error=None)

    def wire(self) -> dict[str, Any]:
        outcome = {"result": self.result} if self.error is None else {"error": self.error}
        return {"jsonrpc": "2.0", "id": self.id, **outcome}


def refusal(call: Call, code: int, message: str, *, status: int = 200) -> Reply:
    """Answer a call with a JSON-RPC error."""
    return Reply(call.id, error={"code": code, "message": message}, status=status)


class Met(NamedTuple):
    """A fault that was made: the method and the height of the call that it spoiled, or of the first of the exchange."""

    kind: str
    method: str
    block: int | None
    exchange: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP request: its place among all that the node saw, its calls, the chance that belongs to it alone, and what went wrong."""

    number: int
    calls: list[Call]
    batch: bool
    rng: Random
    upstream: Upstream
    met: list[Met] = field(default_factory=list)

    def note(self, kind: str, place: int = 0) -> None:
        """Remember a fault that spoiled the call at a place."""
        call = self.calls[place]
        self.met.append(Met(kind, call.method, block_of(call), self.number))


@dataclass(slots=True, eq=False)
class Upstream:
    """The honest node behind a proxy, and the headers that it gave before."""

    url: str
    session: ClientSession
    headers: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    highest: int = 0

    async def ask(self, calls: list[Call]) -> list[Reply]:
        """Return the honest replies in the order of the calls."""
        if not calls:
            return []
        body = [{"jsonrpc": "2.0", "id": i, "method": c.method, "params": c.params} for i, c in enumerate(calls)]
        async with self.session.post(
            self.url, data=msgspec.json.encode(body), headers={"Content-Type": "application/json"}
        ) as answer:
            found = {reply["id"]: reply for reply in msgspec.json.decode(await answer.read())}
        replies = [Reply(c.id, found[i].get("result"), found[i].get("error")) for i, c in enumerate(calls)]
        for call, reply in zip(calls, replies, strict=True):
            if call.method == "eth_getBlockByNumber" and reply.result:
                self._remember(reply.result)
        return replies

    async def call(self, method: str, *params: Any) -> Any:
        """Return one honest result, `None` for an error."""
        (reply,) = await self.ask([Call(0, method, list(params))])
        return reply.result

    async def head(self) -> int:
        """Return the height of the honest node."""
        head = int(await self.call("eth_blockNumber"), 16)
        self.highest = max(self.highest, head)
        return head

    def other_branch(self, number: int, digest: str) -> dict[str, Any] | None:
        """Return a header that once stood at a height and has another hash."""
        return next((h for h in self.headers.get(number, ()) if h["hash"] != digest), None)

    def _remember(self, header: dict[str, Any]) -> None:
        height = height_of(header, "number")
        self.highest = max(self.highest, height)
        known = self.headers.setdefault(height, [])
        if all(old["hash"] != header["hash"] for old in known):
            known.append(header)


def calls_in(body: bytes) -> tuple[list[Call], bool]:
    """Return the calls in a body, and whether they came as a batch."""
    said = msgspec.json.decode(body)
    batch = isinstance(said, list)
    return [Call(one.get("id"), one["method"], one.get("params", [])) for one in (said if batch else [said])], batch


def block_of(call: Call) -> int | None:
    """Return the height that a call is about, where it says one."""
    first = call.params[0] if call.params else None
    said = first.get("fromBlock") if isinstance(first, dict) else first
    if isinstance(said, str) and said.startswith("0x") and len(said) < ADDRESS_LENGTH:
        return int(said, 16)
    return None


def height_of(item: dict[str, Any], name: str) -> int:
    """Return a quantity of a log or header."""
    return int(item[name], 16)


def cut_off(request: web.Request) -> None:
    """End a connection at once, with a reset where the client still waits."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
