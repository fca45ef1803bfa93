"""A feed jumps: what its past and another operator say decides, and from the same rows the same is said again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from tests.devnet.evm import aave, feeds
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.governance import refreshed
from tests.devnet.evm.ledger import Tx
from tests.support.product import chain_tables, crossmargin, get, serving

MINUTE = 60
ETHER = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marks")


def test_a_jump_is_held_for_a_while_and_said_again_from_what_is_stored(folder: Path) -> None:
    with build(seed=57, actions=0, users=4) as net:
        prepare(net)
        (folder / "crossmargin.toml").write_text(configuration(net))
        for dollars in (ETHER, ETHER * 0.99, ETHER * 0.98):
            answer(net, dollars, seconds=20 * MINUTE)
        calm = asked(folder, net)
        answer(net, ETHER * 0.7, seconds=10 * MINUTE)
        held = asked(folder, net)
        at = held["as_of"][f"eip155:{net.chain_id}"]["block"]
        answer(net, ETHER * 0.7, seconds=16 * MINUTE)
        released = asked(folder, net)
        again = asked(folder, net, "--at", f"eip155:{net.chain_id}={at}")
        rebuilt = crossmargin(folder, "rebuild")
        listed = json.loads(crossmargin(folder, "prices", "--json").stdout)["prices"]
        with serving(folder) as url:
            served = get(f"{url}/v1/accounts/{released['account']}/health")
        stored = json.loads(crossmargin(folder, "inputs", held["input_digest"]).stdout)

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert states(calm, held, released) == ["degraded", "held", "degraded"]
    assert ether(held)["reasons"][0] == "jump_unconfirmed"
    assert [float(ether(held)[key]) for key in ("low", "mid", "high")] == [
        2_079,
        2_100,
        2_969.4,
    ]  # ∓ 1 %, of 2100 and 2940
    assert (float(ether(held)["twap_5m"]), float(ether(held)["highest"])) == (2_940, 3_000)
    assert (float(calm["headroom"]) > 0, float(held["collateral"]["haircut"])) == (True, 0)
    assert float(released["collateral"]["haircut"]) > 0
    assert (again["input_digest"], again["prices"]) == (held["input_digest"], held["prices"])
    assert (served["input_digest"], served["prices"]) == (released["input_digest"], released["prices"])
    assert {price["state"] for price in listed if price["identity"] == "ETH"} == {"degraded"}
    (said,) = (item for item in stored["observations"] if item["feed"] == ether(held)["feeds"][0]["feed"].lower())
    assert len(said["past"]) == ether(held)["feeds"][0]["past"] >= 3


def prepare(net: Devnet) -> None:
    """One borrower with ether as collateral and dollars as debt."""
    lend(net, net.users[1], "USDC", 5_000_000 * 10**6)
    lend(net, net.users[0], "WETH", 10 * 10**18)
    do(net, aave.borrow(net.market, net.users[0], net.market.reserve("USDC").asset, 5_000 * 10**6))
    do(net, *refreshed(net.scene))


def configuration(net: Devnet) -> str:
    reserve = net.market.reserve("WETH")
    asset = f"eip155:{net.chain_id}/erc20:{to_checksum_address(reserve.asset)}"
    return f"""{chain_tables(net)}
[[asset]]
id = "{asset}"
class = "major"
same_as = "ETH"

[[feed]]
asset = "{asset}"
kind = "chainlink"
address = "{to_checksum_address(reserve.feed.proxy)}"
heartbeat = "1h"
deviation = "1%"
"""


def answer(net: Devnet, dollars: float, *, seconds: int) -> None:
    """Let time pass, and every feed speak, that of ether with a price of its own."""
    feed = net.market.reserve("WETH").feed
    net.ledger.mine(seconds=seconds)
    others = [tx for tx in refreshed(net.scene) if tx.to != feeds.aggregator_of(net.node, feed)]
    do(net, *others, feeds.transmit(net.node, feed, round(dollars * 10**8)))


def asked(folder: Path, net: Devnet, *more: str) -> dict[str, Any]:
    indexed = crossmargin(folder, "index")
    assert indexed.returncode == 0, indexed.stderr
    account = f"eip155:{net.chain_id}:{to_checksum_address(net.users[0])}"
    return dict(json.loads(crossmargin(folder, "health", account, "--json", *more).stdout))


def ether(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = (price for price in document["prices"] if price["identity"] == "ETH")
    return dict(found)


def states(*documents: dict[str, Any]) -> list[str]:
    return [ether(document)["state"] for document in documents]


def lend(net: Devnet, sender: str, symbol: str, amount: int) -> None:
    asset = net.market.reserve(symbol).asset
    do(net, aave.mint(asset, sender, amount), aave.approve(sender, asset, net.market.pool))
    do(net, aave.supply(net.market, sender, asset, amount))


def do(net: Devnet, *txs: Tx) -> None:
    net.ledger.do(*txs)
