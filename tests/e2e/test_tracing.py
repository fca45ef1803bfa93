"""Traces reach a collector where the environment names one: requests, steps, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossmargin.demo.replay import ReplayNode
from tests.e2e.test_secrets import CANARY, with_canary
from tests.e2e.test_service import get, until
from tests.support.collector import Collector, collecting
from tests.support.recorded import Nodes, configure, recorded, service

TRACE, ASKER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROUTE = "/v1/accounts/{id}/health"


@pytest.fixture
def north(nodes: Nodes) -> ReplayNode:
    return nodes.start(recorded()[0])


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield found


def told(collector: Collector, name: str) -> list[dict[str, Any]]:
    return [
        {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}
        for span in collector.spans
        if span.name == name
    ]


def test_steps_and_requests_are_spans_under_the_trace_that_the_answer_names(
    north: ReplayNode, collector: Collector, tmp_path: Path
) -> None:
    configure(tmp_path, [north])

    with service(tmp_path, "run") as (url, _):
        until(lambda: get(url + "/readyz").status == 200)
        asked = get(url + "/v1/accounts/stretched/health", headers={"traceparent": f"00-{TRACE}-{ASKER}-01"})
        alone = get(url + "/v1/accounts/nobody/health")

    requests = {span.trace_id.hex(): span for span in collector.spans if span.name == f"GET {ROUTE}"}
    assert asked.headers["X-Trace-Id"] == TRACE
    assert requests[TRACE].parent_span_id.hex() == ASKER
    assert requests[alone.headers["X-Trace-Id"]].parent_span_id == b""
    assert {(each["http.response.status_code"], each["http.route"]) for each in told(collector, f"GET {ROUTE}")} == {
        (200, ROUTE),
        (404, ROUTE),
    }
    steps = told(collector, "index")
    assert sum(each["crossmargin.records"] for each in steps) > 0
    assert {each["crossmargin.chain"] for each in steps} == {"eip155:31337"}
    assert told(collector, "book") != []
    assert "crossmargin" in collector.services
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in collector.spans)


def test_a_span_of_a_failure_has_no_secret(north: ReplayNode, collector: Collector, tmp_path: Path) -> None:
    configure(tmp_path, [north], lambda text: with_canary(north, text))

    with service(tmp_path, "run") as (url, _):
        until(lambda: any("crossmargin.retry_in" in each for each in told(collector, "index")))
        get(f"{url}/v1/accounts/{CANARY}/health")
        get(f"{url}/{CANARY}")

    assert len(collector.spans) > 2
    assert not any(CANARY.encode() in body for body in collector.bodies)


def test_a_collector_that_is_gone_keeps_nobody_waiting(
    north: ReplayNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(tmp_path, [north])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:9/{CANARY}")

    with service(tmp_path, "run") as (url, _):
        until(lambda: get(url + "/readyz").status == 200)
        assert get(url + "/v1/accounts/stretched/health").status == 200

    log = (tmp_path / "service.log").read_text()
    assert "tracing_failed" in log
    assert CANARY not in log
