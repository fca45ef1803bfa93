"""Traces as a collector gets them: a real OTLP receiver, and what is never in them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.test_secrets import CANARY, with_canary
from tests.e2e.test_service import get, until
from tests.support.recorded import Nodes, configure, owner_of, recorded, service

KEY = "s3cr3tcollector0123456789"


class Collector:
    """What arrived at a receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: set[str | None] = set()
        self.url = ""

    def spans(self) -> list[Span]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    collector = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.bodies.append(body)
                collector.keys.add(self.headers["api-key"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def traced(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={KEY}")


def facts(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}


def test_requests_and_steps_are_told(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = owner_of("stretched")
    with collecting() as collector:
        traced(monkeypatch, collector)
        configure(tmp_path, [nodes.start(recorded()[0], head=150)])
        with service(tmp_path, "run") as (url, _):
            until(lambda: get(url + "/readyz").status == 200)
            answers = [get(f"{url}/v1/accounts/{owner}/health") for _ in range(3)]
            missing = get(f"{url}/v1/accounts/nobody-here/health")
        spans = collector.spans()

    by_trace = {span.trace_id.hex(): span for span in spans}
    told = [by_trace[answer.headers["X-Trace-Id"]] for answer in (*answers, missing)]
    assert [facts(span) for span in told] == [
        {"http.request.method": "GET", "http.route": "/v1/accounts/{id}/health", "http.response.status_code": status}
        for status in (200, 200, 200, 404)
    ]
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in told)
    appended = [facts(span) for span in spans if span.name == "index append"]
    assert appended[-1]["crossmargin.last"] == 150
    assert {each["crossmargin.chain"] for each in appended} == {recorded()[0].chain_id}
    assert not any(owner[2:].lower().encode() in body.lower() for body in collector.bodies)
    assert collector.keys == {KEY}


def test_no_secret_is_in_what_is_sent_or_said(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node refuses, so that errors with its address are told; the collector refuses, so that the library complains."""
    node = nodes.start(recorded()[0])
    with collecting(status=401) as collector:
        traced(monkeypatch, collector)
        configure(tmp_path, [node], lambda text: with_canary(node, text))
        with service(tmp_path, "run", "-vv") as (url, _):
            until(lambda: "NodeWrong" in get(url + "/metrics").body)
        sent = b"".join(collector.bodies)
        failures = [facts(span) for span in collector.spans() if span.name == "index failure"]

    assert failures
    assert "127.0.0.1" in str(failures[0]["crossmargin.error"])
    assert CANARY.encode() not in sent
    log = (tmp_path / "service.log").read_text()
    assert "traces_troubled" in log
    assert CANARY not in log
    assert KEY not in log


def test_nothing_of_it_is_imported_where_nobody_takes_traces() -> None:
    loaded = (
        "import crossmargin.service, crossmargin.cli.serving, sys; "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
