"""Spans by OpenTelemetry's own library; importing it raises `ImportError` without the extra `otel`.

Where they go, how many are kept and under which name is said by OpenTelemetry's variables (`OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER`,
`OTEL_SERVICE_NAME`). A collector that does not answer loses spans, and nothing else waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from importlib.metadata import version
from time import time_ns
from typing import TypeVar

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from chains.errors import ChainError
from chains.ports import Head
from crossmargin.logs import Logger
from crossmargin.tracing import SAMPLED, Trace, begun
from indexer.loop import Listener, Progress

T = TypeVar("T")

NAME = "crossmargin"
NS = 1_000_000_000
SERVER_FAULTS = 500

_given: ContextVar[int] = ContextVar("given")


class _Ids(RandomIdGenerator):
    """Takes the trace that a request was answered under, so that its log lines and its answer name the same one."""

    def generate_trace_id(self) -> int:
        return _given.get(0) or super().generate_trace_id()


class _Told(logging.Handler):
    """Says that something is wrong with what is sent, and not in the library's words: they quote the collector's address."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning(
            "tracing_failed", at=record.name, detail="spans were not taken by the collector that is named"
        )


class Traced:
    """See `crossmargin.tracing.Tracing`. Spans are made when their work is done."""

    on = True

    def __init__(self, log: Logger) -> None:
        said = logging.getLogger("opentelemetry")
        said.addHandler(_Told(log))
        said.propagate = False
        resource = Resource.create({"service.name": NAME, "service.version": version("crossmargin")})
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)
        self.listeners: tuple[Listener, ...] = (Steps(self._tracer),)

    def begin(self, headers: Mapping[str, str]) -> Trace:
        return begun(headers)

    def answered(self, trace: Trace, method: str, route: str, status: int, seconds: float) -> None:
        token = _given.set(int(trace.trace_id, 16))
        try:
            end = time_ns()
            span = self._tracer.start_span(
                f"{method} {route}",
                context=_asker(trace),
                kind=SpanKind.SERVER,
                attributes={"http.request.method": method, "http.route": route, "http.response.status_code": status},
                start_time=end - int(seconds * NS),
            )
            if status >= SERVER_FAULTS:
                span.set_status(StatusCode.ERROR)
            span.end(end)
        finally:
            _given.reset(token)

    def noted(self, name: str, work: Callable[[], T]) -> Callable[[], T]:
        def run() -> T:
            with self._tracer.start_as_current_span(
                name, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    return work()
                except BaseException as error:
                    span.set_status(StatusCode.ERROR, type(error).__name__)
                    raise

        return run

    def close(self) -> None:
        self._provider.shutdown()


def _asker(trace: Trace) -> Context:
    if trace.parent is None:
        return Context()
    asker = SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=trace.parent,
        is_remote=True,
        trace_flags=TraceFlags(SAMPLED if trace.sampled else 0),
    )
    return set_span_in_context(NonRecordingSpan(asker), Context())


class Steps:
    """A listener that makes a span of each committed batch, of each way back, and of each failure."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def appended(self, progress: Progress) -> None:
        end = time_ns()
        span = self._tracer.start_span(
            "index",
            context=Context(),
            attributes={
                "crossmargin.chain": progress.chain_id,
                "crossmargin.block.first": progress.first,
                "crossmargin.block.last": progress.indexed,
                "crossmargin.records": progress.records,
                "crossmargin.rows": progress.rows,
                **{f"crossmargin.seconds.{stage}": seconds for stage, seconds in progress.seconds.items()},
            },
            start_time=end - int(sum(progress.seconds.values()) * NS),
        )
        span.end(end)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        told: dict[str, AttributeValue] = {
            "crossmargin.chain": chain_id,
            "crossmargin.depth": depth,
            "crossmargin.block.last": to,
        }
        self._tracer.start_span("rewind", context=Context(), attributes=told).end()

    def polled(self, chain_id: str, head: Head) -> None:
        """A question for the head is no work."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        told: dict[str, AttributeValue] = {"crossmargin.chain": chain_id, "crossmargin.retry_in": retry_in}
        span = self._tracer.start_span("index", context=Context(), attributes=told)
        span.set_status(StatusCode.ERROR, type(error).__name__)
        span.end()
