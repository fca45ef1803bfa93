"""A node that leaves out certain logs, whoever asks and however often, and counts what it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.faulty.faults import LOGS, Fault
from tests.support.faulty.node import FaultyNode
from tests.support.faulty.wire import Call, Exchange, Reply, height_of


class Place(NamedTuple):
    """Where a log stands."""

    block: int
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingOut(Fault):
    """Every answer lacks the logs at some places."""

    kind: str = "left out"
    methods: frozenset[str] = LOGS
    places: frozenset[Place]

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result:
            return reply
        kept = [
            log
            for log in reply.result
            if Place(height_of(log, "blockNumber"), height_of(log, "logIndex")) not in self.places
        ]
        return reply.saying(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing(Fault):
    """A node that does not serve some methods."""

    kind: str = "refused"

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        if not self.concerns(call):
            return None
        return Reply(call.id, error={"code": -32601, "message": f"the method {call.method} does not exist"})


@dataclass(slots=True)
class Omitting:
    """Such a node: its address, and how often each method was asked."""

    url: str
    asked: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def omitting(
    url: str, places: Collection[Place] = (), *, without: Collection[str] = ()
) -> AsyncIterator[Omitting]:
    """Serve what the node at `url` says but for the logs at some places and the methods that are left out."""
    heard = Omitting("")

    async def count(exchange: Exchange) -> None:
        heard.asked.update(call.method for call in exchange.calls)

    habits: list[Fault] = [LeavingOut(places=frozenset(places))]
    if without:
        habits.append(Refusing(methods=frozenset(without)))
    async with FaultyNode(url, seed="omitting", habits=habits, heard=count) as node:
        heard.url = node.url
        yield heard
