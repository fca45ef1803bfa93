"""Who may ask over HTTP: keys with scopes, quotas and an end; and a public service that nobody could ask is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmargin.service_file import path_of
from tests.e2e.conftest import Indexed
from tests.e2e.test_service import get
from tests.support.recorded import crossmargin, service

PUBLIC = ("serve", "--public", "--host", "0.0.0.0")  # noqa: S104 - only this machine's tests reach it


@pytest.fixture(scope="module")
def public(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """A public service: its address, its folder, and a key that may read."""
    folder = tmp_path_factory.mktemp("public") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    refused = crossmargin(folder, *PUBLIC)
    assert refused.returncode == 2
    assert "no API key yet" in refused.stderr
    key = made(folder, "reader")["key"]
    with service(folder, *PUBLIC) as (url, _):
        yield url, folder, key


def test_a_key_is_shown_once_and_kept_as_its_hash(public: tuple[str, Path, str]) -> None:
    _, folder, key = public
    word, number, secret = key.split("_")

    assert (word, len(number), len(secret)) == ("cm", 12, 64)
    assert secret not in crossmargin(folder, "keys", "api", "list", "--json").stdout
    assert all(secret.encode() not in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_public_service_answers_to_keys_and_tells_everybody_only_that_it_is_there(
    public: tuple[str, Path, str],
) -> None:
    url, _, key = public

    strangers = {route: get(url + route).status for route in ("/healthz", "/openapi.json", "/docs", "/metrics", HEALTH)}
    invented = get(url + HEALTH, headers=bearer(key[:-1] + ("0" if key[-1] != "0" else "1")))

    assert strangers == {"/healthz": 200, "/openapi.json": 200, "/docs": 200, "/metrics": 401, HEALTH: 401}
    assert (invented.status, invented.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert get(url + HEALTH, headers=bearer(key)).status == 200


def test_a_key_allows_its_scopes_and_no_other(public: tuple[str, Path, str]) -> None:
    url, folder, reader = public
    analyst = made(folder, "analyst", "--scope", "sql")["key"]
    query = b'{"query": "SELECT 1 AS one"}'

    assert crossmargin(folder, "publish").returncode == 0
    assert get(url + "/v1/sql", body=query, headers=bearer(analyst)).status == 200
    assert get(url + "/v1/sql", body=query, headers=bearer(reader)).status == 403
    assert get(url + HEALTH, headers=bearer(analyst)).status == 403
    assert get(url + "/v1/keys", headers=bearer(reader)).status == 403
    assert get(url + "/v1/liabilities", body=b"{}", headers=bearer(reader)).status == 403


def test_a_key_holds_until_it_is_revoked_or_expires(public: tuple[str, Path, str]) -> None:
    url, folder, _ = public
    gone, short = made(folder, "gone"), made(folder, "short", "--expires", "1s")
    before = get(url + HEALTH, headers=bearer(gone["key"])).status

    done = crossmargin(folder, "keys", "api", "revoke", gone["id"], "--json")
    while (states := {line["name"]: line["state"] for line in listed(folder)})["short"] == "active":
        pass

    assert (before, done.returncode, states["gone"]) == (200, 0, "revoked")
    assert get(url + HEALTH, headers=bearer(gone["key"])).status == 401
    assert get(url + HEALTH, headers=bearer(short["key"])).status == 401


def test_a_quota_is_told_and_kept(public: tuple[str, Path, str]) -> None:
    url, folder, _ = public
    key = made(folder, "slow", "--quota", "3")["key"]

    answers = [get(url + "/healthz", headers=bearer(key)) for _ in range(9)]

    assert [answer.status for answer in answers].count(429) >= 3
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    last = answers[-1]
    assert last.headers["RateLimit"].startswith('"key";r=0;t=')
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    assert json.loads(last.body)["code"] == "too-many-requests"


def test_the_owner_is_known_by_the_services_own_file(public: tuple[str, Path, str]) -> None:
    url, folder, _ = public
    token = json.loads(path_of(folder / "crossmargin.duckdb").read_text())["token"]

    assert get(url + "/v1/keys", headers=bearer(token)).status == 200


def test_anybody_may_read_where_that_is_meant(indexed: Indexed) -> None:
    with service(indexed.folder, *PUBLIC, "--anonymous") as (url, _):
        assert get(url + HEALTH).status == 200
        assert get(url + "/v1/sql", body=b'{"query": "SELECT 1"}').status == 401


HEALTH = "/v1/accounts/stretched/health"


def made(folder: Path, name: str, *options: str) -> dict[str, Any]:
    done = crossmargin(folder, "keys", "api", "create", name, *options, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def listed(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(crossmargin(folder, "keys", "api", "list", "--json").stdout)["keys"])


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
