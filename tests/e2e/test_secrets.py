"""A canary in a node's address: whatever is printed, logged, served or kept, it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmargin.demo.replay import ReplayNode
from tests.e2e.test_service import get, until
from tests.support.recorded import Nodes, configure, crossmargin, recorded, service

CANARY = "s3cr3tcanary0123456789"
ROUTES = ("/v1/status", "/v1/prices", "/v1/accounts", "/metrics", "/readyz", "/v1/accounts/x/health")


@pytest.fixture
def north(nodes: Nodes) -> ReplayNode:
    return nodes.start(recorded()[0])


def with_canary(node: ReplayNode, text: str) -> str:
    """The node answers at its root alone: the path is refused with 404, after which the canary is in many hands."""
    secret = node.url.replace("http://", f"http://user:{CANARY}@") + f"v3/{CANARY}?apikey={CANARY}"
    return text.replace(node.url, secret)


def test_a_failing_node_is_named_without_its_secret(north: ReplayNode, tmp_path: Path) -> None:
    configure(tmp_path, [north], lambda text: with_canary(north, text))

    outputs = [
        crossmargin(tmp_path, *arguments)
        for arguments in (
            ("index", "--json", "-vv"),
            ("check",),
            ("check", "--json"),
            ("status", "-vv"),
            ("health", "stretched", "--json"),
        )
    ]

    for done in outputs:
        assert CANARY not in done.stdout + done.stderr
    assert outputs[0].returncode == 1
    assert "127.0.0.1" in outputs[0].stderr


def test_a_service_tells_nobody(north: ReplayNode, tmp_path: Path) -> None:
    """With `-vv`, so that all that can be logged is."""
    configure(tmp_path, [north], lambda text: with_canary(north, text))

    with service(tmp_path, "run", "-vv") as (url, _):
        until(lambda: "NodeWrong" in get(url + "/metrics").body)
        answers = [get(url + route) for route in ROUTES]

    assert [answer.status for answer in answers] == [200, 200, 200, 200, 503, 404]
    assert not any(CANARY in answer.body for answer in answers)
    log = (tmp_path / "service.log").read_text()
    assert "node_failed" in log
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "crossmargin.toml":
            assert CANARY.encode() not in path.read_bytes(), path


def test_logs_off_a_terminal_are_json_events(north: ReplayNode, tmp_path: Path) -> None:
    configure(tmp_path, [north])

    with service(tmp_path, "run", "-v") as (url, _):
        until(lambda: get(url + "/readyz").status == 200)

    events = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines()]
    assert {"serving", "appended", "polled", "stopping"} <= {event["event"] for event in events}
    assert all({"event", "level", "timestamp"} <= event.keys() for event in events)
