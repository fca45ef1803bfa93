"""A borrower on an EVM chain whose collateral is priced by what Hermes signs: from the configuration to the health document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from tests.devnet.evm import aave
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.governance import refreshed
from tests.support.hermes import GUARDIANS, OTHERS, Price, Served, encoded, hermes, signing
from tests.support.product import chain_tables, crossmargin, get, serving

ETH = bytes.fromhex("ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace")


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    """One borrower with ether as collateral and dollars as debt."""
    with build(seed=53, actions=0, users=4) as net:
        lend(net, net.users[1], "USDC", 5_000_000 * 10**6)
        lend(net, net.users[0], "WETH", 10 * 10**18)
        net.ledger.do(aave.borrow(net.market, net.users[0], net.market.reserve("USDC").asset, 9_000 * 10**6))
        net.ledger.do(*refreshed(net.scene))
        yield net


def lend(net: Devnet, sender: str, symbol: str, amount: int) -> None:
    asset = net.market.reserve(symbol).asset
    net.ledger.do(aave.mint(asset, sender, amount), aave.approve(sender, asset, net.market.pool))
    net.ledger.do(aave.supply(net.market, sender, asset, amount))


def configuration(net: Devnet, url: str, guardians: str) -> str:
    return f"""{chain_tables(net)}
[[chain]]
id = "pyth:mainnet"
rpc = ["{url}/${{HERMES_KEY}}"]
{guardians}
[[feed]]
asset = "eip155:{net.chain_id}/erc20:{to_checksum_address(net.market.reserve("WETH").asset)}"
kind = "pyth-hermes"
feed_id = "{ETH.hex()}"
heartbeat = "60s"
deviation = "0.1%"
"""


def guardian_sets() -> str:
    addresses = ", ".join(f'"0x{address.hex()}"' for address in GUARDIANS.addresses)
    return f"guardian_sets = [{{ index = {GUARDIANS.number}, addresses = [{addresses}] }}]\n"


def ether(price: int) -> Price:
    return Price(feed_id=ETH, price=price * 10**8, publish_time=int(time()) - 1, confidence=10**8)


def asked(folder: Path, net: Devnet, *more: str) -> dict[str, Any]:
    account = f"eip155:{net.chain_id}:{to_checksum_address(net.users[0])}"
    return dict(json.loads(crossmargin(folder, "health", account, "--json", *more).stdout))


def signed_feed(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = (feed for price in document["prices"] for feed in price["feeds"] if feed["kind"] == "pyth-hermes")
    return dict(found)


def test_a_signed_price_marks_the_collateral_and_is_the_same_from_what_was_kept(
    net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_KEY", "canary")
    served = Served(lambda _: [encoded([ether(2_500)], slot=7)])
    with hermes(served) as url:
        (tmp_path / "crossmargin.toml").write_text(configuration(net, url, guardian_sets()))
        indexed = crossmargin(tmp_path, "index")
        measured = crossmargin(tmp_path, "doctor", "--json", "--chain", "pyth:mainnet")
    assert indexed.returncode == 0, indexed.stderr
    assert json.loads(measured.stdout)["chains"][0]["nodes"][0]["verdict"] == "good", measured.stdout
    assert "canary" not in indexed.stderr + measured.stdout
    assert "/canary/v2/updates/price/latest" in served.asked[0]

    document = asked(tmp_path, net)
    feed = signed_feed(document)
    assert (feed["used"], float(feed["price_usd"]), feed["answer_raw"], feed["chain"]) == (
        True, 2_500, str(2_500 * 10**8), "pyth:mainnet",
    )  # fmt: skip
    assert (float(feed["confidence_usd"]), feed["caveat"], feed["feed"]) == (1, None, "0x" + ETH.hex())
    assert document["as_of"]["pyth:mainnet"]["finality"] == "finalized"

    second = document["as_of"]["pyth:mainnet"]["block"]
    again = crossmargin(tmp_path, "rebuild")
    assert again.returncode == 0, again.stderr
    assert asked(tmp_path, net)["input_digest"] == document["input_digest"]
    chain = f"eip155:{net.chain_id}"
    earlier = f"{chain}={document['as_of'][chain]['block']},@{second - 1}"
    before = signed_feed(asked(tmp_path, net, "--at", earlier))
    assert (before["used"], before["reason"], before["answer_raw"]) == (False, "no_answer", None)

    with serving(tmp_path) as api:
        account = document["account"]
        assert get(f"{api}/v1/accounts/{account}/health")["input_digest"] == document["input_digest"]


def test_without_guardians_the_price_says_that_nobody_checked_it(
    net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_KEY", "canary")
    served = Served(lambda _: [encoded([ether(2_500)], slot=7, signing=signing(keys=tuple(OTHERS)))])
    with hermes(served) as url:
        (tmp_path / "crossmargin.toml").write_text(configuration(net, url, ""))
        indexed = crossmargin(tmp_path, "index")
    assert indexed.returncode == 0, indexed.stderr
    feed = signed_feed(asked(tmp_path, net))

    assert feed["used"]
    assert feed["caveat"].startswith("unverified: no guardian_sets are configured")
    assert "unverified" in crossmargin(tmp_path, "prices").stdout


def test_a_forged_price_is_not_taken_in(net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMES_KEY", "canary")
    served = Served(lambda _: [encoded([ether(9_999)], slot=7, signing=signing(keys=tuple(OTHERS)))])
    with hermes(served) as url:
        (tmp_path / "crossmargin.toml").write_text(configuration(net, url, guardian_sets()))
        indexed = crossmargin(tmp_path, "index")
    feed = signed_feed(asked(tmp_path, net))

    assert indexed.returncode != 0
    assert "wrong_signature" in indexed.stderr
    assert (feed["used"], feed["reason"]) == (False, "no_answer")
