"""Deposits on EVM chains and on Solana in one configuration: one vault on each chain, one account over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.devnet.evm import vault as evm_vault
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.node import header_request
from tests.devnet.evm.truth import truth_at
from tests.devnet.evm.vault import Custody, Token
from tests.devnet.solana.chain import Devnet as SolanaDevnet
from tests.devnet.solana.chain import build as build_solana
from tests.devnet.solana.pyth import FEED_IDS, price_account
from tests.support.product import chain_tables, crossmargin, get, serving

SYMBOL = "VTB"
IDENTITY = "USD"
DEPOSITORS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Nets:
    """Aave and a vault on one EVM chain, a vault alone on another, a vault on Solana."""

    market: Devnet
    north: Custody
    south: Custody
    solana: SolanaDevnet

    @property
    def owner(self) -> str:
        """An EVM key with deposits in both EVM vaults."""
        return self.market.users[0]

    @property
    def debtor(self) -> str:
        """An EVM key with debt on Aave and nothing in a vault."""
        accounts = truth_at(self.market.node, self.market.market, self.market.node.height()).accounts
        return max(
            self.market.users[DEPOSITORS:], key=lambda user: accounts[user].total_debt_base if user in accounts else 0
        )

    @property
    def depositor(self) -> str:
        """A Solana key with a deposit of dollars."""
        mint = self.solana.mints["USDC"].address
        nets = self.solana.expected_at(self.solana.ledger.tip.slot).nets
        return max((net, owner) for (owner, of), net in nets.items() if of == mint)[1]


@pytest.fixture(scope="module")
def nets() -> Iterator[Nets]:
    with (
        build(chain_id=31_337, seed=51, actions=120) as market,
        evm_vault.build(chain_id=31_338, seed=51) as south,
        build_solana(seed=51, actions=200, price_every=10) as solana,
    ):
        north = evm_vault.open_custody(market.ledger, chain_id=31_337, seed=51, people=market.users[:DEPOSITORS])
        north.run(60)
        solana.finalize()
        yield Nets(market=market, north=north, south=south, solana=solana)


@pytest.fixture(scope="module")
def folder(nets: Nets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both-families")
    (folder / "crossmargin.toml").write_text(configuration(nets))
    done = crossmargin(folder, "index", "--until", "latest")
    assert done.returncode == 0, done.stderr
    return folder


def test_one_document_has_members_on_both_kinds_of_network_each_pinned_by_hash(nets: Nets, folder: Path) -> None:
    document = health(folder)

    head = nets.market.node.height()
    (block,) = nets.market.node.batch([header_request(head)])
    final = nets.solana.ledger.tip.slot - 32
    assert document["as_of"]["eip155:31337"]["block"] == head
    assert document["as_of"]["eip155:31337"]["hash"] == block["hash"]
    pinned = next(b for b in nets.solana.ledger.blocks if b.slot == document["as_of"][nets.solana.chain_id]["block"])
    assert document["as_of"][nets.solana.chain_id]["hash"] == str(pinned.hash)
    assert document["as_of"][nets.solana.chain_id]["finality"] == "finalized"
    assert pinned.slot <= final
    assert {venue["venue"] for venue in document["venues"]} >= {"aave-31337", "vault-31337", "vault-solana"}


def test_every_deposit_is_what_its_own_chain_says(nets: Nets, folder: Path) -> None:
    document = health(folder)

    for custody in (nets.north, nets.south):
        token = priced(custody)
        held = amounts(document, f"vault-{custody.chain_id}")
        assert held.get(f"eip155:{custody.chain_id}/erc20:{token.address}".lower(), 0) == custody.credited(
            nets.owner, token
        )
    slot = document["as_of"][nets.solana.chain_id]["block"]
    expected = {
        f"{nets.solana.chain_id}/token:{mint}".lower(): net
        for (owner, mint), net in nets.solana.expected_at(slot).nets.items()
        if owner == nets.depositor
    }
    assert amounts(document, "vault-solana") == expected


def test_collateral_on_solana_lifts_the_house_and_no_venue(nets: Nets, folder: Path) -> None:
    whole, alone = health(folder, "dana"), health(folder, f"eip155:31337:{nets.debtor}")

    assert float(whole["health_factor"]) > float(alone["health_factor"])
    assert whole["min_unit_health_factor"] == alone["min_unit_health_factor"] is not None
    assert whole["debt"] == alone["debt"]
    dollars = next(item for item in positions(whole, "vault-solana") if item["symbol"] == "USDC")
    assert dollars["counted"] is True
    assert dollars["asset_class"] == "stable"
    price = next(item for item in whole["prices"] if item["identity"] == IDENTITY)
    assert {feed["kind"] for feed in price["feeds"]} == {"chainlink", "pyth-solana"}


def test_the_service_answers_as_the_command_does(folder: Path) -> None:
    with serving(folder) as url:
        served = get(f"{url}/v1/accounts/acme/health")

    assert served == health(folder)


def health(folder: Path, account: str = "acme") -> dict[str, Any]:
    done = crossmargin(folder, "health", account, "--json")
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def positions(document: dict[str, Any], venue: str) -> list[dict[str, Any]]:
    return [
        position
        for found in document["venues"]
        if found["venue"] == venue
        for unit in found["units"]
        for position in unit["positions"]
    ]


def amounts(document: dict[str, Any], venue: str) -> dict[str, int]:
    """Raw amounts by asset; the ids in lower case, for EVM addresses have checksums here and none in the devnet."""
    return {item["asset"].lower(): int(item["amount_raw"]) for item in positions(document, venue)}


def priced(custody: Custody) -> Token:
    return next(token for token in custody.vault.tokens if token.symbol == SYMBOL)


def configuration(nets: Nets) -> str:
    """One file for all of it."""
    solana = nets.solana
    return f"""
{chain_tables(nets.market)}

