"""The frame of the HTTP API over one served store: pages of lists, repeated questions, other origins, answers in memory, and nonsense."""

from __future__ import annotations

import json
import random
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import pytest

from crossmargin.service_file import read
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.support.recorded import CONFIGURATION, crossmargin, service

DESK = "https://desk.example"
STORE = "crossmargin.duckdb"
HEALTH = "/v1/accounts/hedged/health"
ATTEMPTS = 10_000
EACH_CONNECTION = 20


@pytest.fixture(scope="module")
def served(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("http") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    path = folder / CONFIGURATION
    path.write_text(path.read_text().replace("[server]\n", f'[server]\norigins = ["{DESK}"]\n', 1))
    with service(folder, "serve") as (url, _):
        yield url, folder


def owner(folder: Path) -> dict[str, str]:
    said = read(folder / f"{STORE}.service.json")
    assert said is not None
    return {"Authorization": f"Bearer {said.token}"}


def body(url: str, **more: Any) -> Any:
    answer = get(url, **more)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_pages_of_a_list_are_the_list(served: tuple[str, Path]) -> None:
    url, _ = served
    whole = body(url + "/v1/accounts")["accounts"]
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = body(f"{url}/v1/accounts?limit=1" + (f"&cursor={cursor}" if cursor else ""))
        found += page["accounts"]
        cursor = page["next"]

    assert len(whole) == 3
    assert found == whole


def test_history_goes_on_where_it_stopped(served: tuple[str, Path]) -> None:
    url, _ = served
    whole = body(f"{url}/v1/accounts/stretched/history")
    (name,) = (key for key, value in whole.items() if isinstance(value, list) and key != "members")
    first = body(f"{url}/v1/accounts/stretched/history?limit=2")
    second = body(f"{url}/v1/accounts/stretched/history?limit=2&cursor={first['next']}")

    assert len(whole[name]) > 4
    assert first[name] + second[name] == whole[name][:4]


def test_a_cursor_of_another_question_or_with_another_letter_is_refused(served: tuple[str, Path]) -> None:
    url, _ = served
    cursor = body(f"{url}/v1/accounts?limit=1")["next"]
    other = "B" if cursor[5] != "B" else "C"

    for wrong in (cursor[:5] + other + cursor[6:], cursor[:-4], "AAAA", "%00", "x" * 400):
        assert get(f"{url}/v1/accounts?limit=1&cursor={wrong}").status == 400, wrong
    assert get(f"{url}/v1/accounts/stretched/history?cursor={cursor}").status == 400


def test_the_ladder_is_what_documents_say(served: tuple[str, Path]) -> None:
    url, _ = served
    health = body(url + "/v1/accounts/stretched/health")
    rungs = body(f"{url}/v1/accounts/stretched/liquidation-ladder")["rungs"]
    near = [abs(float(each["distance_pct"])) for each in rungs if each["distance_pct"] is not None]

    assert sorted(map(str, rungs)) == sorted(map(str, health["liquidation_prices"]))
    assert near == sorted(near) != []


def test_who_has_an_answer_is_told_that_it_is_still_so(served: tuple[str, Path]) -> None:
    url, _ = served
    for route in ("/v1/accounts", HEALTH, "/v1/prices", "/openapi.json"):
        tag = get(url + route).headers["ETag"]
        again = get(url + route, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status, again.body, again.headers["ETag"]) == (304, "", tag)
        assert get(url + route, headers={"If-None-Match": 'W/"other"'}).status == 200


def test_only_listed_origins_may_read_answers(served: tuple[str, Path]) -> None:
    url, _ = served
    asked = {"Access-Control-Request-Method": "GET"}
    allowed = get(url + HEALTH, method="OPTIONS", headers={"Origin": DESK, **asked})
    refused = get(url + HEALTH, method="OPTIONS", headers={"Origin": "https://elsewhere.example", **asked})

    assert (allowed.status, allowed.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, POST")
    assert "Access-Control-Allow-Methods" not in refused.headers
    assert get(url + HEALTH, headers={"Origin": DESK}).headers["Access-Control-Allow-Origin"] == DESK
    assert "Access-Control-Allow-Origin" not in get(url + HEALTH, headers={"Origin": DESK + ".evil"}).headers


def test_a_repeated_question_is_answered_as_before_and_to_its_asker_alone(served: tuple[str, Path]) -> None:
    """Each backup has a name of its own: done twice, the second one would be refused."""
    url, folder = served
    other = json.loads(crossmargin(folder, "keys", "api", "create", "other", "--scope", "admin", "--json").stdout)[
        "key"
    ]
    order = b'{"name": "once", "keep": null}'
    same = {"Idempotency-Key": "one"}

    first = get(url + "/v1/backups", body=order, headers=owner(folder) | same)
    second = get(url + "/v1/backups", body=order, headers=owner(folder) | same)
    stranger = get(url + "/v1/backups", body=order, headers={"Authorization": f"Bearer {other}"} | same)
    changed = get(url + "/v1/backups", body=b'{"name": "two", "keep": null}', headers=owner(folder) | same)
    nobody = get(url + "/v1/backups", body=order, headers=same)

    assert (first.status, second.body, second.headers["Idempotency-Replayed"]) == (200, first.body, "true")
    assert stranger.status == 503  # it was asked by somebody else, so it was done, and the folder is there already
    assert "is there already" in stranger.body
    assert changed.status in {409, 422}
    assert nobody.status == 401


def test_an_answer_in_memory_ends_with_the_next_write(served: tuple[str, Path]) -> None:
    url, folder = served
    before = body(url + HEALTH)
    note = {"wallet": before["members"][0], "note": "a test", "who": "somebody"}
    assert get(url + HEALTH).headers["ETag"] == get(url + HEALTH).headers["ETag"]

    written = get(f"{url}/v1/accounts/hedged/members/revoke", body=json.dumps(note).encode(), headers=owner(folder))
    assert written.status == 200, written.body

    after = body(url + HEALTH)
    assert after["membership"] != before["membership"]
    assert body(url + "/v1/health:batch", body=b'{"accounts": ["hedged"]}')["results"][0]["health"] == after


def test_ten_thousand_malformed_requests_give_no_fault_and_no_trace(served: tuple[str, Path]) -> None:
    url, folder = served
    place = (str(urlsplit(url).hostname), int(urlsplit(url).port or 0))
    chance = random.Random(20)
    statuses: dict[int, int] = {}
    log = folder / "service.log"
    before = len(log.read_text())
    for number in range(ATTEMPTS // EACH_CONNECTION):
        for attempt in (nonsense(chance) for _ in range(EACH_CONNECTION)):
            for status in sent(place, attempt):
                statuses[status] = statuses.get(status, 0) + 1
        if number % 50 == 0:
            assert get(url + HEALTH).status == 200

    assert [status for status in statuses if status >= 500] == []
    assert {200, 400} <= set(statuses)
    assert get(url + HEALTH).status == 200
    assert "Traceback" not in log.read_text()[before:]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_encoded_as_it_says_is_refused(served: tuple[str, Path], encoding: str) -> None:
    """Also where it arrives later than its head, when nothing but reading it can tell."""
    url, folder = served
    place, said = (str(urlsplit(url).hostname), int(urlsplit(url).port or 0)), b"this is in no such encoding"
    head = f"POST /v1/health:batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(said)}\r\n\r\n"
    before = len((folder / "service.log").read_text())
    with socket.create_connection(place, timeout=30) as connection:
        connection.sendall(head.encode())
        sleep(0.1)
        connection.sendall(said)
        status = connection.recv(65536).split(b" ")[1]

    assert status == b"400"
    assert "Traceback" not in (folder / "service.log").read_text()[before:]


@pytest.mark.parametrize("tokens", ["1e400", "1e999990", "1e99999999", "9" * 3000, "0e-30000000", "1e-900", "-0e99999"])
def test_an_amount_beyond_all_tokens_is_refused_before_it_is_counted(served: tuple[str, Path], tokens: str) -> None:
    """Whole numbers of a million digits would stop everybody's answers."""
    url, folder = served
    unit = body(f"{url}/v1/accounts/hedged/positions", headers=owner(folder))["venues"][0]
    asset = unit["units"][0]["positions"][0]["asset"]
    asked = json.dumps({"actions": [f"supply:{unit['venue']}:{asset}={tokens}"]}).encode()

    answer = get(f"{url}/v1/accounts/hedged/what-if", body=asked)

    assert (answer.status, json.loads(answer.body)["code"]) == (400, "usage")
    assert "number of tokens" in json.loads(answer.body)["detail"]
    assert len(answer.body) < 1000


@pytest.mark.parametrize("form", ["application/vnd.apache.parquet"])
def test_what_a_form_cannot_hold_is_refused(served: tuple[str, Path], form: str) -> None:
    url, folder = served
    asked = b'{"query": "SELECT INTERVAL 1 MONTH AS length"}'

    answer = get(f"{url}/v1/sql", body=asked, headers=owner(folder) | {"Accept": form})

    assert (answer.status, json.loads(answer.body)["code"]) == (400, "query-refused")


def nonsense(chance: random.Random) -> bytes:
    """A request that is wrong somewhere: in its line, its headers, its body, or its end."""
    method = chance.choice(
        [b"GET"] * 12 + [b"POST"] * 6 + [b"get", b"G\x00T", b"PUT", b"TRACE", b"CONNECT", b"", b"A" * 400]
    )
    path = chance.choice(
        [
            HEALTH.encode(),
            b"/v1/accounts/%ff%fe/health",
            b"/v1/accounts/../../etc/passwd",
            b"/v1/accounts?limit=-1&limit=9",
            b"/v1/accounts?cursor=" + chance.randbytes(9).hex().encode(),
            b"/v1/accounts/" + b"x" * chance.choice([1, 300, 9000]) + b"/health?at=@9999999999999999999",
            b"/v1/sql",
            b"/v1/health:batch",
            b"//v1//accounts",
            b"*",
            b"http://evil.example/v1/accounts",
            chance.randbytes(12),
        ]
    )
    version = chance.choice([b"HTTP/1.1"] * 30 + [b"HTTP/1.0", b"HTTP/9.9", b"HTTP/1.1 ", b"", b"http/1.1"])
    end = chance.choice([b"\r\n"] * 20 + [b"\n", b"\r"])
    headers = chance.sample(
        [
            b"Host: 127.0.0.1",
            b"Host: evil.example",
            b"Content-Length: -5",
            b"Content-Length: 99999999999",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Authorization: Bearer " + chance.randbytes(8).hex().encode(),
            b"Authorization: \xff\xfe",
            b"If-None-Match: " + b'"' * 50,
            b"Idempotency-Key: \x7f",
            b"Accept-Encoding: gzip;q=nonsense",
            b"X: " + b"y" * chance.choice([10, 9000, 70_000]),
            b": no name",
            b"No-Colon",
            b" folded: line",
            b"Expect: 100-continue",
            b"Upgrade: websocket",
            b"Content-Encoding: gzip",
            b"Content-Encoding: deflate",
        ],
        chance.choice([0, 0, 0, 0, 1, 1, 2, 6]),
    )
    headers = [b"Host: 127.0.0.1"] * chance.choice([1, 1, 1, 1, 1, 1, 0, 2]) + headers
    content = chance.choice([b"", b"{", b"[" * 3000, b'{"query": 1}', b"5\r\nab", b"zz\r\n", chance.randbytes(40)])
    return b" ".join([method, path, version]) + end + end.join(headers) + end + end + content


def sent(place: tuple[str, int], request: bytes) -> list[int]:
    """Send one request in one or two parts, end the sending, and read what comes."""
    with socket.create_connection(place, timeout=30) as connection:
        try:
            half = len(request) // 2 if len(request) % 3 == 0 else 0
            connection.sendall(request[:half])
            connection.sendall(request[half:])
            connection.shutdown(socket.SHUT_WR)
            said = b""
            while part := connection.recv(65536):
                said += part
        except OSError:  # it closed the connection, as it may
            return []
    assert b"Traceback" not in said
    assert b".py" not in said
    return [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", said, flags=re.MULTILINE)]


def test_the_console_tells_who_may_not_ask_what_to_do(served: tuple[str, Path]) -> None:
    page = get(served[0] + "/ui/sql?query=SELECT+1+AS+one")

    assert "answers SQL to keys only" in page.body
    assert "<summary>dim_chain</summary>" in page.body
    assert "<td>1</td>" not in page.body
    assert get(served[0] + "/ui/sql?query=SELECT+1&csv=true").status == 401
