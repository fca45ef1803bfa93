"""Recorded runs of MetaMorpho 1.1: vaults, shares and losses equal what the contracts said at every sampled block."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chains.evm.morpho_blue.shares import Vault, open_shares, vaults_at
from chains.model import Reason
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.loop import Until, rebuild
from indexer.store import Reader, Store
from tests.support.evm_runs import VARIABLE, folders
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.kept import Kept
from tests.support.tables import assert_same_tables
from tests.support.vault_runs import VaultRun

VIRTUAL = 10**6
LOOKED_AT = frozenset({"evm_block"})
"""Blocks are stored too where a restless oracle was looked at, which the ends of spans decide."""


@pytest.fixture(params=sorted(folders("metamorpho")), scope="module")
def run(request: pytest.FixtureRequest) -> VaultRun:
    return VaultRun.load(folders("metamorpho")[request.param])


@pytest.fixture(scope="module")
def whole(run: VaultRun, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as it is stored when it was taken in by one span."""
    return kept.taken_in(run, tmp_path_factory.mktemp(run.name) / "whole.duckdb")


@pytest.fixture(scope="module")
def store(whole: Path) -> Iterator[Store]:
    with Store.open(shutil.copy(whole, whole.with_name("store.duckdb"))) as store:
        yield store


@pytest.fixture
def stored(store: Store) -> Iterator[Reader]:
    with store.reading() as reader:
        yield reader


async def index(
    run: VaultRun, store: Store, *, until: Until = "latest", span: int = 10_000, as_first_version: bool = False
) -> Heard:
    async with ReplayNode(run.recording(as_first_version=as_first_version)) as node:
        chain = Narrow(connect(run.spec(node.url), [run.venue()], []), span)
        return await take_in(chain, store, until=until)


def test_there_is_a_run() -> None:
    if not folders("metamorpho"):
        pytest.skip(f"no recorded runs: {VARIABLE} names no folder that holds any")
    assert all(VaultRun.load(folder).samples for folder in folders("metamorpho").values())


def test_every_number_of_a_vault_is_the_contracts_own(run: VaultRun, stored: Reader) -> None:
    counted = Counter[str]()
    for sample in run.samples:
        opened = vaults_of(run, stored, sample)
        assert opened.keys() == {raw(address) for address in sample["vaults"]}
        for address, said in sample["vaults"].items():
            vault = opened[raw(address)]
            assert not isinstance(vault.standing, Reason), f"block {sample['block']}: {vault.standing}"
            ours = {
                "totalAssets": vault.standing.total,
                "lastTotalAssets": vault.books.last_total,
                "lostAssets": vault.books.lost,
                "totalSupply": vault.books.supply,
                "fee": vault.books.fee,
            }
            assert {name: str(value) for name, value in ours.items()} == {name: said[name] for name in ours}
            counted["vault"] += 1
            counted["lost before"] += vault.books.lost > 0
            counted["lost since"] += vault.standing.lost > vault.books.lost
            counted["fee shares"] += vault.standing.fee_shares > 0

    assert min(counted[what] for what in ("lost before", "lost since", "fee shares")) > 5, counted


def test_a_vault_has_in_each_market_of_its_queue_what_the_market_owes_it(run: VaultRun, stored: Reader) -> None:
    counted = Counter[str]()
    for sample in run.samples:
        opened = vaults_of(run, stored, sample)
        for address, said in sample["vaults"].items():
            expected = dict(places_of(said))
            ours = {place.market: (place.assets, place.payable) for place in opened[raw(address)].places}
            assert ours == {
                market: expected[market] for market in map(raw, said["withdrawQueue"]) if market in expected
            }
            counted["market"] += len(ours)
            counted["left in a removed market"] += len(expected.keys() - ours.keys())

    assert min(counted.values()) > 5, counted


def test_shares_are_worth_what_the_vault_says_less_what_it_has_lost(run: VaultRun, stored: Reader) -> None:
    counted = Counter[str]()
    for sample in run.samples:
        shares = open_shares(stored.venue_snapshot(run.venue(), run.block(sample["block"])))
        opened = vaults_of(run, stored, sample)
        for address, said in sample["vaults"].items():
            for account in said["accounts"].values():
                claim = shares[raw(address)](int(account["balanceOf"]))
                assert str(claim.assets_raw) == account["convertToAssets"] == account["previewRedeem"]
                assert str(claim.redeemable_raw) == account["maxWithdraw"]
                assert claim.assets_raw is not None
                assert claim.lost_raw is not None
                parts = sum(part.amount_raw for part in claim.components)
                assert 0 <= claim.assets_raw - claim.lost_raw - parts <= len(opened[raw(address)].places) + 1
                counted["claim"] += 1
                counted["less"] += claim.lost_raw > 0

    assert counted["claim"] > 200, counted
    assert counted["less"] > 50, counted


def test_a_vault_that_hides_that_it_keeps_losses_is_not_believed(run: VaultRun, tmp_path: Path) -> None:
    """Taken for one of 1.0, it says another total than its arithmetic gives as soon as it has lost something."""
    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(index(run, store, as_first_version=True))
        with store.reading() as reader:
            opened = vaults_of(run, reader, run.samples[-1])

    kept = {raw(address) for address, said in run.samples[-1]["vaults"].items() if int(said["lostAssets"])}
    found = {address for address, vault in opened.items() if isinstance(vault.standing, Reason)}
    assert kept <= found
    assert {code_of(opened[address]) for address in found} == {"vault_in_doubt"}


def test_tables_depend_neither_on_cuts_nor_on_the_network(run: VaultRun, whole: Path, tmp_path: Path) -> None:
    cut, again = tmp_path / "cut.duckdb", tmp_path / "again.duckdb"
    with Store.open(cut) as taken:
        asyncio.run(index(run, taken, span=17))
    with Store.open(shutil.copy(whole, again)) as rebuilt:
        asyncio.run(rebuild(run.spec("http://127.0.0.1:9"), [run.venue()], [], rebuilt, listener=Heard()))

    assert assert_same_tables(whole, cut, sights=False, without=LOOKED_AT) > 1_000
    assert assert_same_tables(whole, again) > 1_000


def vaults_of(run: VaultRun, reader: Reader, sample: Mapping[str, Any]) -> dict[bytes, Vault]:
    snapshot = reader.venue_snapshot(run.venue(), run.block(sample["block"]))
    return {vault.address: vault for vault in vaults_at(snapshot)}


def code_of(vault: Vault) -> str:
    return vault.standing.code if isinstance(vault.standing, Reason) else ""


def places_of(said: Mapping[str, Any]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """What a vault has in each market, and what the market could pay out of that, by the market's totals and its shares."""
    for market, each in said["markets"].items():
        shares, supplied, total_shares, borrowed = (
            int(each[name]) for name in ("shares", "totalSupplyAssets", "totalSupplyShares", "totalBorrowAssets")
        )
        assets = shares * (supplied + 1) // (total_shares + VIRTUAL)
        yield raw(market), (assets, min(assets, supplied - borrowed))
