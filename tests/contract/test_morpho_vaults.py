"""MetaMorpho vaults on their own contract: what their shares are a claim on equals the contract's own views, to the last unit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.gather import Catalogue, gather
from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument, PositionView
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Cut, MarginAccount
from chains.evm.morpho_blue import open_book
from chains.evm.morpho_blue.shares import open_shares, vaults_at
from chains.identifiers import Account
from chains.model import Finality, Reason, VenueSpec
from chains.registry import connect
from indexer.loop import rebuild
from indexer.store import Reader, Store
from tests.contract.test_morpho_blue_parity import block_of, chain_spec, venue_of
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import invoke
from tests.devnet.evm.metamorpho import Pools, deploy
from tests.devnet.evm.morpho import DAY, PARAMS, build
from tests.devnet.evm.vault import Token, approve
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.tables import assert_same_tables
from tests.unit.aggregator.builders import policy

SAMPLED = 15
LOOKED_AT = frozenset({"evm_block"})
"""Blocks are stored too where a restless oracle was looked at, which the ends of spans decide."""


@pytest.mark.parametrize("seed", [1, 77])
def test_every_number_of_a_vault_equals_its_own_views(seed: int, tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counter[str]()
    with build(seed=seed, actions=40) as lending:
        pools = deploy(lending)
        first = lending.node.height()
        pools.run(40)
        indexed(pools, path)
        head = lending.node.height()

        with Store.open(path) as store, store.reading() as reader:
            for number in sorted({head, *(first + (head - first) * i // SAMPLED for i in range(SAMPLED))}):
                compare(reader, pools, number, counted)

    assert min(counted[what] for what in ("vault", "claim", "market", "redeemable less")) > 5, counted
    assert len(pools.succeeded) > 8, pools.succeeded


def compare(reader: Reader, pools: Pools, number: int, counted: Counter[str]) -> None:
    lending = pools.lending
    at = block_of(lending, number)
    snapshot = reader.venue_snapshot(venue_with(pools), at)
    shares, opened = open_shares(snapshot), {vault.address: vault for vault in vaults_at(snapshot)}
    for pool in pools.pools:
        ours = opened[raw(pool.address)]
        standing = ours.standing
        assert not isinstance(standing, Reason), standing
        assert (
            standing.total,
            ours.books.last_total,
            ours.books.supply,
            ours.books.fee,
        ) == tuple(
            pools.asked(pool, view, block=number)
            for view in ("totalAssets()", "lastTotalAssets()", "totalSupply()", "fee()")
        )
        counted["vault"] += 1
        for owner in (*lending.people, lending.admin):
            held = pools.asked(pool, "balanceOf(address)", owner, block=number)
            claim = shares[raw(pool.address)](held)
            assert claim.assets_raw == pools.asked(pool, "convertToAssets(uint256)", held, block=number)
            assert claim.assets_raw == pools.asked(pool, "previewRedeem(uint256)", held, block=number)
            assert claim.redeemable_raw == pools.asked(pool, "maxWithdraw(address)", owner, block=number)
            parts = sum(part.amount_raw for part in claim.components)
            assert claim.lost_raw is not None
            assert 0 <= claim.assets_raw - claim.lost_raw - parts <= len(claim.components) + 1
            counted["claim"] += held > 0
            counted["redeemable less"] += claim.redeemable_raw < claim.assets_raw
        for place in ours.places:
            market = next(each for each in pool.markets if raw(each.id) == place.market)
            _, numbers, _ = lending.probed(market, number)
            supplied = lending.held(market, pool.address, number).supply_shares
            assert place.assets == supplied * (numbers.supply_assets + 1) // (numbers.supply_shares + 10**6)
            assert place.payable == min(place.assets, numbers.supply_assets - numbers.borrow_assets)
            counted["market"] += 1


def test_a_vaults_own_lending_is_marked_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=4, actions=40) as lending:
        pools = deploy(lending)
        pools.run(25)
        indexed(pools, path)
        at = block_of(lending, lending.node.height())
        with Store.open(path) as store, store.reading() as reader:
            value = open_book(reader.venue_snapshot(venue_with(pools), at))
            units = [value(unit) for unit in reader.unit_snapshots(venue_with(pools), at)]

    vaults = {raw(pool.address) for pool in pools.pools}
    assert (
        {unit.owner for unit in units if unit.roles} == {unit.owner for unit in units if unit.owner in vaults} != set()
    )
    assert {unit.roles for unit in units if unit.roles} == {("vault",)}


def test_shares_as_collateral_are_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=8, actions=20) as lending:
        pools = deploy(lending)
        pools.run(15)
        pool, market = pools.pools[0], pledge_shares(pools)
        indexed(pools, path)
        at = block_of(lending, lending.node.height())
        with Store.open(path) as store, store.reading() as reader:
            value = open_book(reader.venue_snapshot(venue_with(pools), at))
            units = [value(unit) for unit in reader.unit_snapshots(venue_with(pools), at)]
        (pledged,) = [each for unit in units if unit.unit_id[:32] == market for each in unit.positions]
        worth = pools.asked(pool, "convertToAssets(uint256)", pledged.amount_raw)

    claim = pledged.claim
    assert pledged.asset == raw(pool.address)
    assert claim is not None
    assert claim.asset == raw(pool.asset.address)
    assert claim.assets_raw == worth > 0
    assert {part.venue_id for part in claim.components} == {"morpho"}


def pledge_shares(pools: Pools) -> bytes:
    """Let somebody pledge all his shares of the first vault in a market of their own; the market's id."""
    lending, pool = pools.lending, pools.pools[0]
    like = lending.markets[0]
    shares = Token(address=pool.address, symbol="shares", decimals=18)
    market = replace(like, name="shares", collateral=shares, oracle=lending.mock)
    amount = 10 ** (pool.asset.decimals or 0) * 1_000
    owner = lending.people[0]
    lending.ledger.do(lending.invoke(lending.admin, f"createMarket({PARAMS})", market.params))
    lending.ledger.do(
        invoke(owner, pool.address, "deposit(uint256,address)", amount, owner, gas=9_000_000),
        approve(pool.address, owner, lending.address),
    )
    held = pools.shares(pool, owner)
    signature = f"supplyCollateral({PARAMS},uint256,address,bytes)"
    lending.ledger.do(lending.invoke(owner, signature, market.params, held, owner, b""))
    return raw(market.id)


