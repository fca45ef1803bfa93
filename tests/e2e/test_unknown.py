"""What cannot be known is said to be unknown, with its reason, by command and HTTP alike; and strangers' gifts change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from tests.devnet.evm import aave, feeds
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.governance import refreshed
from tests.devnet.evm.ledger import Tx
from tests.devnet.evm.market import Listing
from tests.support.product import chain_tables, crossmargin, get, serving

UNKNOWN_EXIT = 3
HOUR = 3_600


@pytest.fixture
def net() -> Iterator[Devnet]:
    """A market whose feeds have just answered, and one borrower with ether as collateral and dollars as debt."""
    with build(seed=51, actions=0, users=6) as net:
        lend(net, net.users[1], "USDC", 5_000_000 * 10**6)
        lend(net, net.users[0], "WETH", 10 * 10**18)
        do(net, aave.borrow(net.market, net.users[0], net.market.reserve("USDC").asset, 9_000 * 10**6))
        do(net, *refreshed(net.scene))
        yield net


def test_a_borrower_with_fresh_prices_is_known(net: Devnet, tmp_path: Path) -> None:
    document, code = asked(net, tmp_path)

    assert (document["status"], code) == ("healthy", 0)


def test_a_stale_price_of_the_collateral_or_of_the_debt_makes_the_account_unknown(net: Devnet, tmp_path: Path) -> None:
    for symbol in ("WETH", "USDC"):
        net.ledger.mine(seconds=30 * HOUR)
        do(net, *(tx for tx in refreshed(net.scene) if tx.to != aggregator(net, symbol)))

        document, code = asked(net, tmp_path)

        assert (document["status"], code) == ("unknown", UNKNOWN_EXIT)
        assert document["health_factor"] is None or symbol == "WETH"
        assert any("stale" in reason["code"] for reason in document["reasons"]), document["reasons"]


def test_a_feed_that_reverts_makes_the_account_unknown(net: Devnet, tmp_path: Path) -> None:
    do(net, feeds.set_reverting(net.node, net.market.reserve("WETH").feed, reverting=True))

    document, code = asked(net, tmp_path)

    assert (document["status"], code) == ("unknown", UNKNOWN_EXIT)
    assert "latestAnswer() reverts" in json.dumps(document["reasons"])


def test_an_unpriced_token_from_a_stranger_changes_no_status(net: Devnet, tmp_path: Path) -> None:
    junk = Listing(
        symbol="JUNK",
        name="Junk",
        decimals=18,
        price_usd=1.0,
        ltv_bps=0,
        liquidation_threshold_bps=5_000,
        liquidation_bonus_bps=10_500,
    )
    net.scene.market = aave.list_reserve(net.ledger, net.market, junk)
    do(net, feeds.set_reverting(net.node, net.market.reserve("JUNK").feed, reverting=True))
    before, _ = asked(net, tmp_path)

    lend(net, net.users[2], "JUNK", 10**30, owner=net.users[0])
    after, code = asked(net, tmp_path)

    assert (after["status"], code) == (before["status"], 0) == ("healthy", 0)
    (unit,) = after["venues"][0]["units"]
    assert "JUNK" in {position["symbol"] for position in unit["positions"]}
    assert unit["native"] is not None


def test_dust_with_a_stale_price_changes_no_status(net: Devnet, tmp_path: Path) -> None:
    lend(net, net.users[2], "WBTC", 1_000, owner=net.users[0])
    net.ledger.mine(seconds=30 * HOUR)
    do(net, *(tx for tx in refreshed(net.scene) if tx.to != aggregator(net, "WBTC")))

    document, code = asked(net, tmp_path)

    assert (document["status"], code) == ("healthy", 0)
    assert any("WBTC" in json.dumps(reason) or "stale" in reason["code"] for reason in document["reasons"])


def asked(net: Devnet, folder: Path) -> tuple[dict[str, Any], int]:
    """The borrower's document and the command's exit code, after both ways of asking were found to agree."""
    (folder / "crossmargin.toml").write_text('[store]\npath = "store.duckdb"\n' + chain_tables(net))
    indexed = crossmargin(folder, "index")
    assert indexed.returncode == 0, indexed.stderr
    account = f"eip155:{net.chain_id}:{to_checksum_address(net.users[0])}"
    done = crossmargin(folder, "health", account, "--json")
    document = dict(json.loads(done.stdout))
    with serving(folder) as url:
        assert get(f"{url}/v1/accounts/{account}/health") == document
    return document, done.returncode


def lend(net: Devnet, sender: str, symbol: str, amount: int, owner: str | None = None) -> None:
    asset = net.market.reserve(symbol).asset
    do(net, aave.mint(asset, sender, amount), aave.approve(sender, asset, net.market.pool))
    do(net, aave.supply(net.market, sender, asset, amount, owner))


def aggregator(net: Devnet, symbol: str) -> str:
    return feeds.aggregator_of(net.node, net.market.reserve(symbol).feed)


def do(net: Devnet, *txs: Tx) -> None:
    net.ledger.do(*txs)
