"""Traces of requests and of indexing, for whoever collects them by OpenTelemetry; without that nothing is made and nothing imported.

They are on where the environment names a collector, by OpenTelemetry's own variables, and the extra is installed
(`pip install crossmargin[otel]`). Spans hold routes, chains and counts: no address, no account, nothing that was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import uuid4

from crossmargin.logs import Logger
from indexer.loop import Listener

T = TypeVar("T")

COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
OFF = "OTEL_SDK_DISABLED"
PARENT_HEADER = "traceparent"
PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""W3C Trace Context, level 1: the trace, the span that asks, and flags."""

SAMPLED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The trace that a request belongs to: `trace_id`, 32 hexadecimal digits; `parent`: the span of the asker; whether that is kept."""

    trace_id: str
    parent: int | None = None
    sampled: bool = False


class Tracing(Protocol):
    """What is told of work that is done; none of it raises."""

    @property
    def on(self) -> bool:
        """Whether anybody collects."""
        ...

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What wants to be told of indexing."""
        ...

    def begin(self, headers: Mapping[str, str]) -> Trace:
        """Return the trace of a request: a new one, or the asker's."""
        ...

    def answered(self, trace: Trace, method: str, route: str, status: int, seconds: float) -> None:
        """Note that a request was answered just now."""
        ...

    def noted(self, name: str, work: Callable[[], T]) -> Callable[[], T]:
        """Return the same work, whose every run is noted."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class Untraced:
    """Nobody collects."""

    on = False
    listeners: tuple[Listener, ...] = ()

    def begin(self, headers: Mapping[str, str]) -> Trace:
        del headers
        return Trace(trace_id=uuid4().hex)

    def answered(self, trace: Trace, method: str, route: str, status: int, seconds: float) -> None:
        """Nothing is noted."""

    def noted(self, name: str, work: Callable[[], T]) -> Callable[[], T]:
        del name
        return work

    def close(self) -> None:
        """There is nothing to send."""


def begun(headers: Mapping[str, str]) -> Trace:
    """Return the trace that a request names, and a new one where it names none or what is none."""
    found = PARENT.fullmatch(headers.get(PARENT_HEADER, ""))
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return Trace(trace_id=uuid4().hex)
    return Trace(trace_id=found[1], parent=int(found[2], 16), sampled=bool(int(found[3], 16) & SAMPLED))


def tracing_of(environ: Mapping[str, str], log: Logger) -> Tracing:
    """Trace where the environment wants it; where that cannot be, say so and do without."""
    if not any(environ.get(name) for name in COLLECTORS) or environ.get(OFF, "").lower() == "true":
        return Untraced()
    try:
        from crossmargin.telemetry import Traced  # noqa: PLC0415 - an extra, and costs a third of a second
    except ImportError:
        log.warning(
            "tracing_not_installed",
            detail="a collector is named, and OpenTelemetry is not installed: pip install crossmargin[otel]",
        )
        return Untraced()
    return Traced(log)
