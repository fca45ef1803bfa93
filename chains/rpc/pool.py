"""JSON-RPC over HTTP to one or several nodes of a chain: retries, failover, typed errors, and no secret in any message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic
from typing import Any, TypeVar

import msgspec

from chains.errors import (
    ChainError,
    HistoryGone,
    NodeBehind,
    NodeBusy,
    NodeLimits,
    NodeWrong,
    NoOtherNode,
    RangeTooWide,
    TooManyAccounts,
    TooManyAddresses,
    WrongChain,
)
from chains.ports import Observer
from chains.rpc.breaker import State
from chains.rpc.choice import Question, choose
from chains.rpc.dialect import Answered, Dialect, Outcome, Request, RpcFault
from chains.rpc.exchange import Exchanger
from chains.rpc.heights import LAG_BLOCKS, lags
from chains.rpc.limit import Limit
from chains.rpc.node import Node, host_of
from chains.rpc.observer import Unobserved
from chains.rpc.transport import Transport

T = TypeVar("T")

TRIES = 5
TIMEOUT_S = 30.0
PROBE_TIMEOUT_S = 5.0
MOST_BYTES = 64 << 20
"""The longest answer that is read, unpacked."""

EXPLORE = 0.02
"""How often an EVM chain's other nodes are asked although the first one is well."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class NodePool:
    """The nodes of one chain, asked until one of them gives a usable answer: the first configured one, as long as it is well.

    `explore`: how often another one is asked although the first is well, so that its latency and height are known. `observer` is
    told of every exchange with a node and of every error, also of those a retry mended.
    """

    def __init__(
        self,
        chain: str,
        dialect: Dialect,
        urls: Sequence[str],
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        most_bytes: int = MOST_BYTES,
        explore: float = 0.0,
        observer: Observer | None = None,
        chance: Random | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.chain = chain
        self.nodes = [
            Node(url, f"node {i} ({host_of(url)})", Limit(start=dialect.batch, most=dialect.batch))
            for i, url in enumerate(urls, start=1)
        ]
        self._dialect = dialect
        self._exchanger = Exchanger(
            chain=chain,
            dialect=dialect,
            transport=Transport(timeout_s=timeout_s, most_bytes=most_bytes),
            observer=observer or Unobserved(),
            clock=clock,
            sleep=sleep,
            ids=count(),
        )
        self._tries = max(tries, len(urls))
        self._explore = explore
        self._observer = self._exchanger.observer
        self._chance = chance or Random(chain)  # noqa: S311 - spreads load, guards nothing
        self._clock = clock
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def batch_size(self) -> int:
        """How many requests go into one batch."""
        return self._dialect.batch

    async def aclose(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exchanger.transport.aclose()

    async def call(
        self,
        method: str,
        params: Sequence[object],
        kind: type[T],
        *,
        block: int | None = None,
        avoid: Collection[str] = (),
    ) -> T:
        """Return one result, decoded as `kind`; raises `ChainError`, and `RpcFault` where the node itself refuses."""
        (result,) = await self._decoded([(method, params)], kind, block=block, avoid=avoid)
        return result

    async def batch(
        self, requests: Sequence[Request], kind: type[T], *, block: int | None = None, avoid: Collection[str] = ()
    ) -> list[T]:
        """Return the results of many requests in their order; raises like `call`."""
        results: list[T] = []
        for start in range(0, len(requests), self._dialect.batch):
            part = requests[start : start + self._dialect.batch]
            results += await self._decoded(part, kind, block=block, avoid=avoid)
        return results

    async def outcomes(
        self, requests: Sequence[Request], *, block: int | None = None, avoid: Collection[str] = ()
    ) -> list[Outcome]:
        """Return raw results and refusals in the order of the requests, after retries and failover."""
        return (await self.answered(requests, block=block, avoid=avoid)).outcomes

    async def _decoded(
        self, requests: Sequence[Request], kind: type[T], *, block: int | None, avoid: Collection[str]
    ) -> list[T]:
        """Decode results; a node whose answer has another shape is doubted, and another one asked."""
        for left in reversed(range(len(self.nodes))):
            answer = await self.answered(requests, block=block, avoid=avoid)
            try:
                return [self._result(*pair, kind) for pair in zip(requests, answer.outcomes, strict=True)]
            except NodeWrong as error:
                self.doubt(answer.node, error)
                if not left:
                    raise
        raise AssertionError("a pool has a node")

    def _result(self, request: Request, outcome: Outcome, kind: type[T]) -> T:
        if isinstance(outcome, RpcFault):
            raise outcome
        return self.decoded(request[0], outcome, kind)

    def alone(self, labels: Collection[str]) -> bool:
        """Tell whether no other node than these will answer soon: there is none, or all were tried again and again."""
        return all(node.label in labels or node.breaker.lost for node in self.nodes)

    def decoded(self, method: str, raw: msgspec.Raw, kind: type[T]) -> T:
        """Decode one raw result; raises `NodeWrong` when it has another shape."""
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"chain {self.chain}: {method} gave an answer of the wrong shape ({error}); check the node"
            raise NodeWrong(message) from error

    async def answered(
        self,
        requests: Sequence[Request],
        *,
        block: int | None = None,
        avoid: Collection[str] = (),
        unfit: Collection[str] = (),
    ) -> Answered:
        """Return what one node says to all requests, after retries and failover, and which one it was.

        `block`: a block that the node must have reached, where the requests do not name it by its number. `avoid`: labels of nodes
        that are not asked at all, as those that answered before when a second opinion is wanted; raises `NoOtherNode` when none
        is left. `unfit`: labels of nodes that are asked only when no other can be.
        """
        question = self._question(requests, block, avoid, unfit)
        tries = _Tries(asked=[node for node in self.nodes if node.label not in avoid])
        for attempt in range(self._tries):
            self._try_others_again()
            node = self._choice(question, tries)
            try:
                return Answered(await self._asked(node, requests, question), node.label)
            except (RangeTooWide, TooManyAccounts, TooManyAddresses) as error:
                self._observer.failed(node.label, error)
                raise
            except (HistoryGone, NodeBusy, NodeWrong) as error:
                self._failed(node, question, error)
                if tries.failed(node, error) and attempt + 1 < self._tries:
                    await self._sleep(self._pause_s(attempt, error))
        raise self._given_up(tries.problem)

    def _question(
        self, requests: Sequence[Request], block: int | None, avoid: Collection[str], unfit: Collection[str]
    ) -> Question:
        named = [self._dialect.named(*request) for request in requests] if block is None else [block]
        highest = max((number for number in named if number is not None), default=None)
        return Question(method=requests[0][0], block=highest, avoid=avoid, unfit=unfit)

    def _choice(self, question: Question, tries: _Tries) -> Node:
        node = choose(self.nodes, question, tries.out, now=self._clock(), chance=self._chance, explore=self._explore)
        if node is None:
            raise NoOtherNode(f"chain {self.chain}: there is no node but {', '.join(sorted(question.avoid))}")
        return node

    async def _asked(self, node: Node, requests: Sequence[Request], question: Question) -> list[Outcome]:
        await self._verify(node)
        if question.block is not None and self._dialect.must_reach(question.method):
            await self._must_reach(node, question.block)
        outcomes = await self._exchanger.ask(node, requests)
        self._see_heights(node, requests, outcomes)
        self._change(node, node.breaker.went_well)
        return outcomes

    async def _verify(self, node: Node) -> None:
        """Ask a node once, and again after faults, which chain it serves; who else waits for it shares the answer."""
        if node.verified:
            return
        if node.verifying is None:
            node.verifying = self._spawn(self._identify(node))
        await asyncio.shield(node.verifying)

    async def _identify(self, node: Node, *, timeout_s: float | None = None) -> None:
        try:
            (outcome,) = await self._exchanger.once(node, [self._dialect.identity], timeout_s=timeout_s)
            if isinstance(outcome, RpcFault):
                raise NodeWrong(f"{node.label} refuses {self._dialect.identity[0]}: {outcome.text}")
            self._dialect.check(self.chain, node.label, outcome)
        except WrongChain as error:
            if node.trusted and len(self.nodes) > 1:
                raise NodeWrong(f"{error}; it did serve this chain before") from error
            raise
        finally:
            node.verifying = None
        node.verified = node.trusted = True

    async def _must_reach(self, node: Node, block: int) -> None:
        """See that a node has reached a block before it is asked what happened up to there: it might leave out the end."""
        if node.heights.newest >= block or self._dialect.newest is None:
            return
        outcomes = await self._exchanger.once(node, [self._dialect.newest])
        self._see_heights(node, [self._dialect.newest], outcomes)
        if -1 < node.heights.newest < block:
            raise NodeBehind(f"{node.label} is at block {node.heights.newest}, and block {block} is asked for")

    def _see_heights(self, node: Node, requests: Sequence[Request], outcomes: Sequence[Outcome]) -> None:
        """Learn how far a node is; raises `NodeBehind` where that is too little."""
        now = self._clock()
        others = [each for each in self.nodes if each is not node and each.breaker.state is State.IN_USE]
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, RpcFault):
                continue
            if (height := self._dialect.told(*request, outcome)) is not None:
                self._told(node, height, others, now)
            elif (lacking := self._dialect.lacks(*request, outcome)) is not None:
                node.heights.lacks(lacking, now)
                if any(other.heights.newest >= lacking for other in others):
                    raise NodeBehind(f"{node.label} does not have block {lacking}, which another node has")

    def _told(self, node: Node, height: int, others: Sequence[Node], now: float) -> None:
        fell = node.heights.newest - height > LAG_BLOCKS
        node.heights.told(height, now)
        best = max((other.heights.newest for other in others), default=-1)
        if lags(height, [other.heights for other in others], now) or (fell and best - height > LAG_BLOCKS):
            self._change(node, lambda: node.breaker.set_aside(now))
            how = "went back to" if fell else "stays at"
            raise NodeBehind(f"{node.label} {how} block {height}, while another node is at {best}")

    def _failed(self, node: Node, question: Question, error: ChainError) -> None:
        self._observer.failed(node.label, error)
        match error:
            case HistoryGone():
                node.forgot(question.method, question.block)
            case NodeLimits() | NodeBehind():
                pass
            case _:
                node.verified = False
                self._change(node, lambda: node.breaker.failed(self._clock()))

    def doubt(self, label: str, error: ChainError) -> None:
        """Set a node aside for a moment whose answers turned out to be wrong, so that another one is asked next."""
        self._observer.failed(label, error)
        for node in self.nodes:
            if node.label == label:
                node.verified = False
                self._change(node, lambda node=node: node.breaker.set_aside(self._clock()))  # type: ignore[misc]  # a default binds the node

    def _change(self, node: Node, change: Callable[[], None]) -> None:
        before = node.breaker.state
        change()
        if node.breaker.state is not before:
            self._observer.turned(node.label, node.breaker.state)

    def _try_others_again(self) -> None:
        """Begin trials of nodes whose time has come, while others answer questions."""
        now = self._clock()
        if not any(node.breaker.state is State.IN_USE for node in self.nodes):
            return
        for node in self.nodes:
            if node.breaker.due(now):
                self._change(node, node.breaker.tried)
                _ = self._spawn(self._try(node))

    async def _try(self, node: Node) -> None:
        """Ask a node which chain it serves and how far it is."""
        try:
            await self._identify(node, timeout_s=PROBE_TIMEOUT_S)
            if (newest := self._dialect.newest) is not None:
                outcomes = await self._exchanger.once(node, [newest], timeout_s=PROBE_TIMEOUT_S)
                self._see_heights(node, [newest], outcomes)
        except ChainError as error:
            self._observer.failed(node.label, error)
            self._change(node, lambda: node.breaker.failed(self._clock()))
        else:
            self._change(node, node.breaker.passed)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it too

    def _pause_s(self, attempt: int, error: ChainError) -> float:
        """Return how long to wait when all nodes failed; a node's own wish for a pause is kept to when it is its turn."""
        if isinstance(error, NodeBusy) and error.retry_after is not None:
            return 0.0
        longest_s: float = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
        return longest_s * (1 + self._chance.random()) / 2

    def _given_up(self, problem: ChainError | None) -> ChainError:
        assert problem is not None  # noqa: S101 - something was tried
        tried = f"{self._tries} tries over {len(self.nodes)} node{'s' if len(self.nodes) > 1 else ''}"
        error = type(problem)(f"chain {self.chain}: {problem} ({tried}); check the node and its address")
        error.__cause__ = problem
        if isinstance(error, NodeBusy) and isinstance(problem, NodeBusy):
            error.retry_after = problem.retry_after
        return error


@dataclass(slots=True)
class _Tries:
    """What became of one question so far: the nodes that may be asked, those that failed this round, and those without the state."""

    asked: Sequence[Node]
    problem: ChainError | None = None
    out: set[Node] = field(default_factory=set)
    gone: set[Node] = field(default_factory=set)

    def failed(self, node: Node, error: ChainError) -> bool:
        """Note a failure, and tell whether that ends a round; raises `HistoryGone` when no node has the state."""
        self.out.add(node)
        if isinstance(error, HistoryGone):
            self.gone.add(node)
            if self.gone.issuperset(self.asked):
                raise error
        else:
            self.problem = error
        if not self.out.issuperset(self.asked):
            return False
        self.out = set(self.gone)
        return True
