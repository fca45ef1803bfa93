"""Traces sent by OpenTelemetry (OTLP over HTTP), as the `OTEL_…` variables say; needs the extra `otel`.

A span is made when what it tells of is over, so that nothing of it lies in the way before; every text goes through the redactor.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from time import time_ns

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, StatusCode

from crossmargin.logs import Logger
from crossmargin.packaged import program_version
from crossmargin.redaction import Redactor
from crossmargin.traces import Fact

LIBRARY = "opentelemetry"
SERVER_FAULTS = 500
_answered: ContextVar[int | None] = ContextVar("answered", default=None)


class OpenTelemetry:
    """See `crossmargin.traces.Traces`."""

    def __init__(self, redactor: Redactor, log: Logger) -> None:
        library = logging.getLogger(LIBRARY)
        library.propagate = False
        library.handlers = [_Troubles(log)]
        named = Resource({SERVICE_NAME: "crossmargin", SERVICE_VERSION: program_version()})
        self._redactor = redactor
        self._provider = TracerProvider(
            resource=named.merge(Resource.create()), id_generator=_Ids(), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("crossmargin", program_version())

    def request(self, *, route: str, method: str, status: int, seconds: float, trace_id: str) -> None:
        facts: dict[str, Fact] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        token = _answered.set(int(trace_id, 16))
        try:
            self._span(f"{method} {route}", SpanKind.SERVER, seconds, facts, failed=status >= SERVER_FAULTS)
        finally:
            _answered.reset(token)

    def step(
        self, name: str, chain_id: str, seconds: float, facts: Mapping[str, Fact], *, failed: bool = False
    ) -> None:
        named = {f"crossmargin.{key}": value for key, value in {"chain": chain_id, **facts}.items()}
        self._span(f"index {name}", SpanKind.INTERNAL, seconds, named, failed=failed)

    def close(self) -> None:
        self._provider.shutdown()

    def _span(self, name: str, kind: SpanKind, seconds: float, facts: Mapping[str, Fact], *, failed: bool) -> None:
        end, scrub = time_ns(), self._redactor.scrub
        span = self._tracer.start_span(
            name,
            context=Context(),
            kind=kind,
            attributes={key: scrub(value) if isinstance(value, str) else value for key, value in facts.items()},
            start_time=end - int(seconds * 1e9),
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(end)


class _Ids(RandomIdGenerator):
    """A request's trace has the id that its answer and the log name."""

    def generate_trace_id(self) -> int:
        return _answered.get() or super().generate_trace_id()


class _Troubles(logging.Handler):
    """Logs that the library complains, and not in its own words: they may name the endpoint and its keys."""

    def __init__(self, log: Logger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning("traces_troubled", source=record.name, severity=record.levelname.lower())