def test_vaults_of_a_factory_are_followed_from_their_creation_on(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=9, actions=20) as lending:
        pools = deploy(lending)
        known, admin, owner = pools.pools[1], lending.admin, lending.people[0]
        market = known.markets[0]
        create = "createMetaMorpho(address,uint256,address,string,string,bytes32)"
        terms = [admin, DAY, known.asset.address, "Made", "MADE", bytes(32)]
        lending.ledger.do(invoke(admin, pools.factory, create, *terms, gas=12_000_000))
        (log,) = lending.node.call("eth_getLogs", {"fromBlock": "0x0", "address": pools.factory})
        vault = replace(known, address="0x" + log["topics"][1][-40:])
        lending.ledger.do(
            invoke(admin, vault.address, f"submitCap({PARAMS},uint256)", market.params, 10**24),
            approve(known.asset.address, owner, vault.address),
        )
        lending.ledger.do(invoke(admin, vault.address, f"acceptCap({PARAMS})", market.params), seconds=2 * DAY)
        queue = [bytes.fromhex(market.id[2:])]
        lending.ledger.do(invoke(admin, vault.address, "setSupplyQueue(bytes32[])", queue))
        lending.ledger.do(invoke(owner, vault.address, "deposit(uint256,address)", 10**18, owner, gas=9_000_000))
        venue = replace(venue_of(lending), options={"vault_factories": (pools.factory,)})
        with Store.open(path) as store:
            asyncio.run(take_in(connect(chain_spec(lending), [venue], []), store))
            with store.reading() as reader:
                shares = open_shares(reader.venue_snapshot(venue, block_of(lending, lending.node.height())))
        held = pools.shares(vault, owner)
        worth = pools.asked(vault, "convertToAssets(uint256)", held)

    assert set(shares) == {raw(vault.address)}
    assert shares[raw(vault.address)](held).assets_raw == worth > 0


def test_tables_do_not_depend_on_cuts_and_are_derived_again_without_a_node(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=5, actions=30) as lending:
        pools = deploy(lending)
        pools.run(20)
        indexed(pools, whole)
        indexed(pools, cut, span=7)
        assert assert_same_tables(whole, cut, sights=False, without=LOOKED_AT) > 200
        spec = chain_spec(lending)

    with Store.open(cut) as store:
        asyncio.run(rebuild(spec, [venue_with(pools)], [], store, listener=Heard()))
    assert assert_same_tables(whole, cut, sights=False, without=LOOKED_AT) > 200


