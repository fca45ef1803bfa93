"""Aave v3 on the protocol's own contracts: every number that is derived here equals the contracts' own, to the last unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from chains.evm.aave_v3 import open_book
from chains.model import Block, Side, UnitSnapshot, VenueSpec
from indexer.store import Reader, Store
from tests.devnet.evm import feeds
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.feeds import Feed
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
