"""Morpho Blue on its own contracts: every number that is derived here equals the contracts' own, to the last unit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chains.evm.morpho_blue import MorphoBlue, open_book
from chains.evm.morpho_blue.curve import borrow_rate
from chains.evm.morpho_blue.events import BORROW, BORROW_RATE_VIEW, LIQUIDATE, REPAY, SUPPLY
from chains.evm.morpho_blue.maths import Totals
from chains.evm.morpho_blue.tips import totals_of
from chains.model import Block, ChainSpec, Side, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.ports import Chain
from chains.registry import connect
from indexer.loop import rebuild
from indexer.store import Reader, Store
from tests.devnet.evm import feeds
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.morpho import PLANS, Held, Lending, Market, Numbers, build
from tests.devnet.evm.vault import integers
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.omitting import Place, omitting
from tests.support.tables import assert_same_tables, tables_of
from tests.support.views import assert_views_name_every_token

EARLIER_BLOCKS = 10
Counted = Counter[str]


@pytest.mark.parametrize("seed", [1, 20, 300])
def test_every_number_equals_the_contracts_at_head_and_ten_earlier_blocks(seed: int, tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counted()
    with build(seed=seed) as lending:
        indexed(lending, path)
        first, head = lending.probed_from, lending.node.height()
        blocks = [head, *(first + (head - first) * i // (EARLIER_BLOCKS + 1) for i in range(1, EARLIER_BLOCKS + 1))]

        with Store.open(path) as store, store.reading() as reader:
            for number in blocks:
                compare(reader, lending, number, counted)

    assert min(counted[what] for what in ("market", "position", "accrued", "healthy", "unhealthy", "unknown")) > 5, (
        counted
    )


def test_a_market_with_a_rate_that_is_set_once_is_valued_at_every_block(tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counted()
    with build(seed=12, actions=300, fixed=True) as lending:
        market = lending.markets[0]
        indexed(lending, path)
        with Store.open(path) as store, store.reading() as reader:
            for number in range(lending.node.height() - 40, lending.node.height() + 1, 10):
                compare(reader, lending, number, counted)
                at = block_of(lending, number)
                value = open_book(reader.venue_snapshot(venue_of(lending), at))
                units = [value(unit) for unit in reader.unit_snapshots(venue_of(lending), at)]
                mine = [unit for unit in units if unit.unit_id[:32] == raw(market.id) and unit.has_debt]
                counted["fixed"] += sum(unit.native is not None for unit in mine)
                assert all(unit.native is not None for unit in mine)

    assert counted["fixed"] > 3


def compare(reader: Reader, lending: Lending, number: int, counted: Counted) -> None:
    at = block_of(lending, number)
    snapshot = reader.venue_snapshot(venue_of(lending), at)
    units = {unit.unit_id: unit for unit in reader.unit_snapshots(venue_of(lending), at)}
    value = open_book(snapshot)
    for market in lending.markets:
        compare_market(snapshot, units, lending, market, number)
        counted["market"] += 1
        time, numbers, people = lending.probed(market, number)
        assert time == at.time
        for owner in lending.everybody:
            unit = units.get(raw(market.id) + raw(owner))
            compare_position(unit, market, lending.held(market, owner, number))
            counted["position"] += 1
            if unit is not None:
                probed = numbers, people[owner]
                compare_value(value(unit), lending, market, number, probed=probed, counted=counted)
    compare_sums(units, lending, number)


def compare_market(
    snapshot: VenueSnapshot, units: Mapping[bytes, UnitSnapshot], lending: Lending, market: Market, number: int
) -> None:
    """Every field that the contract stores of a market; the shares of everybody are its totals."""
    stored, ours = lending.stored(market, number), totals_of(snapshot.markets[raw(market.id), "totals"])
    said = ours._asdict()
    silent = ours._replace(last_update=stored.last_update) if market.irm == "0x" + "00" * 20 else ours
    assert silent._asdict() == {name: getattr(stored, name) for name in said}, f"block {number}: {market.name}"
    for side, total in ((Side.SUPPLY, stored.supply_shares), (Side.BORROW, stored.borrow_shares)):
        assert sum(unit.positions.get((raw(market.id), side), 0) for unit in units.values()) == total


def compare_position(unit: UnitSnapshot | None, market: Market, held: Held) -> None:
    positions = unit.positions if unit else {}
    shares = raw(market.id)
    assert positions.get((shares, Side.SUPPLY), 0) == held.supply_shares
    assert positions.get((shares, Side.BORROW), 0) == held.borrow_shares
    assert positions.get((shares + raw(market.collateral.address), Side.SUPPLY), 0) == held.collateral


def compare_value(
    unit: VenueUnit, lending: Lending, market: Market, number: int, *, probed: tuple[Numbers, Held], counted: Counted
) -> None:
    """The numbers with interest are those that the contract has when it adds interest now; so is the verdict."""
    numbers, held = probed
    owner = "0x" + unit.owner.hex()
    assert unit.has_debt == (held.borrow_shares > 0)
    if unit.native is None:
        assert unit.reasons
        assert not (market.priced and market.modelled), f"block {number}: {market.name}: {unit.reasons}"
        counted["unknown"] += 1
        return
    price = lending.price(market, number)
    assert unit.native["supplyAssets"] == held.supply_shares * (numbers.supply_assets + 1) // (
        numbers.supply_shares + 10**6
    ), f"block {number}: {market.name}: {owner}"
    owed = -(-held.borrow_shares * (numbers.borrow_assets + 1) // (numbers.borrow_shares + 10**6))
    assert unit.native["borrowAssets"] == owed
    assert unit.native["collateral"] == held.collateral
    if market.priced or unit.native.get("collateralPrice") is not None:
        assert unit.native["collateralPrice"] == price
    counted["accrued"] += 1
    healthy = price is None or lending.refuses_to_liquidate(market, owner, number)
    assert unit.liquidatable is not healthy, f"block {number}: {market.name}: {owner}: {unit.native}"
    if held.borrow_shares:
        assert unit.health_factor_wad is not None
        assert (unit.health_factor_wad >= 10**18) is healthy
        counted["healthy" if healthy else "unhealthy"] += 1


def compare_sums(units: Mapping[bytes, UnitSnapshot], lending: Lending, number: int) -> None:
    """What the contract holds of a token is all collateral in it and what nobody has borrowed of it, and what it was given."""
    tokens = {market.loan.address for market in lending.markets} | {m.collateral.address for m in lending.markets}
    for token in sorted(tokens):
        pledged = sum(
            amount
            for unit in units.values()
            for (market, _), amount in unit.positions.items()
            if len(market) > 32 and market[32:] == raw(token)
        )
        idle = [lending.stored(market, number) for market in lending.markets if market.loan.address == token]
        left = sum(stored.supply_assets - stored.borrow_assets for stored in idle)
        (held,) = integers(lending.node, number, [(token, calldata("balanceOf(address)", lending.address))])
        assert 0 <= held - pledged - left <= lending.succeeded["donate"] + lending.succeeded["repay"]


def test_the_rate_is_the_models_for_any_market() -> None:
    asked = 0
    with build(seed=2, actions=200) as lending:
        height, rng = lending.node.height(), Random(2)
        now = int(lending.node.header(height)["timestamp"], 16)
        for market in lending.markets:
            if market.irm != lending.markets[0].irm:
                continue
            view = calldata("rateAtTarget(bytes32)", raw(market.id))
            at_target = int(lending.node.eth_call(market.irm, view, height), 16)
            for _ in range(60):
                supplied = int(10 ** rng.uniform(0, 35))
                owed = rng.choice((0, supplied, supplied * 9 // 10, rng.randint(0, supplied), supplied + 1))
                totals = Totals(supplied, 1, owed, 1, now - int(10 ** rng.uniform(0, 8.5)), 0)
                asked_for = BORROW_RATE_VIEW.calldata(*market.params, *totals)
                answer = lending.node.eth_call(market.irm, "0x" + asked_for.hex(), height)
                assert borrow_rate(at_target, totals, now).average == int(answer, 16), totals
                asked += 1

    assert asked == 6 * 60


@pytest.mark.parametrize("span", [1, 9])
def test_tables_do_not_depend_on_how_the_span_was_cut(span: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=5, actions=80) as lending:
        indexed(lending, whole)
        heard = indexed(lending, cut, span=span)

    assert len(heard.appended_) > 1
    assert assert_same_tables(whole, cut, sights=False) > 300


def test_the_tables_are_derived_again_without_a_node(tmp_path: Path) -> None:
    path, again = tmp_path / "store.duckdb", tmp_path / "again.duckdb"
    with build(seed=6, actions=80) as lending:
        indexed(lending, path)
        indexed(lending, again)
        spec, venues = chain_spec(lending), [venue_of(lending)]

    with Store.open(again) as store:
        asyncio.run(rebuild(spec, venues, [], store, listener=Heard()))
    assert assert_same_tables(path, again) > 300


def indexed(lending: Lending, path: Path, *, span: int | None = None) -> Heard:
    chain: Chain = connect(chain_spec(lending), [venue_of(lending)], [])
    chain = chain if span is None else Narrow(chain, span)
    with Store.open(path) as store:
        return asyncio.run(take_in(chain, store))


def chain_spec(lending: Lending, url: str | None = None) -> ChainSpec:
    rpc = (url or lending.node.url,)
    return ChainSpec(id=f"eip155:{lending.chain_id}", name="devnet", rpc=rpc, finality="finalized", start_block=0)


def venue_of(lending: Lending) -> VenueSpec:
    return VenueSpec(
        id="morpho",
        protocol="morpho-blue",
        chain_id=f"eip155:{lending.chain_id}",
        address=raw(lending.address),
        start_block=lending.start_block,
    )


def block_of(lending: Lending, number: int) -> Block:
    header = lending.node.header(number)
    return Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )


def test_every_habit_of_markets_and_people_was_met() -> None:
    with build(seed=20) as lending:
        assert min(lending.succeeded[kind] for kind in PLANS) > 0
        assert min(lending.reverted[kind] for kind in ("borrow", "withdraw", "liquidate")) > 0
        assert any(bad_debt(log) for log in logs_of(lending, LIQUIDATE.topic0))


def test_a_feed_that_reverts_leaves_borrowers_unknown_until_it_answers_again(tmp_path: Path) -> None:
    path, counted = tmp_path / "store.duckdb", Counted()
    with build(seed=20) as lending:
        market, feed = lending.markets[0], lending.feeds["ETH"]
        lending.ledger.do(feeds.set_reverting(lending.node, feed, reverting=True))
        lending.ledger.idle(3)
        down = lending.node.height()
        indexed(lending, path)
        lending.ledger.do(feeds.set_reverting(lending.node, feed, reverting=False))
        lending.ledger.do(*feeds.change_aggregator(feed, new_aggregator(lending, feed)))
        lending.ledger.idle(3)
        indexed(lending, path)

        with Store.open(path) as store, store.reading() as reader:
            compare(reader, lending, lending.node.height(), counted)
            at = block_of(lending, down)
            value = open_book(reader.venue_snapshot(venue_of(lending), at))
            units = [value(unit) for unit in reader.unit_snapshots(venue_of(lending), at)]

    owing = [unit for unit in units if unit.has_debt and unit.unit_id[:32] == raw(market.id)]
    assert owing
    assert {unit.native for unit in owing} == {None}
    assert {reason.code for unit in owing for reason in unit.reasons} == {"feed_in_doubt"}
    assert counted["healthy"] + counted["unhealthy"] > 0


def new_aggregator(lending: Lending, feed: feeds.Feed) -> str:
    return feeds.deploy_aggregator(lending.ledger, lending.admin, feed.description, 3_000 * 10**8)


def logs_of(lending: Lending, topic: bytes) -> list[str]:
    query = {"fromBlock": "0x0", "address": lending.address, "topics": ["0x" + topic.hex()]}
    return [str(log["data"]) for log in lending.node.call("eth_getLogs", query)]


def bad_debt(data: str) -> int:
    return int(data[2 + 3 * 64 :][:64], 16)


def test_the_contracts_totals_are_what_is_stored_after_every_block(tmp_path: Path) -> None:
    path, asked = tmp_path / "store.duckdb", 0
    with build(seed=7, actions=100) as lending:
        indexed(lending, path)
        fold = MorphoBlue(venue_of(lending))
        with Store.open(path) as store, store.reading() as reader:
            for number in range(lending.probed_from, lending.node.height() + 1, 7):
                at = block_of(lending, number)
                sums: Counter[tuple[bytes, Side]] = Counter()
                for unit in reader.unit_snapshots(venue_of(lending), at):
                    sums.update(unit.positions)
                expected = fold.totals(reader.venue_snapshot(venue_of(lending), at).markets, sums, at)
                for read, numbers in expected.items():
                    answer = lending.node.eth_call(lending.address, "0x" + read.input.hex(), number)
                    assert tuple(int(answer[2 + i * 64 :][:64], 16) for i in range(4)) == numbers
                    asked += 1

    assert asked > 20


def test_the_public_views_name_every_token(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=7, actions=60) as lending:
        indexed(lending, path)

    with Store.open(path) as store:
        assert_views_name_every_token(store)


async def test_logs_of_final_blocks_that_a_node_leaves_out_are_missed_by_the_totals_and_mended(tmp_path: Path) -> None:
    honest, mended = tmp_path / "honest.duckdb", tmp_path / "mended.duckdb"
    with build(seed=20) as lending:
        places = [places_of(lending, event.topic0)[1] for event in (REPAY, BORROW, SUPPLY)]
        for path, left_out in ((honest, []), (mended, places)):
            async with omitting(lending.node.url, left_out) as node:
                chain = connect(chain_spec(lending, node.url), [venue_of(lending)], [])
                with Store.open(path) as store:
                    await take_in(chain, store)
        counted = Counted()
        with Store.open(mended) as store, store.reading() as reader:
            compare(reader, lending, lending.node.height(), counted)

    assert counted["market"] > 0
    assert rows_of(mended, "lending_event") == rows_of(honest, "lending_event") != []


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in tables_of(path)[table]]


def places_of(lending: Lending, topic: bytes) -> list[Place]:
    query = {"fromBlock": "0x0", "address": lending.address, "topics": ["0x" + topic.hex()]}
    found = lending.node.call("eth_getLogs", query)
    return [Place(int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in found]
