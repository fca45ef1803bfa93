"""One node of a chain: its address, and what was learnt of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from chains.redaction import Redactor
from chains.rpc.breaker import Breaker
from chains.rpc.heights import Heights
from chains.rpc.limit import Limit
from chains.rpc.pace import Gate, Pace

AT_ONCE = 16
"""Requests, or batches, under way at one node."""

SMOOTH = 0.2
USUAL_S = 0.1
"""What a node is thought to take that was never asked."""


@dataclass(slots=True, eq=False)
class Node:
    """One address of a chain; `label` is what messages and metrics may show of it, and `redactor` hides it in what the node says.

    `verified`: it serves the right chain, asked since its last fault; `trusted`: it once did. `kept`: method → the highest block whose
    state it said not to have any more.
    """

    url: str = field(repr=False)
    label: str
    batch: Limit
    redactor: Redactor = field(init=False, repr=False)
    breaker: Breaker = field(default_factory=Breaker)
    pace: Pace = field(default_factory=Pace)
    gate: Gate = field(default_factory=lambda: Gate(AT_ONCE))
    heights: Heights = field(default_factory=Heights)
    verifying: asyncio.Task[None] | None = None
    verified: bool = False
    trusted: bool = False
    _gone: dict[str, int] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.redactor = Redactor((self.url,))

    def took(self, method: str, seconds: float) -> None:
        """Note how long an answer took."""
        before = self._seconds.get(method, seconds)
        self._seconds[method] = before + SMOOTH * (seconds - before)

    def latency_s(self, method: str) -> float | None:
        """Return how long answers to a method take lately; `None` before the first."""
        return self._seconds.get(method)

    def expected_s(self, method: str) -> float:
        """Return how long an answer will take, as far as can be told."""
        known = self._seconds.get(method)
        if known is not None:
            return known
        return sum(self._seconds.values()) / len(self._seconds) if self._seconds else USUAL_S

    def forgot(self, method: str, block: int | None) -> None:
        """Note that it has no state of a block, nor then of those before."""
        if block is not None:
            self._gone[method] = max(block, self._gone.get(method, block))

    def keeps(self, method: str, block: int | None) -> bool:
        """Tell whether it may have the state of a block."""
        return block is None or block > self._gone.get(method, -1)

    def free(self, now: float) -> bool:
        """Tell whether it can be asked at once."""
        return self.gate.free and self.pace.delay(now) <= 0

    def most_together(self) -> int:
        """Return how many requests it takes in one batch: no more than it bears in a second."""
        return max(1, int(min(self.batch.value, self.pace.per_s)))


def host_of(url: str) -> str:
    """Return what of an address may be shown, which holds no key."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "no host", parts.port
    except ValueError:
        return "no host"
    return f"{host}:{port}" if port else host
