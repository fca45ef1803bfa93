"""Collateral in an escrow counts nothing until somebody who may say so says what is required of it, and nothing again when that is old."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crossmargin.server.answers.imports import LiabilitiesTaken, LiabilityList
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.pyth import FEED_IDS, price_account
from tests.support.product import crossmargin, get, serving

MAX_AGE_S = 600
REQUIREMENT = {"initial_requirement_usd": "100", "maintenance_requirement_usd": "50", "pnl_usd": "-20"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A perp venue's vault on a devnet, indexed; its key; a depositor of dollars."""

    net: Devnet
    folder: Path
    key: Path
    depositor: str

    @property
    def account(self) -> str:
        return f"{self.net.chain_id}:{self.depositor}"

    @property
    def block_time(self) -> int:
        """When the last indexed block was."""
        (as_of,) = self.health()["as_of"].values()
        return int(datetime.fromisoformat(as_of["time"]).timestamp())

    def health(self) -> dict[str, Any]:
        return dict(json.loads(crossmargin(self.folder, "health", self.account, "--json").stdout))

    def signed(self, as_of: int, key: Path | None = None, **said: str) -> str:
        """A signed document about the depositor."""
        document = {
            "version": 1,
            "venue": "perp-vault",
            "as_of": datetime.fromtimestamp(as_of, UTC).isoformat().replace("+00:00", "Z"),
            "accounts": [{"account": self.account, **REQUIREMENT, **said}],
        }
        path = self.folder / "document.json"
        path.write_text(json.dumps(document))
        done = crossmargin(self.folder, "liabilities", "sign", str(path), "--key", str(key or self.key))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def brought(self, envelope: str) -> int:
        """The exit code of an import."""
        path = self.folder / "envelope.json"
        path.write_text(envelope)
        done = crossmargin(self.folder, "liabilities", "import", str(path), "--json")
        if done.returncode == 0:
            LiabilitiesTaken.model_validate_json(done.stdout)
        return done.returncode


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    key = tmp_path / "desk.pem"
    made = crossmargin(tmp_path, "liabilities", "key", str(key), "--json")
    assert made.returncode == 0, made.stderr
    public = next(value for value in json.loads(made.stdout).values() if len(value) == 64)
    with build(seed=61, actions=120, price_every=10) as net:
        net.finalize()
        usdc = net.mints["USDC"].address
        nets = net.expected_at(net.ledger.tip.slot).nets
        depositor = max((amount, owner) for (owner, mint), amount in nets.items() if mint == usdc)[1]
        (tmp_path / "crossmargin.toml").write_text(configuration(net, public))
        indexed = crossmargin(tmp_path, "index")
        assert indexed.returncode == 0, indexed.stderr
        yield Desk(net=net, folder=tmp_path, key=key, depositor=depositor)


def test_deposits_count_from_the_arrival_of_their_liabilities_until_these_are_too_old(desk: Desk) -> None:
    before = desk.health()
    assert codes(before) >= {"liabilities_unknown"}
    assert before["status"] == "unknown"
    assert counted(before) == [False]
    assert Decimal(before["collateral"]["maintenance"]) == 0
    assert Decimal(dollars(before)["amount"]) > 1

    assert desk.brought(desk.signed(desk.block_time - MAX_AGE_S)) == 0
    known = desk.health()
    assert "liabilities_unknown" not in codes(known)
    assert counted(known) == [True]
    assert Decimal(known["debt"]["raw"]) == 20
    worth = Decimal(dollars(known)["value_usd"])
    assert abs(Decimal(unit(known)["health_factor"]) - worth / 70) < Decimal("0.001")  # requirement 50 and a loss of 20

    slots = desk.net.ledger.tip.slot
    while desk.net.ledger.time_of(desk.net.ledger.tip.slot) < desk.block_time + 2:
        desk.net.ledger.idle(10)
    desk.net.finalize()
    assert crossmargin(desk.folder, "index").returncode == 0
    old = desk.health()
    assert desk.net.ledger.tip.slot > slots
    assert codes(old) >= {"liabilities_unknown"}
    assert old["status"] == "unknown"
    assert counted(old) == [False]


def test_what_nobody_signed_who_may_is_refused_and_changes_nothing(desk: Desk) -> None:
    stranger = desk.folder / "stranger.pem"
    assert crossmargin(desk.folder, "liabilities", "key", str(stranger)).returncode == 0
    before, as_of = desk.health(), desk.block_time
    honest = desk.signed(as_of)

    assert desk.brought(desk.signed(as_of, stranger)) == 4
    assert desk.brought(honest.replace('"50"', '"5"')) == 4
    assert desk.brought("{}") == 2
    assert desk.health() == before

    assert desk.brought(honest) == 0
    assert desk.brought(honest) == 0
    assert desk.brought(desk.signed(as_of, pnl_usd="0")) == 1


def test_the_service_takes_them_in_and_answers_with_them(desk: Desk) -> None:
    honest = desk.signed(desk.block_time)

    with serving(desk.folder) as url:
        assert posted(f"{url}/v1/liabilities", honest.replace('"100"', '"99"')) == 403
        assert "liabilities_unknown" in codes(get(f"{url}/v1/accounts/{desk.account}/health"))
        assert posted(f"{url}/v1/liabilities", honest) in {200, 201}
        served = get(f"{url}/v1/accounts/{desk.account}/health")
        listed = get(f"{url}/v1/liabilities")
        LiabilityList.model_validate(listed)

    assert "liabilities_unknown" not in codes(served)
    assert unit(served)["liabilities"]["maintenance_requirement_usd"].startswith("50")
    assert desk.account in json.dumps(listed)


def posted(url: str, body: str) -> int:
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        url, data=body.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code if error.headers["Content-Type"].startswith("application/problem+json") else 0


def unit(document: dict[str, Any]) -> dict[str, Any]:
    ((found,),) = [venue["units"] for venue in document["venues"]]
    return dict(found)


def dollars(document: dict[str, Any]) -> dict[str, Any]:
    return next(item for item in unit(document)["positions"] if item["symbol"] == "USDC")


def counted(document: dict[str, Any]) -> list[bool]:
    return [dollars(document)["counted"]]


def codes(document: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in document["reasons"]}


def configuration(net: Devnet, public: str) -> str:
    return f"""
[[chain]]
id = "{net.chain_id}"
rpc = ["{net.url}"]
start_block = {net.ledger.first_slot}

[[venue]]
id = "perp-vault"
protocol = "spl-escrow"
chain = "{net.chain_id}"
address = "{net.vault.authority}"
accounts = {json.dumps([str(account) for account in net.vault.all_accounts])}
start_block = {net.ledger.first_slot}
liabilities = "import"
liability_keys = ["{public}"]
liability_max_age = "{MAX_AGE_S}s"

[[asset]]
id = "{net.chain_id}/token:{net.mints["USDC"].address}"
symbol = "USDC"
class = "stable"

[[feed]]
asset = "{net.chain_id}/token:{net.mints["USDC"].address}"
kind = "pyth-solana"
address = "{price_account("USDC/USD")}"
feed_id = "{FEED_IDS["USDC/USD"].hex()}"
heartbeat = "1h"
"""
