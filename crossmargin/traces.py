"""Traces of what was asked over HTTP and of the steps of chains, for whoever takes them (`crossmargin.otel`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from chains.errors import ChainError
from chains.ports import Head
from indexer.loop import Progress

Fact = str | bool | int | float

STORED = ("store", "attest")
"""The stages of a batch that follow each other right before it is told; nodes are read beside them."""


class Traces(Protocol):
    """Told of what is over. Nothing from which an account, a query or a node's address could be read is told."""

    def request(self, *, route: str, method: str, status: int, seconds: float, trace_id: str) -> None:
        """Tell of an answered request: the template of its route, how long it took, and the id that its answer names."""

    def step(
        self, name: str, chain_id: str, seconds: float, facts: Mapping[str, Fact], *, failed: bool = False
    ) -> None:
        """Tell of a step of a chain that took so long."""

    def close(self) -> None:
        """Send what is not sent yet; may take seconds where nobody takes it."""


class TraceListener:
    """Tells traces of every committed step of a chain, and of every failure."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def appended(self, progress: Progress) -> None:
        facts: dict[str, Fact] = {
            "first": progress.first,
            "last": progress.indexed,
            "target": progress.target,
            "records": progress.records,
            "rows": progress.rows,
        }
        facts |= {f"{stage}_seconds": seconds for stage, seconds in progress.seconds.items()}
        took = sum(progress.seconds.get(stage, 0.0) for stage in STORED)
        self._traces.step("append", progress.chain_id, took, facts)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self._traces.step("rewind", chain_id, 0.0, {"depth": depth, "to": to})

    def polled(self, chain_id: str, head: Head) -> None:
        """Too often to tell."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        facts: dict[str, Fact] = {"kind": type(error).__name__, "error": str(error), "retry_in_seconds": retry_in}
        self._traces.step("failure", chain_id, 0.0, facts, failed=True)