def indexed(pools: Pools, path: Path, *, span: int | None = None) -> None:
    chain = connect(chain_spec(pools.lending), [venue_with(pools)], [])
    with Store.open(path) as store:
        asyncio.run(take_in(chain if span is None else Narrow(chain, span), store))


def venue_with(pools: Pools) -> VenueSpec:
    return replace(venue_of(pools.lending), options={"vaults": tuple(pool.address for pool in pools.pools)})


def test_shares_in_custody_are_looked_through_with_what_the_vaults_venue_knows(tmp_path: Path) -> None:
    with build(seed=8, actions=20) as lending:
        pools = deploy(lending)
        pools.run(15)
        pool, market = pools.pools[0], pledge_shares(pools)
        both, outside = lending.people[0], lending.liquidator
        custody, held = custody_with(pools, both, outside)
        venues = (venue_with(pools), custody)
        chain = connect(chain_spec(lending), list(venues), [])
        with Store.open(tmp_path / "store.duckdb") as store:
            asyncio.run(take_in(chain, store))
            with store.reading() as reader:
                documents = {who: health(reader, pools, venues, who) for who in (both, outside)}
        looked = {who: [each for each in positions_of(documents[who]) if each.look_through] for who in documents}
        for position in (each for found in looked.values() for each in found):
            said = position.look_through
            assert said is not None
            assert said.assets_raw == str(pools.asked(pool, "convertToAssets(uint256)", int(position.amount_raw)))
            parts = sum(int(part.amount_raw) for part in said.components)
            assert 0 <= int(said.assets_raw) - parts <= len(said.components) + 1
            assert {part.venue for part in said.components} == {"morpho"}
        pledged = pledged_in(pools, market, both)

    assert min(held.values()) > 0
    assert [int(each.amount_raw) for each in looked[outside]] == [held[outside]]
    assert {int(each.amount_raw) for each in looked[both]} == {held[both], pledged}
    assert [venue.venue for venue in documents[outside].venues] == ["custody"]


def custody_with(pools: Pools, *owners: str) -> tuple[VenueSpec, dict[str, int]]:
    """A contract that holds a part of everybody's shares of the first vault, and how much for whom."""
    lending, pool = pools.lending, pools.pools[0]
    address = lending.ledger.deploy(lending.admin, own_bytecode("Vault"))
    start_block = lending.node.height()
    amount = 10 ** (pool.asset.decimals or 0) * 1_000
    held = {}
    for owner in owners:
        lending.ledger.do(approve(pool.asset.address, owner, pool.address), approve(pool.address, owner, address))
        lending.ledger.do(invoke(owner, pool.address, "deposit(uint256,address)", amount, owner, gas=9_000_000))
        held[owner] = pools.shares(pool, owner) * 2 // 3
        lending.ledger.do(invoke(owner, address, "deposit(address,uint256)", pool.address, held[owner]))
    chain_id = venue_with(pools).chain_id
    venue = VenueSpec(id="custody", protocol="escrow", chain_id=chain_id, address=raw(address), start_block=start_block)
    return venue, held


def pledged_in(pools: Pools, market: bytes, owner: str) -> int:
    """What somebody has pledged in a market."""
    asked = calldata("position(bytes32,address)", market, owner)
    answer = pools.lending.node.eth_call(pools.lending.address, asked, "latest")
    return int(decode(["uint256", "uint128", "uint128"], answer)[2])


def positions_of(document: HealthDocument) -> list[PositionView]:
    return [position for venue in document.venues for unit in venue.units for position in unit.positions]


def health(reader: Reader, pools: Pools, venues: tuple[VenueSpec, ...], who: str) -> HealthDocument:
    """The document of an account; that of its inputs, written and read again, is the same."""
    chain_id = venues[0].chain_id
    at = block_of(pools.lending, pools.lending.node.height())
    account = MarginAccount(id=who, members=(str(Account(chain_id, raw(who))),))
    cuts = {chain_id: Cut(block=at, finality=Finality.FINALIZED)}
    inputs = gather(reader, account, cuts, Catalogue(venues=venues, feeds=(), assets=(), policy=policy()))
    document = evaluate(inputs)
    assert evaluate(from_json(to_json(inputs))) == document
    return document
