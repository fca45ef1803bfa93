"""Requests to one node and its answers: paced, in batches that it takes, and told to the observer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count

from chains.errors import ChainError, NodeBusy, NodeLimits, NodeWrong
from chains.ports import Exchange, Observer
from chains.rpc.dialect import Dialect, Outcome, Request, RpcFault
from chains.rpc.node import Node
from chains.rpc.together import gathered
from chains.rpc.transport import BrokenOff, Oversized, Received, TimedOut, Transport
from chains.rpc.wire import SERVER_ERRORS, BatchRefused, Refused, Reply, encoded, fault_of, replies

LONGEST_WAIT_S = 30.0
"""A question does not wait longer for a node that wants a pause; it fails, and says how long to wait."""

PATIENCE = 3
"""How often a part of a batch is asked again of a node that limits the rate."""

ANSWERED, REFUSED = "answered", "refused"
"""Outcomes of an exchange beside the names of errors; refused: the node's own error to one of the requests, which is an answer."""

RESPONSE_TOO_LARGE = "response size exceeded"
_RAN = re.compile("revert", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanger:
    """How nodes of one chain are spoken to."""

    chain: str
    dialect: Dialect
    transport: Transport
    observer: Observer
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    ids: count[int]

    async def ask(self, node: Node, requests: Sequence[Request], *, patience: int = 0) -> list[Outcome]:
        """Ask one node, in as many batches as it needs, side by side when it is known to take their size; raises `ChainError`.

        `patience`: how often it is asked again when it limits the rate; parts of a batch are, for the others may be answered already.
        """
        size = node.most_together()
        if len(requests) <= size:
            return await self._part(node, requests, patience)
        if not node.batch.known(size):
            first = await self._part(node, requests[:size], PATIENCE)
            return first + await self.ask(node, requests[size:], patience=PATIENCE)
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        answered = await gathered(self._part(node, part, PATIENCE) for part in parts)
        return [outcome for outcomes in answered for outcome in outcomes]

    async def _part(self, node: Node, requests: Sequence[Request], patience: int) -> list[Outcome]:
        try:
            outcomes = await self.once(node, requests)
        except BatchRefused as error:
            if len(requests) == 1:
                raise NodeWrong(f"{node.label} refuses a single request as a batch; check the node") from error
            node.batch.refused(len(requests), error.limit)
        except NodeLimits:
            if not patience:
                raise
            patience -= 1
        else:
            node.batch.succeeded(len(requests))
            return outcomes
        return await self.ask(node, requests, patience=patience)

    async def once(self, node: Node, requests: Sequence[Request], *, timeout_s: float | None = None) -> list[Outcome]:
        """Make one HTTP request when it is the node's turn."""
        async with node.gate:
            await self._turn(node, len(requests))
            began, received = self.clock(), None
            first = next(self.ids)
            for _ in requests[1:]:
                next(self.ids)
            body = encoded(requests, first)
            try:
                received = await self.transport.post(node.url, node.label, body, timeout_s=timeout_s)
                outcomes = self._outcomes(node, requests, first, received)
            except ChainError as fault:
                error = self._meant(node, requests, fault)
                self._tell(node, requests, type(error).__name__, began, received)
                self._learn(node, len(requests), error)
                raise error from (None if error is fault else fault)
            self._went_well(node, requests[0][0], self.clock() - began)
            refused = any(isinstance(outcome, RpcFault) for outcome in outcomes)
            self._tell(node, requests, REFUSED if refused else ANSWERED, began, received)
            return outcomes

    async def _turn(self, node: Node, requests: int) -> None:
        while (delay_s := node.pace.delay(self.clock())) > 0:
            if delay_s > LONGEST_WAIT_S:
                raise NodeLimits(f"{node.label} wants a pause of {delay_s:.0f} s", retry_after=delay_s)
            await self.sleep(delay_s)
        node.pace.take(self.clock(), requests)

    def _outcomes(self, node: Node, requests: Sequence[Request], first: int, received: Received) -> list[Outcome]:
        found = replies(node.label, received, first, len(requests), node.redactor)
        return [
            self._outcome(node, method, reply, received.status)
            for (method, _), reply in zip(requests, found, strict=True)
        ]

    def _outcome(self, node: Node, method: str, reply: Reply, status: int) -> Outcome:
        fault = fault_of(node.label, method, reply)
        if fault is None:
            return reply.result
        meant = self.dialect.error(self.chain, node.label, method, fault)
        if not isinstance(meant, RpcFault):
            raise meant
        if status >= SERVER_ERRORS and not _RAN.search(meant.text):
            raise NodeBusy(f"{node.label} answered HTTP {status}: {meant.text}")
        return meant

    def _meant(self, node: Node, requests: Sequence[Request], error: ChainError) -> ChainError:
        """Return what is wrong with all that was asked: what a single fault means by itself, or that it was too much at once."""
        if isinstance(error, Oversized):
            fault = RpcFault(str(error), code=0, text=RESPONSE_TOO_LARGE, data=None)
        elif isinstance(error, Refused):
            fault = error
        else:
            return error
        meant = self.dialect.error(self.chain, node.label, requests[0][0], fault)
        if isinstance(meant, NodeBusy):
            return meant
        if len(requests) > 1:
            return BatchRefused(str(error))
        return NodeWrong(str(error)) if isinstance(meant, RpcFault) else meant

    def _learn(self, node: Node, requests: int, error: ChainError) -> None:
        now = self.clock()
        if isinstance(error, NodeLimits):
            node.pace.refused(now, error.retry_after)
        elif isinstance(error, NodeBusy) and error.retry_after is not None:
            node.pace.hold(now, error.retry_after)
        if isinstance(error, TimedOut):
            node.pace.timed_out()
            node.gate.timed_out()
        unfinished = isinstance(error, TimedOut | BrokenOff) or type(error) is NodeWrong
        if unfinished and requests > 1 and not node.breaker.failures and not node.batch.known(requests):
            node.batch.refused(requests)

    def _went_well(self, node: Node, method: str, seconds: float) -> None:
        node.took(method, seconds)
        node.pace.went_well(self.clock())
        node.gate.went_well()

    def _tell(
        self, node: Node, requests: Sequence[Request], outcome: str, began: float, received: Received | None
    ) -> None:
        self.observer.exchanged(
            Exchange(
                node=node.label,
                method=requests[0][0],
                requests=len(requests),
                outcome=outcome,
                seconds=self.clock() - began,
                received=received.wire_bytes if received else 0,
            )
        )
