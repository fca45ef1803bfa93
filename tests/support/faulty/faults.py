"""The ways in which a node misbehaves: each fault overrides the one moment at which it strikes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from tests.support.faulty.wire import Call, Exchange, Reply, block_of, cut_off, height_of, refusal

BLOCKS = frozenset({"eth_getBlockByNumber", "eth_getBlockByHash", "eth_getBlockReceipts"})
LOGS = frozenset({"eth_getLogs"})
STATE = frozenset({"eth_call", "eth_getCode"})
HASH_LENGTH = len("0x") + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What may go wrong with an exchange.

    `weight`: how many of it lie in a deck; `lasting`: how many exchanges in a row it spoils once dealt; `methods`: the calls that
    it concerns, all of them when empty.
    """

    kind: str
    weight: int = 1
    lasting: int = 1
    methods: frozenset[str] = frozenset()

    def concerns(self, call: Call) -> bool:
        """Tell whether a call is one of those that this fault spoils."""
        return not self.methods or call.method in self.methods

    def fits(self, exchange: Exchange) -> bool:
        """Tell whether the fault can strike here."""
        return any(self.concerns(call) for call in exchange.calls)

    async def instead(self, request: web.Request) -> web.StreamResponse | None:
        """Answer the whole exchange without asking the honest node."""
        return None

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        """Answer one call without asking the honest node."""
        return None

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        """Change what the honest node said."""
        return reply

    def arranged(self, exchange: Exchange, replies: list[Reply]) -> list[Reply]:
        """Change which replies are sent, and under which ids."""
        return replies

    async def sent(self, request: web.Request, body: bytes) -> web.StreamResponse | None:
        """Send the body in another way."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Fault):
    """An HTTP answer that holds no reply."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def instead(self, request: web.Request) -> web.StreamResponse | None:
        return web.Response(status=self.status, text=self.text, headers=self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent(Fault):
    """No answer for so many seconds, and then the end of the connection."""

    kind: str = "silence"
    seconds: float = 1.0

    async def instead(self, request: web.Request) -> web.StreamResponse | None:
        await asyncio.sleep(self.seconds)
        cut_off(request)
        return web.Response()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    """A connection that ends instead of an answer."""

    kind: str = "connection reset"

    async def instead(self, request: web.Request) -> web.StreamResponse | None:
        cut_off(request)
        return web.Response()


@dataclass(frozen=True, slots=True, kw_only=True)
class Says(Fault):
    """A JSON-RPC error to every call that the fault concerns."""

    code: int
    message: str

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        return refusal(call, self.code, self.message) if self.concerns(call) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mangled(Fault):
    """Replies that are no honest set of answers to their calls."""

    change: Callable[[list[Reply]], list[Reply]]
    batches: bool = True

    def fits(self, exchange: Exchange) -> bool:
        return len(exchange.calls) > 1 or not self.batches

    def arranged(self, exchange: Exchange, replies: list[Reply]) -> list[Reply]:
        return self.change(replies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Fault):
    """Null for a block that exists."""

    kind: str = "null for a block"
    methods: frozenset[str] = BLOCKS

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        return reply.saying(None) if self.concerns(call) else reply


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherBranch(Fault):
    """A header that was forgotten in a reorg, of one of the `window` newest heights: older ones never change."""

    kind: str = "header of another branch"
    window: int
    methods: frozenset[str] = frozenset({"eth_getBlockByNumber"})

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not (self.concerns(call) and reply.result):
            return reply
        height = height_of(reply.result, "number")
        other = exchange.upstream.other_branch(height, reply.result["hash"])
        return reply.saying(other) if other and height > exchange.upstream.highest - self.window else reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind(Fault):
    """The answers of a node whose head is `lag` blocks lower and that knows nothing above.

    `silent`: it finds no logs there, which looks like an answer; others say that the range ends above their head.
    """

    lag: int
    silent: bool = False

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        head = max(0, await exchange.upstream.head() - self.lag)
        if call.method == "eth_getLogs" and not self.silent and int(call.params[0].get("toBlock", "0x0"), 16) > head:
            return refusal(call, -32000, "block range extends beyond current head block")
        if call.method in STATE and await self._is_above(exchange, call, head):
            return refusal(call, -32000, "header not found")
        return reply if reply.error is not None else reply.saying(await self._below(exchange, call, reply.result, head))

    async def _below(self, exchange: Exchange, call: Call, result: Any, head: int) -> Any:
        """Return what is left of a result for a node with this head."""
        match call.method:
            case "eth_blockNumber":
                return hex(head)
            case "eth_getLogs":
                return [log for log in result if height_of(log, "blockNumber") <= head]
            case "eth_getBlockByNumber" if block_of(call) is None and result:
                below = max(0, height_of(result, "number") - self.lag)
                return await exchange.upstream.call(call.method, hex(below), *call.params[1:])
            case "eth_getBlockByNumber" | "eth_getBlockReceipts" if (block_of(call) or 0) > head:
                return None
            case _:
                return result

    async def _is_above(self, exchange: Exchange, call: Call, head: int) -> bool:
        digest = _pinned(call.params[1]) if len(call.params) > 1 else None
        if digest is None:
            return False
        header = await exchange.upstream.call("eth_getBlockByHash", digest, False)  # noqa: FBT003 - JSON
        return header is not None and height_of(header, "number") > head


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfSent(Fault):
    """A connection that ends in the middle of a body."""

    kind: str = "half answer"

    async def sent(self, request: web.Request, body: bytes) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        cut_off(request)
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed(Fault):
    """A body in another coding, which is no fault at all and must be understood."""

    coding: web.ContentCoding

    async def sent(self, request: web.Request, body: bytes) -> web.StreamResponse | None:
        response = web.Response(body=body, content_type="application/json")
        response.enable_compression(self.coding)
        return response


def _pinned(said: Any) -> str | None:
    """Return the block hash that a state call names."""
    digest = said.get("blockHash") if isinstance(said, dict) else said
    return digest if isinstance(digest, str) and len(digest) == HASH_LENGTH else None


def wrong_ids(replies: list[Reply]) -> list[Reply]:
    """Answer calls that nobody made."""
    return [replace(reply, id=1_000_000 + i) for i, reply in enumerate(replies)]


def ids_as_text(replies: list[Reply]) -> list[Reply]:
    """Give numbers back as strings."""
    return [replace(reply, id=str(reply.id)) for reply in replies]


def last_refused(replies: list[Reply]) -> list[Reply]:
    """Refuse one call of a batch for now."""
    limited = {"code": -32005, "message": "rate limit exceeded"}
    return [*replies[:-1], replace(replies[-1], result=None, error=limited)]


RATE_LIMITED = "<html><body><h1>429 Too Many Requests</h1></body></html>"
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def accidents(*, silence_s: float, window: int) -> list[Fault]:
    """Every fault that a client must survive with nothing but another try.

    `silence_s`: longer than it waits; `window`: how many of the newest blocks may be taken back.
    """
    return [
        Refused(kind="429", status=429),
        Refused(kind="429 with Retry-After", status=429, text=RATE_LIMITED, headers={"Retry-After": "0.05"}),
        Refused(kind="429 in a row", status=429, lasting=6),
        Refused(kind="HTTP 500", status=500, text='{"error": "internal"}'),
        Refused(kind="HTTP 502 in HTML", status=502, text=BAD_GATEWAY),
        Refused(kind="HTTP 503", status=503),
        Refused(kind="outage", status=503, lasting=8),
        Refused(kind="HTTP 200 in HTML", status=200, text=BAD_GATEWAY),
        Refused(kind="empty body", status=200),
        Says(kind="-32005", code=-32005, message="daily request count exceeded, request rate limited"),
        Says(kind="-32603", code=-32603, message="internal error"),
        Says(kind="header not found", code=-32000, message="header not found", methods=STATE),
        Silent(seconds=silence_s),
        Reset(),
        HalfSent(),
        Mangled(kind="wrong ids", change=wrong_ids, batches=False),
        Mangled(kind="ids as text", change=ids_as_text, batches=False),
        Mangled(kind="reordered", change=lambda replies: replies[::-1]),
        Mangled(kind="duplicate reply", change=lambda replies: [*replies, replies[0]]),
        Mangled(kind="duplicate for another", change=lambda replies: [*replies[:-1], replies[0]]),
        Mangled(kind="missing reply", change=lambda replies: replies[1:]),
        Mangled(kind="one of a batch refused", change=last_refused),
        Compressed(kind="gzip", coding=web.ContentCoding.gzip),
        Compressed(kind="deflate", coding=web.ContentCoding.deflate),
        Unknown(),
        OtherBranch(window=window),
        Behind(kind="stale replica", lag=3),
        Behind(kind="node went backwards", lag=7, lasting=12),
    ]
