"""JSON-RPC over HTTP to one or several nodes of a chain: retries, failover, typed errors, and no secret in any message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from chains.errors import ChainError, NodeBusy, NodeWrong, RangeTooWide

T = TypeVar("T")

TRIES = 5
TIMEOUT_S = 30.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class RpcFault(ChainError):
    """A node's own error answer to one request: `code`, `text` and `data` as it gave them."""

    def __init__(self, message: str, *, code: int, text: str, data: object) -> None:
        super().__init__(message)
        self.code = code
        self.text = text
        self.data = data


class _Fault(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class _Reply(msgspec.Struct):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    error: _Fault | None = None


_ONE = msgspec.json.Decoder(_Reply)
_MANY = msgspec.json.Decoder(list[_Reply])


@dataclass(slots=True)
class Node:
    """One address of a chain; `label` is what messages and metrics may show of it."""

    url: str = field(repr=False)
    label: str
    verified: bool = False


Outcome = msgspec.Raw | RpcFault


class Dialect(Protocol):
    """What differs between families of nodes: how to ask which chain they serve, and what their errors mean."""

    batch: int
    """Requests in one JSON-RPC batch."""

    identity: tuple[str, Sequence[object]]
    """The request that tells which chain a node serves."""

    def check(self, chain: str, label: str, served: msgspec.Raw) -> None:
        """Compare the answer to `identity`; raises `WrongChain`, `NodeWrong`."""
        ...

    def error(self, chain: str, label: str, method: str, fault: RpcFault) -> ChainError:
        """Return what a node's own error means; the fault itself where it is an answer to the question."""
        ...


class NodePool:
    """The nodes of one chain, asked in turn until one of them gives a usable answer.

    `on_error` is told the label of the node and the kind of every error that was met, also of those a retry mended.
    """

    def __init__(
        self,
        chain: str,
        dialect: Dialect,
        urls: Sequence[str],
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        on_error: Callable[[str, ChainError], None] | None = None,
    ) -> None:
        self.chain = chain
        self._dialect = dialect
        self.nodes = [Node(url, f"node {i + 1} ({_host(url)})") for i, url in enumerate(urls)]
        self.requests = 0
        self._tries = tries
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._on_error = on_error
        self._first = 0

    @property
    def batch_size(self) -> int:
        """How many requests go into one batch."""
        return self._dialect.batch

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, params: Sequence[object], kind: type[T]) -> T:
        """Return one result, decoded as `kind`; raises `ChainError`, and `RpcFault` where the node itself refuses."""
        (outcome,) = await self.outcomes([(method, params)])
        if isinstance(outcome, RpcFault):
            raise outcome
        return self.decoded(method, outcome, kind)

    async def batch(self, requests: Sequence[tuple[str, Sequence[object]]], kind: type[T]) -> list[T]:
        """Return the results of many requests in their order; raises like `call`."""
        outcomes: list[Outcome] = []
        for start in range(0, len(requests), self._dialect.batch):
            outcomes += await self.outcomes(requests[start : start + self._dialect.batch])
        for outcome in outcomes:
            if isinstance(outcome, RpcFault):
                raise outcome
        return [
            self.decoded(method, raw, kind)
            for (method, _), raw in zip(requests, outcomes, strict=True)
            if isinstance(raw, msgspec.Raw)
        ]

    def decoded(self, method: str, raw: msgspec.Raw, kind: type[T]) -> T:
        """Decode one raw result; raises `NodeWrong` when it has another shape."""
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            message = f"chain {self.chain}: {method} gave an answer of the wrong shape ({error}); check the node"
            raise NodeWrong(message) from error

    async def outcomes(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Outcome]:
        """Return raw results and refusals in the order of the requests, after retries and failover."""
        problem: ChainError | None = None
        for attempt in range(self._tries):
            node = self.nodes[(self._first + attempt) % len(self.nodes)]
            try:
                await self._verify(node)
                return await self._ask(node, requests)
            except (NodeBusy, NodeWrong) as error:
                if self._on_error:
                    self._on_error(node.label, error)
                if isinstance(error, RangeTooWide):
                    raise
                node.verified = False
                problem = error
            if attempt + 1 < self._tries:
                await asyncio.sleep(_pause(attempt, problem))
        assert problem is not None  # noqa: S101 - the loop ran at least once
        tried = f"{self._tries} tries over {len(self.nodes)} node{'s' if len(self.nodes) > 1 else ''}"
        raise type(problem)(f"chain {self.chain}: {problem} ({tried}); check the node and its address") from problem

    async def _verify(self, node: Node) -> None:
        """Ask a node once, and again after every fault, which chain it serves."""
        if node.verified:
            return
        (outcome,) = await self._ask(node, [self._dialect.identity])
        if isinstance(outcome, RpcFault):
            raise NodeWrong(f"{node.label} refuses {self._dialect.identity[0]}: {outcome.text}")
        self._dialect.check(self.chain, node.label, outcome)
        node.verified = True

    async def _ask(self, node: Node, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Outcome]:
        body = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(requests)]
        self.requests += len(requests)
        answer = await self._post(node, msgspec.json.encode(body if len(body) > 1 else body[0]))
        try:
            one = len(body) == 1
            replies = [_ONE.decode(answer)] if one else _MANY.decode(answer)
        except msgspec.DecodeError as error:
            raise NodeWrong(f"{node.label} gave a malformed answer ({error})") from error
        found = {reply.id: reply for reply in replies}
        if len(found) != len(body) or any(i not in found for i in range(len(body))):
            raise NodeWrong(f"{node.label} left requests of a batch unanswered")
        return [self._outcome(node, requests[i][0], found[i]) for i in range(len(body))]

    async def _post(self, node: Node, body: bytes) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.post(node.url, data=body, headers={"Content-Type": "application/json"}) as reply:
                answer = await reply.read()
        except TimeoutError as error:
            raise NodeBusy(f"{node.label} did not answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise NodeBusy(f"{node.label} cannot be reached ({type(error).__name__})") from error
        if reply.status == 429:  # noqa: PLR2004 - HTTP "too many requests"
            raise NodeBusy(f"{node.label} limits the request rate", retry_after=_seconds(reply.headers))
        if reply.status >= 500:  # noqa: PLR2004 - HTTP server errors
            raise NodeBusy(f"{node.label} answered HTTP {reply.status}", retry_after=_seconds(reply.headers))
        if reply.status in {401, 403, 404}:
            raise NodeWrong(f"{node.label} answered HTTP {reply.status}; check the key and the path of its address")
        return answer

    def _outcome(self, node: Node, method: str, reply: _Reply) -> Outcome:
        if reply.error is None:
            if not bytes(reply.result):
                raise NodeWrong(f"{node.label} answered {method} with neither result nor error")
            return reply.result
        text = _clean(reply.error.message)
        message = f"{node.label} refuses {method}: {text}"
        fault = RpcFault(message, code=reply.error.code, text=text, data=reply.error.data)
        meant = self._dialect.error(self.chain, node.label, method, fault)
        if isinstance(meant, RpcFault):
            return meant
        raise meant


def _pause(attempt: int, problem: ChainError) -> float:
    wish = problem.retry_after if isinstance(problem, NodeBusy) else None
    return min(wish if wish is not None else _FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _clean(text: str) -> str:
    """Keep what a node says to one printable line, without any address in it (addresses may hold keys)."""
    line = re.sub(r"\w+://\S+", "<address>", " ".join(text.split()))
    return "".join(c for c in line if c.isprintable())[:300]
