"""`crossmargin liquidations simulate` over five protocols of Solana: each by its own rule, and who is left out is named."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes
from tests.contract.test_solana_lending_live import CASES, Sample, configured, samples_of
from tests.e2e.test_five_protocols import Cluster, cluster, solana_tables
from tests.support import drift_runs
from tests.support.drift_story import BEGAN, FIRST, story
from tests.support.jupiter_accounts import COLLATERAL, LOAN, VENUE, Setting, accounts_of
from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import RATE
from tests.support.recorded import configure, crossmargin, nodes_running, recorded
from tests.unit.chains.solana.drift.builders import SOL_MINT, USDC_MINT, deposit, loan, user

SAMPLES = 12
BORROWER = b"\xdd" * 32
CRASH = ("--shock", "SOL=-0.6", "--shock", "ETH=-0.6", "--impact-cap", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("liquidations-of-solana")


@pytest.fixture(scope="module")
def found(folder: Path) -> Iterator[tuple[dict[str, Cluster], Any]]:
    with ExitStack() as stack:
        nodes = stack.enter_context(nodes_running())
        runs = {each.parent.name: (configured(each), samples_of(each)[:SAMPLES]) for each in CASES}
        stories = {
            "kamino": runs["klend"],
            "save": runs["solend"],
            "marginfi": runs["marginfi"],
            "drift": (drift_runs.venue(), traders_and_a_borrower()),
            "jupiter": (VENUE, vault()),
        }
        clusters = {
            name: cluster(stack, venue, samples, seed=20 + seed)
            for seed, (name, (venue, samples)) in enumerate(stories.items())
        }
        more = [solana_tables(each, f"{name}-main") + assets(each) for name, each in clusters.items()]
        running = [nodes.start(each) for each in recorded()]
        configure(folder, running, lambda text: "\n".join([text, *more]))
        indexed = crossmargin(folder, "index", "--until", "latest")
        assert indexed.returncode == 0, indexed.stderr
        yield clusters, simulated(folder)


def simulated(folder: Path) -> Any:
    done = crossmargin(folder, "liquidations", "simulate", *CRASH, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def traders_and_a_borrower() -> list[Sample]:
    """Drift with users who have perp positions, and one who has ten SOL and owes 500 USDC."""
    (slot, time, changed), *others = story(3, 4, plain=True)
    held = user(spot=[deposit(1, 10 * 10**9), loan(0, 500 * 10**9)])
    account = drift_runs.seen(held, slot)
    return [(slot, time, {**changed, base58(BORROWER): as_told(account)}), *others]


def as_told(account: AccountBytes) -> dict[str, Any]:
    """An account as a node says it."""
    data = [b64encode(account.data).decode(), "base64"]
    return {"data": data, "owner": base58(account.owner), "lamports": account.lamports}


def vault() -> list[Sample]:
    """A vault of Jupiter Lend with three positions of ten collateral tokens, at 150 of what is owed: 20, 35 and 79 % of it."""
    model, slot = ModelVault(), FIRST + 1_000
    time = BEGAN + 400
    for share in (20, 35, 79):
        model.operate(model.open(), 10**10, 1500 * share * 10**7, 150 * RATE)
    accounts = accounts_of(model, Setting(time=time), slot)
    return [(slot, time, {base58(address): as_told(each) for address, each in accounts.items()})]


def assets(found: Cluster) -> str:
    """Name the token that falls, and the one that all else is counted in."""
    known = {COLLATERAL: "SOL", LOAN: "USDC", SOL_MINT: "SOL", USDC_MINT: "USDC"}
    held = {each.asset: each for unit in found.units for each in unit.positions}
    named = {asset: known.get(asset) or each.symbol for asset, each in held.items()}
    if not any(named.values()):  # a reserve of Save tells no symbol; by its decimals
        named = {asset: "SOL" if each.decimals == 9 else "USDC" for asset, each in held.items()}
    return "".join(
        f"""
[[asset]]
id = "{found.chain_id}/token:{base58(asset)}"
symbol = "{name}"
class = "{"major" if name == "SOL" else "stable"}"
same_as = "{"SOL" if name == "SOL" else "USD"}"
"""
        for asset, name in sorted(named.items())
        if name in {"SOL", "USDC"}
    )


def test_each_protocol_is_liquidated_by_its_own_rule(found: tuple[dict[str, Cluster], Any]) -> None:
    _, document = found
    steps = document["venues"]

    for name in ("kamino", "save", "marginfi", "drift", "jupiter"):
        assert steps[f"{name}-main"]["units"] > 0, (name, document["left_out"])
        assert Decimal(steps[f"{name}-main"]["seized_usd"]) > 0
    assert document["orders"][0]["ended"]
    # after the fall 79 of 40: nobody pays more than the collateral is worth, and those who lent there lose it
    [sunk] = [each for each in document["pools"] if each["venue"] == "jupiter-main"]
    assert Decimal(sunk["bad_debt_usd"]) > 500
    assert len(from_base58(sunk["market"])) == 32
    assert any(each.startswith("jupiter-main/") for each in document["standing"])


def test_what_accounts_lose_is_what_others_get(found: tuple[dict[str, Cluster], Any]) -> None:
    flows = {name: Decimal(amount) for name, amount in found[1]["flows"].items()}
    gains = flows["liquidators_gain_usd"] + flows["venues_keep_usd"] + flows["impact_usd"]
    change = flows["accounts_lose_usd"] - flows["forgiven_usd"] + flows["revalued_usd"]

    assert flows["accounts_lose_usd"] == pytest.approx(gains, abs=Decimal("0.01"))
    assert flows["equity_before_usd"] - flows["equity_after_usd"] == pytest.approx(change, abs=Decimal("0.01"))


def test_who_is_left_out_is_counted_where_people_read(found: tuple[dict[str, Cluster], Any], folder: Path) -> None:
    document = found[1]

    done = crossmargin(folder, "liquidations", "simulate", *CRASH)

    printed = done.stdout
    assert done.returncode == 0, done.stderr
    assert f"in no total are {document['units_left_out']} of {document['units_with_debt']} units with debt" in printed
    for each in document["left_out_by_reason"]:
        assert f"{each['units']} at {each['venue']}: {each['detail']}" in printed


def test_who_is_left_out_is_named(found: tuple[dict[str, Cluster], Any]) -> None:
    clusters, document = found
    named = {each["subject"] for each in document["left_out"] if each["code"] == "liquidation_unknown"}

    for each in clusters["drift"].units:
        trades = any(name.startswith("perp_") for name in each.native or ())
        assert (f"drift-main/{base58(each.unit_id)}" in named) == (trades and each.has_debt), base58(each.unit_id)
    asked = [each for each in document["left_out_by_reason"] if each["venue"] == "drift-main"]
    assert sum(each["units"] for each in asked) == len([name for name in named if name.startswith("drift-main/")])
    assert document["units_left_out"] == sum(each["units"] for each in document["left_out_by_reason"])
    assert document["units_with_debt"] > document["units_left_out"] > 0
    others = {subject.partition("/")[0] for subject in named} - {"drift-main"}
    assert not others & {f"{name}-main" for name in clusters}
