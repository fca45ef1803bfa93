"""Aave v3 on the protocol's own contracts: every number that is derived here equals the contracts' own, to the last unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chains.evm.aave_v3 import open_book
from chains.evm.aave_v3.maths import RAY
from chains.evm.aave_v3.stable import debt_of
from chains.model import Block, Side, UnitSnapshot, VenueSpec
from indexer.store import Reader, Store
from tests.devnet.evm import aave, feeds
from tests.devnet.evm.abi import calldata
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.feeds import Feed
from tests.devnet.evm.ledger import invoke
from tests.devnet.evm.market import USDC
from tests.devnet.evm.node import eth_call_request
from tests.devnet.evm.stable import borrowing as borrow_at_stable_rate
from tests.devnet.evm.truth import Truth, truth_at
from tests.support.aave_row_by_row import AaveRowByRow
from tests.support.indexing import indexed, raw, venue_of
from tests.support.tables import assert_same_tables

EARLIER_BLOCKS = 10
FIELDS = (
    "total_collateral_base",
    "total_debt_base",
    "available_borrows_base",
    "current_liquidation_threshold",
    "ltv",
    "health_factor",
)


@pytest.mark.parametrize("seed", [1, 20, 300])
def test_native_and_scaled_balances_equal_the_contracts_at_head_and_ten_earlier_blocks(
    seed: int, tmp_path: Path
) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=seed) as net:
        indexed(net, path)
        venue, head = venue_of(net), net.node.height()
        blocks = [head, *(head * i // (EARLIER_BLOCKS + 1) for i in range(1, EARLIER_BLOCKS + 1))]

        with Store.open(path) as store, store.reading() as reader:
            compared = sum(compare(reader, venue, net, number) for number in blocks)

    assert compared > 100


@pytest.mark.parametrize("seed", [2, 31])
def test_debt_at_stable_rates_is_the_contracts_own_however_it_was_cut(seed: int, tmp_path: Path) -> None:
    path, cut = tmp_path / "store.duckdb", tmp_path / "cut.duckdb"
    with build(seed=seed, stable=True) as net:
        indexed(net, path)
        indexed(net, cut, span=17)
        venue, head = venue_of(net), net.node.height()
        done = net.tally.succeeded

        with Store.open(path) as store, store.reading() as reader:
            compared = sum(
                compare(reader, venue, net, head * i // (EARLIER_BLOCKS + 1)) for i in range(4, EARLIER_BLOCKS + 2)
            )
            owing = sum(compare_stable_debt(reader, venue, net, head * i // 4) for i in (2, 3, 4))

    assert compared > 100
    assert owing > 10
    assert min(done[kind] for kind in ("borrow_at_stable_rate", "repay_at_stable_rate", "swap_rate")) > 3
    assert assert_same_tables(path, cut) > 1_000


def test_a_stable_rate_that_others_raised_is_the_contracts_own(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=6, stable=True, actions=0, users=3) as net:
        owner, other, _ = net.users
        usdc, weth = net.market.reserve("USDC"), net.market.reserve("WETH")
        amount = 1_000_000 * usdc.unit
        steep = replace(USDC, base_rate_percent=30, slope_percent=40)
        net.ledger.do(
            aave.supply(net.market, other, usdc.asset, 5 * amount),
            aave.supply(net.market, owner, weth.asset, 1_000 * weth.unit),
            borrow_at_stable_rate(net.market, owner, usdc.asset, amount),
        )
        strategy = aave.deploy_rate_strategy(net.ledger, net.market.provider, net.market.admin, steep)
        signature = "setReserveInterestRateStrategyAddress(address,address)"
        net.ledger.do(aave.configure(net.market, signature, usdc.asset, strategy))
        net.ledger.do(aave.supply(net.market, other, usdc.asset, usdc.unit), seconds=86_400)
        before = net.node.height()
        rebalance = "rebalanceStableBorrowRate(address,address)"
        net.ledger.do(invoke(other, net.market.pool, rebalance, usdc.asset, owner), seconds=86_400)
        net.ledger.mine(seconds=30 * 86_400)
        indexed(net, path)
        question = eth_call_request(usdc.stable_debt_token, calldata("getUserStableRate(address)", owner), "latest")
        (rate,) = net.node.batch([question])

        with Store.open(path) as store, store.reading() as reader:
            venue, head = venue_of(net), block_of(net, net.node.height())
            assert all(
                compare_stable_debt(reader, venue, net, number) == 1 for number in (before, before + 1, head.number)
            )
            (unit,) = reader.unit_snapshots(venue, head, owner=raw(owner))

    debt = debt_of(unit.settings[raw(usdc.asset), "stable_debt"])
    assert debt is not None
    assert debt.rate == int(rate, 16) > 30 * RAY // 100


def test_a_feed_that_reverts_has_no_price_until_it_answers_again(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=4, actions=80) as net:
        feed = net.market.reserve("WETH").feed
        healthy = net.node.height()
        set_reverting(net, feed, reverting=True)
        net.ledger.idle(3)
        down = net.node.height()
        indexed(net, path)
        set_reverting(net, feed, reverting=False)
        net.ledger.idle(3)
        mended = net.node.height()
        indexed(net, path)
        venue = venue_of(net)

        with Store.open(path) as store, store.reading() as reader:
            assert compare(reader, venue, net, healthy) > 10
            assert compare(reader, venue, net, down) < compare(reader, venue, net, mended)
            refused = truth_at(net.node, net.market, down).refused_accounts
            at = block_of(net, down)
            value = open_book(reader.venue_snapshot(venue, at))
            (unit,) = reader.unit_snapshots(venue, at, owner=raw(min(refused)))

    assert [(reason.code, reason.detail) for reason in value(unit).reasons] == [
        ("feed_in_doubt", "latestAnswer() reverts")
    ]


def test_columns_give_the_tables_of_one_event_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_column, by_row = tmp_path / "by-column.duckdb", tmp_path / "by-row.duckdb"
    with build(seed=21, actions=200) as net:
        indexed(net, by_column, span=50)
        monkeypatch.setattr("chains.evm.aave_v3.adapter", AaveRowByRow)
        indexed(net, by_row, span=50)

    assert assert_same_tables(by_column, by_row) > 1_000


def set_reverting(net: Devnet, feed: Feed, *, reverting: bool) -> None:
    net.ledger.do(feeds.set_reverting(net.node, feed, reverting=reverting))


def compare(reader: Reader, venue: VenueSpec, net: Devnet, number: int) -> int:
    truth = truth_at(net.node, net.market, number)
    at = block_of(net, number)
    units = {unit.unit_id: unit for unit in reader.unit_snapshots(venue, at)}
    value = open_book(reader.venue_snapshot(venue, at))
    for owner, account in truth.accounts.items():
        native = value(units.get(raw(owner)) or nobody(raw(owner))).native
        assert native is not None, f"block {number}: {owner} has no native numbers"
        assert list(native.values()) == [getattr(account, name) for name in FIELDS], f"block {number}: {owner}"
    for owner in truth.refused_accounts:
        assert value(units.get(raw(owner)) or nobody(raw(owner))).native is None
    compare_balances(units, truth)
    return len(truth.accounts)


def compare_balances(units: dict[bytes, UnitSnapshot], truth: Truth) -> None:
    for reserve in truth.reserves:
        for token, side in ((reserve.a_token, Side.SUPPLY), (reserve.variable_debt_token, Side.BORROW)):
            key = (raw(reserve.asset), side)
            held = {unit_id: unit.positions.get(key, 0) for unit_id, unit in units.items()}
            for owner, scaled in truth.scaled_balances[token].items():
                assert held.get(raw(owner), 0) == scaled, f"block {truth.block}: {owner} of {token}"
            assert sum(held.values()) == truth.scaled_totals[token], f"block {truth.block}: total of {token}"


def compare_stable_debt(reader: Reader, venue: VenueSpec, net: Devnet, number: int) -> int:
    """Compare what everybody owes of every reserve, at both rates together; how many owe at a stable rate."""
    at = block_of(net, number)
    value = open_book(reader.venue_snapshot(venue, at))
    units = {unit.unit_id: value(unit) for unit in reader.unit_snapshots(venue, at)}
    question = "balanceOf(address)"
    found = 0
    for reserve in net.market.reserves:
        if reserve.listed_block > number:
            continue
        tokens = (reserve.stable_debt_token, reserve.variable_debt_token)
        asked = [eth_call_request(t, calldata(question, owner), number) for owner in net.users for t in tokens]
        said = [int(answer, 16) for answer in net.node.batch(asked)]
        for owner, stable, variable in zip(net.users, said[::2], said[1::2], strict=True):
            unit = units.get(raw(owner))
            ours = (
                [p.amount_raw for p in unit.positions if (p.asset, p.side) == (raw(reserve.asset), Side.BORROW)]
                if unit
                else []
            )
            assert sum(ours) == stable + variable, f"block {number}: {owner} of {reserve.symbol}"
            found += stable > 0
    return found


def block_of(net: Devnet, number: int) -> Block:
    header = net.node.header(number)
    return Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )


def nobody(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})
