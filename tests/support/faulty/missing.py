"""Answers that are well-formed, successful, and lack logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from random import Random
from typing import Any

from tests.support.faulty.faults import LOGS, Behind, Fault
from tests.support.faulty.wire import Call, Exchange, Reply, height_of

Log = dict[str, Any]
Identity = tuple[str, int]
"""Hash of the block, and index of the log in it."""

Choice = Callable[[Random, Sequence[Log]], list[Log]]
"""Which of the logs of one block are left out; none where the choice cannot be made."""


def one(rng: Random, logs: Sequence[Log]) -> list[Log]:
    """Choose any one log."""
    return [rng.choice(logs)]


def several(rng: Random, logs: Sequence[Log]) -> list[Log]:
    """Choose at least two logs."""
    return rng.sample(logs, rng.randint(2, len(logs))) if len(logs) > 1 else []


def one_of_two_alike(rng: Random, logs: Sequence[Log]) -> list[Log]:
    """Choose one of two logs with the same topic and address, which a bloom filter cannot tell from none missing."""
    twins = [(a, b) for a, b in combinations(logs, 2) if _bloomed(a) == _bloomed(b)]
    return [rng.choice(rng.choice(twins))] if twins else []


CHOICES: Mapping[str, Choice] = {
    "one log missing": one,
    "several logs missing": several,
    "one of two alike missing": one_of_two_alike,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Omitting(Fault):
    """An answer that lacks logs of one of its blocks, once."""

    methods: frozenset[str] = LOGS
    choice: Choice

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result:
            return reply
        blocks = [list(logs) for _, logs in groupby(reply.result, key=lambda log: log["blockHash"])]
        omitted = self.choice(exchange.rng, exchange.rng.choice(blocks))
        return reply.saying([log for log in reply.result if log not in omitted]) if omitted else reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated(Fault):
    """An answer that ends some blocks early."""

    kind: str = "truncated range"
    methods: frozenset[str] = LOGS

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result:
            return reply
        kept = height_of(exchange.rng.choice(reply.result), "blockNumber")
        return reply.saying([log for log in reply.result if height_of(log, "blockNumber") < kept])


@dataclass(slots=True)
class Oblivion:
    """Logs that no answer ever holds again, whichever node gives it and however often it is asked.

    Which heights are touched, and how, follows from the seed alone.
    """

    seed: str
    share: float
    forgotten: dict[str, set[int]] = field(default_factory=dict)
    alike: set[Identity] = field(default_factory=set)

    def without(self, logs: Sequence[Log]) -> list[Log]:
        """Return what is left of an answer."""
        for digest, block in groupby(logs, key=lambda log: log["blockHash"]):
            if digest not in self.forgotten:
                self._decide(digest, list(block))
        return [log for log in logs if height_of(log, "logIndex") not in self.forgotten[log["blockHash"]]]

    def _decide(self, digest: str, logs: Sequence[Log]) -> None:
        rng = Random(f"{self.seed}/{logs[0]['blockNumber']}")
        touched = rng.random() < self.share
        choice = rng.choice(list(CHOICES.values()))
        omitted = (choice(rng, logs) or one(rng, logs)) if touched else []
        self.forgotten[digest] = {height_of(log, "logIndex") for log in omitted}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful(Fault):
    """A node that lacks the logs of an oblivion."""

    kind: str = "forgotten logs"
    methods: frozenset[str] = LOGS
    oblivion: Oblivion

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result:
            return reply
        kept = self.oblivion.without(reply.result)
        return reply if len(kept) == len(reply.result) else reply.saying(kept)


def omissions() -> list[Fault]:
    """Every fault that no other try mends, since nothing in the answer tells of it."""
    return [
        *(Omitting(kind=kind, choice=choice) for kind, choice in CHOICES.items()),
        Truncated(),
        Behind(kind="logs cut at a stale head", lag=4, silent=True, methods=LOGS),
    ]


def _bloomed(log: Log) -> tuple[int, str, str]:
    return height_of(log, "blockNumber"), log["address"], log["topics"][0] if log["topics"] else ""
