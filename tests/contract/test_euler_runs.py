"""Recorded runs of Euler v2: what is stored equals what the contracts said at every sampled block."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chains.evm.euler_v2 import EulerV2, open_book
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.maths import Debt, Ltv
from chains.evm.euler_v2.unit import Book
from chains.model import Block, Side, UnitSnapshot, VenueUnit
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.loop import Until, rebuild
from indexer.store import Reader, Store
from tests.support.euler_runs import NOWHERE, EulerRun
from tests.support.evm_runs import VARIABLE, folders
from tests.support.indexing import Heard, Narrow, take_in
from tests.support.kept import Kept
from tests.support.tables import assert_same_tables
from tests.support.views import assert_views_name_every_token


@pytest.fixture(params=sorted(folders("euler")), scope="module")
def run(request: pytest.FixtureRequest) -> EulerRun:
    return EulerRun.load(folders("euler")[request.param])


@pytest.fixture(scope="module")
def whole(run: EulerRun, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    run: EulerRun, store: Store, *, until: Until = "latest", span: int = 10_000, routed: bool = False
) -> Heard:
    venue = run.routed_venue() if routed else run.venue()
    async with ReplayNode(run.recording(routed=routed)) as node:
        chain = Narrow(connect(run.spec(node.url), [venue], []), span)
        return await take_in(chain, store, until=until)


def test_there_is_a_run() -> None:
    if not folders("euler"):
        pytest.skip(f"no recorded runs: {VARIABLE} names no folder that holds any")
    assert all(EulerRun.load(folder).samples for folder in folders("euler").values())


def test_every_balance_debt_and_setting_of_an_account_is_the_contracts_own(run: EulerRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        at, units = run.block(sample["block"]), units_at(run, stored, sample)
        book = Book(stored.venue_snapshot(run.venue(), at))
        for account, said in sample["accounts"].items():
            unit = units.get(raw(account)) or nobody(raw(account))
            place = f"block {sample['block']}: {account}"
            for name, vault in book.vaults.items():
                told = {raw(each): numbers for each, numbers in said["vaults"].items()}.get(name, {})
                debt = json.loads(unit.settings.get((name, "debt"), "{}"))
                owed = Debt(**{key: int(value) for key, value in debt.items()}).at(vault.status.accumulator)
                assert unit.positions.get((name, Side.SUPPLY), 0) == int(told.get("balanceOf", 0)), place
                assert owed == int(told.get("debtOfExact", 0)), place
                assert -(-owed >> 31) == int(told.get("debtOf", 0)), place
                compared += 3
            for role in ("collateral", "controller"):
                ours = {market for (market, aspect), on in unit.settings.items() if aspect == role and on == "true"}
                assert ours == {raw(each) for each in said[role + "s"]}, place
                compared += 1

    assert compared > 100 * len(run.samples)


def test_every_number_of_a_vault_is_the_contracts_own(run: EulerRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        at = run.block(sample["block"])
        book = Book(stored.venue_snapshot(run.venue(), at))
        for address, said in sample["vaults"].items():
            vault = book.vaults[raw(address)]
            terms = json.loads(book.snapshot.markets[raw(address), "terms"])
            ours = {
                "totalSupply": vault.status.shares,
                "totalAssets": vault.status.assets,
                "cash": vault.status.cash,
                "totalBorrows": -(-vault.status.borrows >> 31),
                "totalBorrowsExact": vault.status.borrows,
                "interestAccumulator": vault.status.accumulator,
                "interestRate": vault.status.rate,
                "accumulatedFees": vault.status.fees,
                "accumulatedFeesAssets": vault.status.assets_down(vault.status.fees),
                "interestFee": terms["interest_fee"],
                "maxLiquidationDiscount": terms.get("max_discount", 0),
            }
            assert ours == {name: int(said[name]) for name in ours}, f"block {sample['block']}: {address}"
            assert terms.get("rate_model", NOWHERE) == said["interestRateModel"].lower()
            assert vault.doubt is None
            compared += len(ours) + 1 + ltvs_compared(vault.ltvs, said, at)

    assert compared > 40 * len(run.samples)


def test_both_checks_of_every_account_are_the_contracts_own(run: EulerRun, stored: Reader) -> None:
    compared = Counter[str]()
    for sample in run.samples:
        value = open_book(stored.venue_snapshot(run.venue(), run.block(sample["block"])))
        units = units_at(run, stored, sample)
        for account, said in sample["accounts"].items():
            unit = value(units.get(raw(account)) or nobody(raw(account)))
            place = f"block {sample['block']}: {account}: {unit.reasons}"
            if "accountLiquidity_collateral_liability" not in said:
                assert (unit.native, unit.has_debt, unit.liquidatable) == ({}, False, False), place
                compared["no controller"] += 1
                continue
            both = said["accountLiquidity_collateral_liability"]
            if both is None:
                assert (unit.native, unit.liquidatable) == (None, None), place
                assert {reason.code for reason in unit.reasons} <= {"no_price_source", "price_stale"}, place
                continue
            assert unit.native is not None, place
            assert pair(unit, "Borrow") == [int(number) for number in both["borrow"]], place
            assert pair(unit, "Liquidation") == [int(number) for number in both["liquidation"]], place
            collateral, liability = (int(number) for number in both["liquidation"])
            assert unit.liquidatable == (unit.has_debt and collateral <= liability), place
            assert (unit.health_factor_wad is not None and unit.health_factor_wad < 10**18) == unit.liquidatable, place
            compared["pairs"] += 2
            compared["liquidatable"] += bool(unit.liquidatable)

    assert compared["pairs"] > 20 * len(run.samples) // 2
    assert compared["no controller"] > 0


def test_a_router_leads_to_the_same_prices(run: EulerRun, tmp_path: Path) -> None:
    compared = 0
    with Store.open(tmp_path / "store.duckdb") as routed:
        asyncio.run(index(run, routed, span=97, routed=True))
        with routed.reading() as stored:
            for sample in run.samples:
                value = open_book(stored.venue_snapshot(run.routed_venue(), run.block(sample["block"])))
                units = units_at(run, stored, sample)
                for account, said in sample["accounts"].items():
                    if both := said.get("accountLiquidity_collateral_liability"):
                        unit = value(units[raw(account)])
                        assert pair(unit, "Liquidation") == [int(number) for number in both["liquidation"]], (
                            unit.reasons
                        )
                        compared += 1

    assert compared > 10 * len(run.samples)


def pair(unit: VenueUnit, kind: str) -> list[int]:
    assert unit.native is not None
    return [unit.native["collateralValue" + kind], unit.native["liabilityValue" + kind]]


def ltvs_compared(ltvs: dict[bytes, Ltv], said: dict[str, Any], at: Block) -> int:
    full = {raw(each): tuple(map(int, numbers)) for each, numbers in said["LTVFull"].items()}
    assert {
        each: (ltv.borrow, ltv.liquidation, ltv.initial, ltv.target, ltv.ramp) for each, ltv in ltvs.items()
    } == full
    assert {each: ltv.borrow for each, ltv in ltvs.items()} == numbers_of(said["LTVBorrow"])
    assert {each: ltv.liquidation_at(at.time) for each, ltv in ltvs.items()} == numbers_of(said["LTVLiquidation"])
    return 7 * len(full)


def numbers_of(said: dict[str, str]) -> dict[bytes, int]:
    return {raw(each): int(number) for each, number in said.items()}


def units_at(run: EulerRun, stored: Reader, sample: dict[str, Any]) -> dict[bytes, UnitSnapshot]:
    return {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), run.block(sample["block"]))}


def test_every_account_belongs_to_its_owner(run: EulerRun, stored: Reader) -> None:
    units = units_at(run, stored, run.samples[-1])
    for each in run.about["accounts"]:
        unit = units.get(raw(each["account"]))
        assert unit is None or unit.owner == raw(each["owner"])


def test_shares_and_fees_are_the_total_supply_and_debts_are_total_borrows_but_for_dust(
    run: EulerRun, stored: Reader
) -> None:
    for sample in run.samples:
        at = run.block(sample["block"])
        book = Book(stored.venue_snapshot(run.venue(), at))
        units = stored.unit_snapshots(run.venue(), at)
        for address, said in sample["vaults"].items():
            vault = book.vaults[raw(address)]
            held = sum(unit.positions.get((raw(address), Side.SUPPLY), 0) for unit in units)
            assert held + vault.status.fees == int(said["totalSupply"])
            debts = [
                json.loads(text)
                for unit in units
                for key, text in unit.settings.items()
                if key == (raw(address), "debt")
            ]
            owed = sum(
                Debt(owed=int(d["owed"]), accumulator=int(d["accumulator"])).at(vault.status.accumulator) for d in debts
            )
            assert abs(owed - int(said["totalBorrowsExact"])) <= rounded(run, raw(address), at) * 2


def test_the_totals_that_are_asked_for_are_those_that_the_vaults_count(run: EulerRun, store: Store) -> None:
    records = store.records(run.venue().chain_id)
    views = {ev.TOTAL_SUPPLY.calldata(): "totalSupply", ev.TOTAL_BORROWS_EXACT.calldata(): "totalBorrowsExact"}
    for sample in run.samples:
        at = run.block(sample["block"])
        sums = records.sums("vaults", at.number)
        assert sums is not None

        totals = EulerV2(run.venue()).totals(records.markets_at("vaults", at.number), sums, at)

        assert {(read.address, views[read.input]): total for read, total in totals.items()} == {
            (raw(vault), name): int(said[name]) for vault, said in sample["vaults"].items() for name in views.values()
        }


def rounded(run: EulerRun, vault: bytes, at: Block) -> int:
    """How often the vault rounded a debt or their total down until a block: at each of its logs, once at most; and once a debt now."""
    mine = [
        log for log in run.logs if log["address"] == "0x" + vault.hex() and int(log["blockNumber"], 16) <= at.number
    ]
    return len(mine) + len(run.about["accounts"])


def test_tables_depend_neither_on_cuts_nor_on_the_network(run: EulerRun, whole: Path, tmp_path: Path) -> None:
    cut, again = tmp_path / "cut.duckdb", tmp_path / "again.duckdb"
    with Store.open(cut) as taken:
        asyncio.run(index(run, taken, span=29))
    with Store.open(shutil.copy(whole, again)) as rebuilt:
        asyncio.run(rebuild(run.spec("http://127.0.0.1:9"), [run.venue()], [], rebuilt, listener=Heard()))

    assert assert_same_tables(whole, cut) > 1_000
    assert assert_same_tables(whole, again) > 1_000


def nobody(account: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=account, owner=account, positions={}, settings={})


def raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def test_the_public_views_name_every_token_of_the_run(store: Store) -> None:
    assert_views_name_every_token(store)