[[chain]]
id = "eip155:31338"
rpc = ["{nets.south.node.url}"]

{vault_tables(nets.north)}
{vault_tables(nets.south)}

[[chain]]
id = "{solana.chain_id}"
name = "solana-devnet"
rpc = ["{solana.url}"]
ws = ["{solana.ws_url}"]
start_block = {solana.ledger.first_slot}

[[venue]]
id = "vault-solana"
protocol = "spl-escrow"
chain = "{solana.chain_id}"
address = "{solana.vault.authority}"
accounts = {json.dumps([str(account) for account in solana.vault.all_accounts])}
start_block = {solana.ledger.first_slot}
liabilities = "none"

[[asset]]
id = "{solana.chain_id}/token:{solana.mints["USDC"].address}"
symbol = "USDC"
class = "stable"
same_as = "{IDENTITY}"

[[feed]]
asset = "{solana.chain_id}/token:{solana.mints["USDC"].address}"
kind = "pyth-solana"
address = "{price_account("USDC/USD")}"
feed_id = "{FEED_IDS["USDC/USD"].hex()}"
heartbeat = "1h"

{market_tables(nets.market)}

[[account]]
id = "acme"
members = [
    "eip155:31337:{nets.owner}",
    "eip155:31338:{nets.owner}",
    "{solana.chain_id}:{nets.depositor}",
]

[[account]]
id = "dana"
members = ["eip155:31337:{nets.debtor}", "{solana.chain_id}:{nets.depositor}"]
"""


def market_tables(net: Devnet) -> str:
    """Every reserve with its feed; only the dollar has an identity on other chains."""
    chain_id = f"eip155:{net.chain_id}"
    return "".join(
        f"""
[[asset]]
id = "{chain_id}/erc20:{reserve.asset}"
class = "{"stable" if reserve.symbol == "USDC" else "major"}"
same_as = "{IDENTITY if reserve.symbol == "USDC" else reserve.symbol}"

[[feed]]
asset = "{chain_id}/erc20:{reserve.asset}"
kind = "chainlink"
address = "{reserve.feed.proxy}"
heartbeat = "2000h"
"""
        for reserve in net.market.reserves
    )


def vault_tables(custody: Custody) -> str:
    chain_id = f"eip155:{custody.chain_id}"
    return f"""
[[venue]]
id = "vault-{custody.chain_id}"
protocol = "escrow"
chain = "{chain_id}"
address = "{custody.vault.address}"
start_block = {custody.vault.start_block}
liabilities = "none"

[[asset]]
id = "{chain_id}/erc20:{priced(custody).address}"
class = "stable"
same_as = "{IDENTITY}"
"""
