"""Every route answers exactly what its model says: no key that the model lacks, none that it has and the answer has not, no other type."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, RootModel

from crossmargin.documents import moment
from crossmargin.server.answers.markets import ChainList
from crossmargin.server.rooms import routes
from crossmargin.server.route import Scope
from crossmargin.service_file import read
from tests.e2e.conftest import Indexed
from tests.e2e.test_policy import policy
from tests.support.recorded import CONFIGURATION, crossmargin, service

ACCOUNT = "stretched"
STORE = "crossmargin.duckdb"
WINDOW = "covid-2020"
SOLD = {"identity": "ETH", "as_of": "2025-01-10", "daily_volume_usd": 1e9, "spread": 0.001, "fee": 0.001}
ELSEWHERE = {
    "POST /v1/accounts/{id}/members": "tests/unit/crossmargin/test_memberships.py",
    "POST /v1/liabilities": "tests/e2e/test_liabilities.py",
    "POST /v1/transfers": "tests/unit/crossmargin/test_transfers.py",
    "POST /v1/lake/parts": "tests/e2e/test_lake.py",
}
"""What needs more than this store, and where its answer is held against its model."""

MODELS = {f"{route.method} {route.path}": route.answer for route in routes() if not isinstance(route.answer, str)}


class Client:
    """Asks a service as its owner, and holds every answer against its route's model."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.asked: set[str] = set()

    def get(self, route: str, query: str = "", **path: str) -> Any:
        return self._answered("GET", route, route.format(**path) + query, None)

    def post(self, route: str, body: Mapping[str, Any], **path: str) -> Any:
        return self._answered("POST", route, route.format(**path), json.dumps(body).encode())

    def _answered(self, method: str, route: str, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self._url + path, data=body, headers=self._headers, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - ditto
            said = answer.read()
        name = f"{method} {route}"
        MODELS[name].model_validate_json(said)
        self.asked.add(name)
        return json.loads(said)


@pytest.fixture(scope="module")
def client(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("answers") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with (folder / CONFIGURATION).open("a", encoding="utf-8") as configuration:
        configuration.write("\n[webhooks]\nloopback = true\n")
    for at in ("2025-01-10T00:00:00Z", "2025-01-12T00:00:00Z"):
        done = crossmargin(folder, "snapshot", "create", f"--at={at}")
        assert done.returncode == 0, done.stderr
    with service(folder, "serve") as (url, _):
        said = read(folder / f"{STORE}.service.json")
        assert said is not None
        yield Client(url, said.token)


@pytest.mark.timeout(900)
def test_every_route_answers_exactly_what_its_model_says(client: Client) -> None:
    about_service(client)
    about_accounts(client)
    about_markets(client)
    about_risk(client)
    about_imports(client)
    about_days(client)
    about_snapshots(client)
    about_rules(client)
    about_what_is_kept(client)

    assert client.asked | set(ELSEWHERE) == set(MODELS)
    assert not client.asked & set(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_model_takes_a_key_that_it_does_not_have_or_leaves_one_out(name: str) -> None:
    open_models = {model.__name__ for model in reached(MODELS[name]) if model.model_config.get("extra") != "forbid"}
    optional = {
        f"{model.__name__}.{field}"
        for model in reached(MODELS[name])
        for field, said in model.model_fields.items()
        if not said.is_required()
    }

    assert open_models <= {"VenueLine"}  # what only a venue's protocol has, under the configuration's own names
    assert optional == set()


def test_a_model_that_lacks_a_key_or_has_one_more_refuses_the_answer(client: Client) -> None:
    answer = json.dumps(client.get("/v1/chains"))

    class Fewer(BaseModel):
        model_config = ConfigDict(extra="forbid")

    class More(ChainList):
        invented: str

    for wrong in (Fewer, More):
        with pytest.raises(ValueError, match=wrong.__name__):
            wrong.model_validate_json(answer)


def reached(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that it is made of."""
    found: set[type[BaseModel]] = set()
    todo: list[Any] = [model]
    while todo:
        each = todo.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each in found:
                continue
            found.add(each)
            todo += [field.annotation for field in each.model_fields.values()]
        todo += getattr(each, "__args__", ())
    return {each for each in found if not issubclass(each, RootModel)}


def about_service(client: Client) -> None:
    client.get("/healthz")
    client.get("/readyz")
    key = client.post("/v1/keys", {"name": "x", "scopes": ["read"], "quota_per_minute": 5, "expires_in_s": 1000})
    client.post("/v1/keys", {"name": "y", "scopes": [*Scope]})
    client.post("/v1/keys/{id}/revoke", {}, id=key["id"])
    assert {each["state"] for each in client.get("/v1/keys")["keys"]} == {"active", "revoked"}
    made = client.post("/v1/webhooks", {"url": "http://127.0.0.1:9/taken", "kinds": ["mark"]})
    client.post("/v1/webhooks/{id}/test", {}, id=made["id"])
    client.get("/v1/webhooks/{id}/log", id=made["id"])
    assert client.get("/v1/webhooks")["webhooks"]
    client.post("/v1/webhooks/{id}/remove", {}, id=made["id"])


def about_accounts(client: Client) -> None:
    names = [each["account"] for each in client.get("/v1/accounts")["accounts"]]
    client.post("/v1/health:batch", {"accounts": [*names, "nobody"]})
    for name in names:
        client.get("/v1/accounts/{id}", id=name)
        for what in ("health", "positions", "liquidation-ladder", "advice"):
            client.get("/v1/accounts/{id}/" + what, id=name)
        assert client.get("/v1/accounts/{id}/history", id=name)["events"]
    assert client.get("/v1/liquidation-ladder")["rungs"]
    shock = {"shocks": ["ETH=-0.1"]}
    client.post("/v1/accounts/{id}/what-if", shock, id=ACCOUNT)


def about_markets(client: Client) -> None:
    for what in ("prices", "status", "chains", "coverage", "venues", "assets", "feeds"):
        client.get(f"/v1/{what}")
    client.get("/v1/prices", "?at=2025-01-08T00:00:00Z")
    assert client.post("/v1/parity", {"venue": None, "sample": 2, "at": None})["venues"]
    assert any(chain["audited"] for chain in client.get("/v1/status")["chains"])


def about_imports(client: Client) -> None:
    client.get("/v1/liabilities")
    client.get("/v1/transfers")
    for identity, close in (("BTC", 8000.0), ("ETH", 200.0)):
        client.post("/v1/price-histories", {"identity": identity, "source": "x", "days": days_until_the_feeds(close)})
    assert client.get("/v1/price-histories")["histories"]
    client.get("/v1/price-histories", "?identity=ETH")
    client.post("/v1/liquidity", {"source": "x", "rows": [SOLD]})
    assert client.get("/v1/liquidity")["liquidity"]


def days_until_the_feeds(price: float) -> list[list[object]]:
    """Days from before a scenario until feeds tell them: close, low and high, up and down a little."""
    first, last = date(2020, 3, 8), date(2025, 1, 14)
    closes = [price * (1 + (n % 7 - 3) / 100) for n in range((last - first).days)]
    return [[(first + timedelta(n)).isoformat(), close, close * 0.98, close * 1.02] for n, close in enumerate(closes)]


def about_risk(client: Client) -> None:
    client.get("/v1/stress", "?fund_usd=1000")
    client.get("/v1/stress", "?shock=ETH%3D-0.5")
    client.get("/v1/at-risk")
    for query in ("", f"?scenario={WINDOW}"):
        client.get("/v1/liquidations", query)
        client.get("/v1/liquidations/freeze", query)
    client.post("/v1/risk-runs", {})


def about_days(client: Client) -> None:
    """What rests on histories that were imported."""
    client.get("/v1/forecasts")
    assert client.get("/v1/liquidations/lag", f"?scenario={WINDOW}")["days"]


def about_snapshots(client: Client) -> None:
    client.post("/v1/snapshots", {"at": None})
    newest, before, *_ = (each["snapshot"] for each in client.get("/v1/snapshots")["snapshots"])
    client.get("/v1/snapshots/{name}", name=newest)
    client.get("/v1/snapshots/{name}/proof/{account}", name=newest, account=ACCOUNT)
    assert client.get("/v1/snapshots/{name}/diff/{other}", name=before, other=newest)["causes"]
    assert client.post("/v1/snapshots/{name}/verify", {}, name=newest)["intact"]
    client.post("/v1/snapshots/{name}/sql", {"query": "SELECT count(*) AS n FROM accounts"}, name=newest)


def about_rules(client: Client) -> None:
    since = int((datetime.now(UTC) + timedelta(days=400)).timestamp())
    text = policy("later", since)
    assert client.post("/v1/policies/preview", {"policy": policy("tighter", since, threshold=0.4)})["changed"]
    client.post("/v1/policies", {"policy": text, "emergency": False, "who": "tester"})
    assert client.get("/v1/policy")["next"]
    told = {"version": "later", "note": "not wanted", "emergency": False, "who": "tester"}
    assert client.post("/v1/policies/withdraw", told)["withdrawn"]["at"] <= moment(since)
    client.get("/v1/policies")
    client.get("/v1/haircuts")
    client.get("/v1/haircuts/recommendation")


def about_what_is_kept(client: Client) -> None:
    client.get("/v1/schema")
    client.post("/v1/sql", {"query": "SELECT chain_id FROM dim_chain"})
    client.post("/v1/publish", {})
    client.post("/v1/backups", {"name": None, "keep": None})
    member = client.get("/v1/accounts/{id}", id=ACCOUNT)["members"][0]
    told = {"wallet": member, "note": "lost", "who": "tester"}
    client.post("/v1/accounts/{id}/members/revoke", told, id=ACCOUNT)
    assert client.get("/v1/accounts/{id}", id=ACCOUNT)["evidence"]


@pytest.mark.parametrize("body", [{"at": "2025-01-10T00:00:00Z"}, [], "now"])
def test_a_body_that_a_route_does_not_read_is_refused(client: Client, body: Any) -> None:
    """A run of now would pass for one of then."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.post("/v1/risk-runs", body)

    with refused.value as answer:
        assert answer.code == 400
        assert "nothing of a body is read here" in json.loads(answer.read())["detail"]
