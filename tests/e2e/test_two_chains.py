"""Two real chains through the installed command and HTTP: what users are told equals what the contracts say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.truth import truth_at
from tests.support.product import chain_tables, crossmargin, get, serving

NATIVE = {
    "totalCollateralBase": "total_collateral_base",
    "totalDebtBase": "total_debt_base",
    "availableBorrowsBase": "available_borrows_base",
    "currentLiquidationThreshold": "current_liquidation_threshold",
    "ltv": "ltv",
    "healthFactor": "health_factor",
}


@pytest.fixture(scope="module")
def nets() -> Iterator[tuple[Devnet, Devnet]]:
    with build(chain_id=31_337, seed=41) as north, build(chain_id=31_338, seed=41) as south:
        yield north, south


@pytest.fixture(scope="module")
def folder(nets: tuple[Devnet, Devnet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-chains")
    (folder / "crossmargin.toml").write_text(configuration(nets))
    done = crossmargin(folder, "index", "--until", "latest")
    assert done.returncode == 0, done.stderr
    return folder


def test_every_user_on_both_chains_gets_the_contracts_numbers_over_http(
    nets: tuple[Devnet, Devnet], folder: Path
) -> None:
    compared = 0
    with serving(folder) as url:
        for net in nets:
            head = net.node.height()
            for block in (head, *(head - head * i // 12 for i in (1, 4, 7))):
                truth = truth_at(net.node, net.market, block)
                for owner, account in truth.accounts.items():
                    native = native_of(get(f"{url}/v1/accounts/eip155:{net.chain_id}:{owner}/health?at={block}"))
                    assert native == {name: str(getattr(account, field)) for name, field in NATIVE.items()}
                    compared += 1

    assert compared > 150


def test_one_account_over_both_chains_is_answered_alike_by_command_and_http(
    nets: tuple[Devnet, Devnet], folder: Path
) -> None:
    with serving(folder) as url:
        asked = crossmargin(folder, "health", "acme", "--json")
        served = get(f"{url}/v1/accounts/acme/health")
    alone = crossmargin(folder, "health", "acme", "--json")

    assert json.loads(asked.stdout) == json.loads(alone.stdout) == served
    assert {venue["chain"] for venue in served["venues"]} == {"eip155:31337", "eip155:31338"}
    assert served["as_of"]["eip155:31338"]["block"] == nets[1].node.height()
    digest = served["input_digest"]
    inputs = crossmargin(folder, "inputs", digest)
    assert inputs.returncode == 0
    assert json.loads(inputs.stdout)["account"]


def test_a_bare_address_is_that_key_on_every_chain(nets: tuple[Devnet, Devnet], folder: Path) -> None:
    owner = nets[0].users[0]

    document = json.loads(crossmargin(folder, "health", owner, "--json").stdout)

    key = to_checksum_address(owner)
    assert document["members"] == [f"eip155:31337:{key}", f"eip155:31338:{key}"]


def configuration(nets: tuple[Devnet, Devnet]) -> str:
    key = to_checksum_address(busiest(nets))
    members = ", ".join(f'"eip155:{net.chain_id}:{key}"' for net in nets)
    account = f'[[account]]\nid = "acme"\nmembers = [{members}]\n'
    return "\n".join(['[store]\npath = "two.duckdb"\n', *map(chain_tables, nets), account])


def busiest(nets: tuple[Devnet, Devnet]) -> str:
    """The owner with debt on both chains and most of it."""
    debts = [{user: data.total_debt_base for user, data in net.scene.accounts(net.users).items()} for net in nets]
    return max(nets[0].users, key=lambda user: min(debt.get(user, 0) for debt in debts))


def native_of(document: dict[str, Any]) -> dict[str, str]:
    (unit,) = [unit for venue in document["venues"] for unit in venue["units"]]
    assert unit["native"] is not None, unit["reasons"]
    return dict(unit["native"])
