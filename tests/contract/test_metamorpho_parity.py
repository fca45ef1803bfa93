"""MetaMorpho vaults on their own contract: what shares are a claim on equals what the vaults say, to the last unit."""

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
from chains.evm.morpho_blue.claims import open_shares
from chains.identifiers import Account
from chains.model import Claim, Finality, Side, VenueSpec
from chains.ports import Chain
from chains.registry import connect
from indexer.loop import rebuild
from indexer.store import Reader, Store
from tests.contract import test_morpho_blue_parity as markets
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import invoke
from tests.devnet.evm.metavaults import PLANS, Vault, Vaults, build_vaults
from tests.devnet.evm.morpho import PARAMS, Market
from tests.devnet.evm.vault import approve
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.tables import assert_same_tables
from tests.unit.aggregator.builders import policy

SAMPLES = 12
Counted = Counter[str]


@pytest.mark.parametrize("seed, announced", [(1, True), (2, False)])
def test_every_claim_is_what_the_vault_says(seed: int, *, announced: bool, tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counted()
    with build_vaults(seed=seed) as vaults:
        venue = venue_of(vaults, announced=announced)
        indexed(vaults, venue, path)
        first, head = vaults.probed_from, vaults.node.height()
        with Store.open(path) as store, store.reading() as reader:
            for number in [head - (head - first) * i // SAMPLES for i in range(SAMPLES)]:
                compare(reader, vaults, venue, number, counted)
        assert sum(vaults.succeeded[kind] > 0 for kind in PLANS) >= len(PLANS) - 3, vaults.succeeded

    assert counted["claim"] > 100, counted
    assert counted["vault"] == SAMPLES * 3
    assert min(counted[what] for what in ("component", "illiquid", "pledged", "flagged", "unmodelled")) > 0, counted


def compare(reader: Reader, vaults: Vaults, venue: VenueSpec, number: int, counted: Counted) -> None:
    at = markets.block_of(vaults.lending, number)
    snapshot = reader.venue_snapshot(venue, at)
    claims = open_shares(snapshot)
    assert set(claims) == {raw(vault.address) for vault in vaults.vaults}
    for vault in vaults.vaults:
        claim = claims[raw(vault.address)]
        whole = vaults.ask(vault, "totalSupply()", block=number)
        compare_amount(vaults, vault, claim(whole), whole, number)
        for owner in vaults.lending.people:
            shares = vaults.ask(vault, "balanceOf(address)", owner, block=number)
            counted["claim"] += compare_amount(vaults, vault, claim(shares), shares, number)
            most = vaults.ask(vault, "maxWithdraw(address)", owner, block=number)
            assert claim(shares).redeemable_raw == most, f"block {number}: {vault.address}: {owner}"
            counted["illiquid"] += most < (claim(shares).assets_raw or 0)
        counted["component"] += len(claim(whole).components)
        counted["vault"] += 1
    compare_roles(reader, vaults, venue, number, counted)


def compare_amount(vaults: Vaults, vault: Vault, claim: Claim, shares: int, number: int) -> bool:
    """An amount in assets, and that the components and what the contract keeps for itself are all of it."""
    said = vaults.ask(vault, "convertToAssets(uint256)", shares, block=number)
    assert claim.reasons == ()
    assert claim.assets_raw == said, f"block {number}: {vault.address}: {shares}"
    assert claim.asset == raw(vault.asset.address)
    assert claim.lost_raw == 0
    parts = sum(component.amount_raw for component in claim.components)
    assert 0 <= said - parts <= len(claim.components) + 1
    named = {component.market for component in claim.components}
    assert named <= {raw(market) for market in vaults.queue(vault, number)}
    return shares > 0


def compare_roles(reader: Reader, vaults: Vaults, venue: VenueSpec, number: int, counted: Counted) -> None:
    """A vault's own position is flagged, nobody else's is; its markets are those that the components name."""
    at = markets.block_of(vaults.lending, number)
    snapshot = reader.venue_snapshot(venue, at)
    value = open_book(snapshot)
    owners = {raw(vault.address) for vault in vaults.vaults}
    for unit in reader.unit_snapshots(venue, at):
        valued = value(unit)
        assert valued.roles == (("vault",) if unit.owner in owners else ())
        counted["flagged"] += unit.owner in owners
        counted["unmodelled"] += valued.native is None
        counted["pledged"] += any(key[0][32:] in owners and amount for key, amount in unit.positions.items())
        if unit.owner in owners:
            held = vaults.lending.held(market_of(vaults, unit.unit_id[:32]), "0x" + unit.owner.hex(), number)
            assert unit.positions.get((unit.unit_id[:32], Side.SUPPLY), 0) == held.supply_shares


def market_of(vaults: Vaults, market_id: bytes) -> Market:
    return next(market for market in vaults.lending.markets if raw(market.id) == market_id)


def venue_of(vaults: Vaults, *, announced: bool = True) -> VenueSpec:
    options: dict[str, list[str]] = {"vault_factories": [vaults.factory]}
    if not announced:
        options = {"vaults": [vault.address for vault in vaults.vaults]}
    return replace(markets.venue_of(vaults.lending), options=options)


def indexed(vaults: Vaults, venue: VenueSpec, path: Path, *, span: int | None = None) -> None:
    chain: Chain = connect(markets.chain_spec(vaults.lending), [venue], [])
    chain = chain if span is None else Narrow(chain, span)
    with Store.open(path) as store:
        asyncio.run(take_in(chain, store))


@pytest.mark.parametrize("announced", [True, False])
def test_tables_depend_neither_on_the_cut_nor_on_a_node(*, announced: bool, tmp_path: Path) -> None:
    whole, cut, again = (tmp_path / f"{name}.duckdb" for name in ("whole", "cut", "again"))
    with build_vaults(seed=3, actions=40) as vaults:
        venue, spec = venue_of(vaults, announced=announced), markets.chain_spec(vaults.lending)
        indexed(vaults, venue, whole)
        indexed(vaults, venue, cut, span=7)
        indexed(vaults, venue, again)

    with Store.open(again) as store:
        asyncio.run(rebuild(spec, [venue], [], store, listener=Heard()))
    looked = frozenset({"evm_block"})  # a block without a log is there for what was looked at in it
    assert assert_same_tables(whole, cut, without=looked, sights=False) > 300
    assert assert_same_tables(whole, again) > 300


def test_a_health_document_looks_through_shares_that_are_pledged_and_in_custody(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build_vaults(seed=4, actions=30) as vaults:
        vault, ledger, lending = vaults.vaults[0], vaults.lending.ledger, vaults.lending
        custody = ledger.deploy(lending.admin, own_bytecode("Vault"))
        began = vaults.node.height()
        both, outside = lending.people[1], lending.liquidator
        ledger.do(approve(vault.asset.address, outside, vault.address))
        for who in (both, outside):
            ledger.do(vaults.invoke(who, vault, "deposit(uint256,address)", 10**10, who))
            ledger.do(approve(vault.address, who, custody))
            ledger.do(invoke(who, custody, "deposit(address,uint256)", vault.address, 4 * 10**21))
        pledge = f"supplyCollateral({PARAMS},uint256,address,bytes)"
        ledger.do(lending.invoke(both, pledge, vault.pledged_in.params, 10**21 + 7, both, b""))
        vaults.lending.run(5)
        venues = (venue_of(vaults), custody_of(vaults, custody, began))
        chain: Chain = connect(markets.chain_spec(lending), list(venues), [])
        with Store.open(path) as store:
            asyncio.run(take_in(chain, store))
            with store.reading() as reader:
                documents = {who: health(reader, vaults, venues, who) for who in (both, outside)}
        pledged = lending.held(vault.pledged_in, both).collateral
        shares = {both: {pledged, 4 * 10**21}, outside: {4 * 10**21}}
        for who, document in documents.items():
            found = [position for position in positions(document) if position.claim is not None]
            assert {int(position.amount_raw) for position in found} == shares[who]
            for position in found:
                assert_claim(position, vaults, vault)
        assert [venue.venue for venue in documents[outside].venues] == ["custody"]


def assert_claim(position: PositionView, vaults: Vaults, vault: Vault) -> None:
    claim = position.claim
    assert claim is not None
    assert claim.assets_raw == str(vaults.ask(vault, "convertToAssets(uint256)", int(position.amount_raw)))
    assert {component.venue for component in claim.components} == {"morpho"}
    parts = sum(int(component.amount_raw) for component in claim.components)
    assert 0 <= int(claim.assets_raw) - parts <= len(claim.components) + 1
    assert claim.asset is not None
    assert claim.asset.lower().endswith(vault.asset.address)


def positions(document: HealthDocument) -> list[PositionView]:
    return [position for venue in document.venues for unit in venue.units for position in unit.positions]


def health(reader: Reader, vaults: Vaults, venues: tuple[VenueSpec, ...], who: str) -> HealthDocument:
    """The document of an account; that of its inputs, written and read again, is the same."""
    chain_id = venues[0].chain_id
    at = markets.block_of(vaults.lending, vaults.node.height())
    account = MarginAccount(id=who, members=(str(Account(chain_id, raw(who))),))
    cuts = {chain_id: Cut(block=at, finality=Finality.FINALIZED)}
    inputs = gather(reader, account, cuts, Catalogue(venues=venues, feeds=(), assets=(), policy=policy()))
    document = evaluate(inputs)
    assert evaluate(from_json(to_json(inputs))) == document
    return document


def custody_of(vaults: Vaults, address: str, start_block: int) -> VenueSpec:
    chain_id = markets.venue_of(vaults.lending).chain_id
    return VenueSpec(
        id="custody", protocol="escrow", chain_id=chain_id, address=raw(address), start_block=start_block, options={}
    )
