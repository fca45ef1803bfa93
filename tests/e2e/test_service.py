"""The service over recorded chains: HTTP, the command beside it, and what happens when a node goes away."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aggregator.margin.status import Status
from crossmargin.service_file import path_of
from tests.e2e.conftest import Indexed
from tests.support.recorded import Nodes, configure, crossmargin, owner_of, recorded, service

ROUTES = (
    "/v1/accounts",
    "/v1/accounts/stretched",
    "/v1/accounts/stretched/health",
    "/v1/accounts/stretched/positions",
    "/v1/prices",
    "/v1/status",
    "/v1/snapshots",
    "/healthz",
    "/readyz",
    "/metrics",
)


@pytest.fixture(scope="module")
def served(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """`crossmargin serve` over a store of its own: its address and its folder."""
    folder = tmp_path_factory.mktemp("served") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with service(folder, "serve") as (url, _):
        yield url, folder


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_with_safe_headers(served: tuple[str, Path], route: str) -> None:
    answer = get(served[0] + route)

    assert answer.status == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == ("private, no-cache" if route.startswith("/v1") else "no-store")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Trace-Id"])
    assert answer.headers["Server"] == "crossmargin"


@pytest.mark.parametrize(
    "route, command",
    [
        ("/v1/accounts/stretched/health", "health stretched"),
        ("/v1/accounts/stretched/health?at=@1736900000", "health stretched --at @1736900000"),
        ("/v1/accounts/hedged/positions", "positions hedged"),
        ("/v1/accounts/hedged", "account show hedged"),
        ("/v1/accounts", "account list"),
        ("/v1/prices", "prices"),
    ],
)
def test_http_and_the_command_answer_the_same_bytes(
    served: tuple[str, Path], indexed: Indexed, route: str, command: str
) -> None:
    """The command asks the service where one runs, and opens the store itself where none does."""
    url, folder = served

    asked = crossmargin(folder, *command.split(), "--json")
    alone = crossmargin(indexed.folder, *command.split(), "--json")

    assert get(url + route).body == asked.stdout == alone.stdout


def test_refusals_are_the_same_beside_a_service_and_alone(served: tuple[str, Path], indexed: Indexed) -> None:
    for command in ("health nobody", "health stretched --at 150", "sql SELEC", "inputs x"):
        asked = crossmargin(served[1], *command.split(), "--json")
        alone = crossmargin(indexed.folder, *command.split(), "--json")

        assert (asked.returncode, asked.stderr) == (alone.returncode, alone.stderr)
        assert asked.returncode == 2


def test_inputs_are_served_as_the_bytes_that_their_digest_is_of(served: tuple[str, Path]) -> None:
    url, folder = served
    digest = json.loads(get(url + "/v1/accounts/hedged/health").body)["input_digest"]

    body = get(f"{url}/v1/inputs/{digest}").body

    assert digest == f"sha256:{hashlib.sha256(body.encode()).hexdigest()}"
    assert crossmargin(folder, "inputs", digest).stdout == body + "\n"


@pytest.mark.parametrize(
    "route, status, code",
    [
        ("/v1/accounts/nobody/health", 404, "not-found"),
        ("/v1/accounts/0x12/health", 400, "usage"),
        ("/v1/accounts/stretched/health?at=150", 400, "usage"),
        ("/v1/accounts/stretched/health?when=150", 400, "usage"),
        ("/v1/accounts/stretched/health?at=@1&at=@2", 400, "usage"),
        ("/v1/inputs/sha256:00", 404, "not-found"),
        ("/v1/nothing", 404, "not-found"),
        (f"/v1/accounts/eip155:31337:0x{'00' * 19}01/health?at=200", 409, "not-stored"),
        ("/v1/accounts/stretched/health?at=2099-01-01T00:00:00Z", 409, "not-stored"),
        ("/v1/liquidation-ladder?identity=eth", 404, "not-found"),
        ("/v1/coverage?chain=eip155:99999", 404, "not-found"),
    ],
)
def test_errors_are_problem_documents(served: tuple[str, Path], route: str, status: int, code: str) -> None:
    answer = get(served[0] + route)
    problem = json.loads(answer.body)

    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert problem.keys() == {"type", "title", "status", "detail", "code", "exit_code", "trace_id"}
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:crossmargin:problem:{code}")
    assert problem["trace_id"] == answer.headers["X-Trace-Id"]


def test_another_method_is_refused_with_those_that_are_allowed(served: tuple[str, Path]) -> None:
    answer = get(served[0] + "/v1/prices", method="DELETE")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"


def test_sql_is_for_who_can_read_the_services_own_file(served: tuple[str, Path]) -> None:
    url, folder = served
    body = b'{"query": "SELECT 1 AS one"}'
    token = json.loads(path_of(folder / "crossmargin.duckdb").read_text())["token"]

    without = get(url + "/v1/sql", body=body)
    wrong = get(url + "/v1/sql", body=body, headers={"Authorization": "Bearer x"})
    right = get(url + "/v1/sql", body=body, headers={"Authorization": f"Bearer {token}"})
    malformed = get(url + "/v1/sql", body=b"{}", headers={"Authorization": f"Bearer {token}"})

    assert (without.status, wrong.status, right.status, malformed.status) == (401, 401, 200, 400)
    assert json.loads(right.body)["rows"] == [[1]]
    assert crossmargin(folder, "sql", "SELECT 1 AS one", "--format", "csv").stdout == "one\n1\n"


def test_a_body_that_is_too_large_is_refused(served: tuple[str, Path]) -> None:
    url, folder = served
    token = json.loads(path_of(folder / "crossmargin.duckdb").read_text())["token"]

    answer = get(url + "/v1/sql", body=b"x" * 100_000, headers={"Authorization": f"Bearer {token}"})

    assert answer.status == 413


def test_a_page_from_elsewhere_is_not_answered(served: tuple[str, Path]) -> None:
    """A name that was made to lead to loopback is not a loopback name."""
    strange = get(served[0] + "/v1/prices", headers={"Host": "evil.example:80"})

    assert strange.status == 421
    assert get(served[0] + "/v1/prices", headers={"Host": "localhost:1"}).status == 200


def test_metrics_name_chains_and_feeds_and_no_account(served: tuple[str, Path]) -> None:
    url, _ = served
    get(f"{url}/v1/accounts/{owner_of('stretched')}/health")

    until(lambda: "crossmargin_accounts{" in get(url + "/metrics").body)
    text = get(url + "/metrics").body

    accounts = re.findall(r'crossmargin_accounts\{status="(\w+)"\} (\d+)', text)
    assert {status for status, _ in accounts} == set(Status)
    assert sum(int(count) for _, count in accounts) > 10
    assert 'crossmargin_book_block{chain="eip155:31337"} 199.0' in text
    assert 'crossmargin_indexed_block{chain="eip155:31337"} 199.0' in text
    assert 'crossmargin_finalized_block{chain="eip155:31338"} 138.0' in text
    assert re.search(r'crossmargin_lag_seconds\{chain="eip155:31337"\} \d', text)
    assert text.count("crossmargin_feed_age_seconds{") == 8
    assert 'route="/v1/accounts/{id}/health"' in text
    assert owner_of("stretched") not in text.lower()
    assert "crossmargin_snapshot_last_success_timestamp_seconds" not in text


def test_the_file_beside_the_store_is_the_owners_and_goes_with_the_service(indexed: Indexed) -> None:
    store = indexed.folder / "crossmargin.duckdb"
    with service(indexed.folder, "serve") as (url, process):
        said = json.loads(path_of(store).read_text())
        assert (said["url"], said["pid"]) == (url, process.pid)
        assert stat.S_IMODE(path_of(store).stat().st_mode) == 0o600

    assert not path_of(store).exists()


def test_a_killed_service_is_not_asked_any_more(indexed: Indexed) -> None:
    with service(indexed.folder, "serve", ends_with=-signal.SIGKILL) as (_, process):
        process.kill()
        process.wait()

    assert path_of(indexed.folder / "crossmargin.duckdb").exists()
    assert crossmargin(indexed.folder, "health", "stretched").returncode == 0


def test_a_port_that_is_taken_is_one_clear_failure(indexed: Indexed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        port = taken.getsockname()[1]
        done = crossmargin(indexed.folder, "serve", "--port", str(port))

    assert done.returncode == 1
    assert f"error: 127.0.0.1, port {port}, cannot be served on: it is taken by another process" in done.stderr
    assert "name another port with --port" in done.stderr
    assert not any(word in done.stderr for word in ("Errno", "Traceback"))


@pytest.mark.parametrize(
    "host, why",
    [("192.0.2.1", "it is no address of this machine"), ("nowhere.invalid", "no address of that name is known")],
)
def test_a_host_that_cannot_be_served_on_is_named_with_why(host: str, why: str, indexed: Indexed) -> None:
    done = crossmargin(indexed.folder, "serve", "--public", "--anonymous", "--port", "0", "--host", host)

    assert done.returncode == 1
    assert f"error: {host}, port 0, cannot be served on: {why}" in done.stderr
    assert "Errno" not in done.stderr


def test_run_follows_serves_and_ends_cleanly(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0], head=150)
    configure(tmp_path, [north])
    with service(tmp_path, "run") as (url, _):
        until(lambda: get(url + "/readyz").status == 200)
        assert block(url) == 150

        north.set_head(199)

        until(lambda: block(url) == 199)
        status = crossmargin(tmp_path, "status", "--json")
        until(lambda: 'crossmargin_book_block{chain="eip155:31337"} 199.0' in get(url + "/metrics").body)
        metrics = get(url + "/metrics").body
    assert json.loads(status.stdout)["chains"][0]["state"] == "following"
    assert 'crossmargin_head_block{chain="eip155:31337"} 199.0' in metrics
    assert 'crossmargin_reorgs_total{chain="eip155:31337"} 0.0' in metrics


def test_a_chain_goes_on_when_the_process_that_reads_it_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0], head=150)
    configure(tmp_path, [north])
    with service(tmp_path, "run") as (url, process):
        until(lambda: block(url) == 150)
        (reading,) = children(process.pid)

        os.kill(reading, signal.SIGKILL)
        north.set_head(199)

        until(lambda: block(url) == 199)
        assert children(process.pid) not in ([], [reading])
        metrics = get(url + "/metrics").body
    assert 'crossmargin_node_errors_total{chain="eip155:31337",kind="ChildLost"} 1.0' in metrics


def test_chains_are_read_in_the_serving_process_where_that_is_asked_for(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0])
    configure(tmp_path, [north])
    with service(tmp_path, "run", "--one-process") as (url, process):
        until(lambda: block(url) == 199)

        assert children(process.pid) == []


def test_a_chain_whose_node_is_silent_makes_its_accounts_unknown(nodes: Nodes, tmp_path: Path) -> None:
    """Over HTTP and by the command alike, and ready no more, until a node answers."""
    north = nodes.start(recorded()[0])
    configure(tmp_path, [north], lambda text: text.replace("poll = ", 'stale_after = "1s"\npoll = '))
    account = f"eip155:31337:{owner_of('hedged')}"
    with service(tmp_path, "run") as (url, _):
        until(lambda: get(url + "/readyz").status == 200)
        before = json.loads(get(f"{url}/v1/accounts/{account}/health").body)

        nodes.stop(north)
        until(lambda: get(url + "/readyz").status == 503)
        after = json.loads(get(f"{url}/v1/accounts/{account}/health").body)
        command = crossmargin(tmp_path, "health", account, "--json")
        status = crossmargin(tmp_path, "status")
        metrics = get(url + "/metrics").body

    assert before["status"] == "healthy"
    assert after["status"] == "unknown"
    assert after["completeness"]["chains"]["eip155:31337"]["stale"] is True
    assert "chain_stale" in {reason["code"] for reason in after["reasons"]}
    assert (command.returncode, json.loads(command.stdout)["status"]) == (3, "unknown")
    assert status.returncode == 3
    assert 'crossmargin_node_errors_total{chain="eip155:31337",kind="NodeBusy"}' in metrics


def test_run_over_a_node_of_another_chain_ends_with_2(nodes: Nodes, tmp_path: Path) -> None:
    north = nodes.start(recorded()[0])
    configure(tmp_path, [north], lambda text: text.replace("eip155:31337", "eip155:1"))

    done = crossmargin(tmp_path, "run")

    assert done.returncode == 2
    assert "serves chain id 31337, the configuration says 1" in done.stderr
    assert not path_of(tmp_path / "crossmargin.duckdb").exists()


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status: int, headers: Any, body: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def get(
    url: str, *, method: str | None = None, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return Answer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


def block(url: str) -> int | None:
    indexed = json.loads(get(url + "/v1/status").body)["chains"][0]["indexed"]
    return indexed["block"] if indexed else None


def children(process: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return sorted(int(child) for path in lists for child in path.read_text().split())


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_end_again_and_again_ends_once(
    nodes: Nodes, tmp_path: Path, which: signal.Signals
) -> None:
    north = nodes.start(recorded()[0], head=150)
    configure(tmp_path, [north])
    with service(tmp_path, "run") as (url, process):
        until(lambda: get(url + "/readyz").status == 200)
        while process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, which)
            time.sleep(0.002)

    assert "Traceback" not in (tmp_path / "service.log").read_text()
    assert not (tmp_path / "crossmargin.duckdb.wal").exists()
