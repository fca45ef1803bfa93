"""Recorded runs of Aave 3.3, 3.5 and 3.7: what is stored equals what the contracts said at every sampled block."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.evm.aave_v3 import AaveV3, open_book
from chains.evm.aave_v3.book import Book
from chains.evm.aave_v3.events import (
    BORROW,
    LIQUIDATION_CALL,
    NORMALIZED_DEBT,
    NORMALIZED_INCOME,
    RESERVE_DEFICIT,
    VIRTUAL_BALANCE,
    WITHDRAW,
)
from chains.evm.aave_v3.liquidity import ASPECT, Left, left_of
from chains.evm.aave_v3.permits import Rights
from chains.evm.aave_v3.unit import Account
from chains.evm.abi import Event
from chains.evm.controls import control
from chains.evm.ports import UNAVAILABLE, Answer, Folded, NeedReads, Read
from chains.model import WHOLE_VENUE, Block, Side, UnitSnapshot
from chains.ports import Outcome
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.loop import Until, rebuild
from indexer.store import Reader, Store
from tests.support.aave_row_by_row import AaveRowByRow
from tests.support.aave_runs import AaveRun
from tests.support.evm_runs import VARIABLE, folders
from tests.support.indexing import Heard, Narrow, take_in
from tests.support.kept import Kept
from tests.support.tables import assert_same_tables

CONFIGURED: Mapping[str, Callable[[int], int | bool]] = {
    "active": lambda word: bool(word >> 56 & 1),
    "frozen": lambda word: bool(word >> 57 & 1),
    "borrowing": lambda word: bool(word >> 58 & 1),
    "paused": lambda word: bool(word >> 60 & 1),
    "borrowable_in_isolation": lambda word: bool(word >> 61 & 1),
    "siloed": lambda word: bool(word >> 62 & 1),
    "borrow_cap": lambda word: word >> 80 & (1 << 36) - 1,
    "protocol_fee": lambda word: word >> 152 & 0xFFFF,
    "debt_ceiling": lambda word: word >> 212 & (1 << 40) - 1,
}
"""Where the word of a reserve's configuration has what (`ReserveConfiguration`)."""

POOL_VIEWS = {
    NORMALIZED_INCOME: "normalizedIncome",
    NORMALIZED_DEBT: "normalizedVariableDebt",
    RESERVE_DEFICIT: "deficit",
    VIRTUAL_BALANCE: "virtualUnderlyingBalance",
}

TOKENS = {"aToken": Side.SUPPLY, "variableDebtToken": Side.BORROW}


@pytest.fixture(params=sorted(folders("aave")), scope="module")
def run(request: pytest.FixtureRequest) -> AaveRun:
    return AaveRun.load(folders("aave")[request.param])


@pytest.fixture(scope="module")
def whole(run: AaveRun, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


async def index(run: AaveRun, store: Store, *, until: Until = "latest", span: int = 10_000) -> Heard:
    async with ReplayNode(run.recording()) as node:
        chain = Narrow(connect(run.spec(node.url), [run.venue()], []), span)
        return await take_in(chain, store, until=until)


def test_there_are_runs_of_three_versions() -> None:
    if not folders("aave"):
        pytest.skip(f"no recorded runs: {VARIABLE} names no folder that holds any")
    assert {name[:9] for name in folders("aave")} >= {"aave-v3.3", "aave-v3.5", "aave-v3.7"}


def test_every_scaled_balance_and_total_is_the_contracts_own(run: AaveRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        units = {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), run.block(sample["block"]))}
        held = {
            (unit.unit_id, market, side): amount
            for unit in units.values()
            for (market, side), amount in unit.positions.items()
            if amount
        }
        expected = {
            (raw(user), raw(asset), TOKENS[name]): int(token["scaledBalanceOf"])
            for user, account in sample["accounts"].items()
            for asset, tokens in account["reserves"].items()
            for name, token in tokens.items()
            if int(token["scaledBalanceOf"])
        }
        assert held == expected, f"block {sample['block']}"
        for asset, reserve in sample["reserves"].items():
            for name, side in TOKENS.items():
                total = sum(
                    amount for (_, market, which), amount in held.items() if (market, which) == (raw(asset), side)
                )
                assert total == int(reserve[name]["scaledTotalSupply"])
        compared += len(expected)

    assert compared > 500


def test_every_index_rate_and_threshold_is_the_contracts_own(run: AaveRun, stored: Reader) -> None:
    names = {
        "liquidityIndex": "liquidity_index",
        "currentLiquidityRate": "liquidity_rate",
        "variableBorrowIndex": "variable_borrow_index",
        "currentVariableBorrowRate": "variable_borrow_rate",
        "lastUpdateTimestamp": "updated_at",
    }
    for sample in run.samples:
        markets = stored.venue_snapshot(run.venue(), run.block(sample["block"])).markets
        for asset, reserve in sample["reserves"].items():
            rates, terms = (json.loads(markets[raw(asset), aspect]) for aspect in ("rates", "terms"))
            owed = int(json.loads(markets[raw(asset), "variable_debt"])["scaled"])
            assert owed == int(reserve["variableDebtToken"]["scaledTotalSupply"]), f"block {sample['block']}: {asset}"
            said = {name: int(reserve["getReserveData"][name]) for name in names}
            assert {name: int(rates[ours]) for name, ours in names.items()} == said, f"block {sample['block']}: {asset}"
            word = int(reserve["configurationData"])  # ltv, threshold and bonus take 16 bits each
            assert (terms["ltv"], terms["liquidation_threshold"]) == (word & 0xFFFF, word >> 16 & 0xFFFF)


def test_every_switch_limit_and_deficit_is_the_contracts_own(run: AaveRun, stored: Reader) -> None:
    for sample in run.samples:
        markets = stored.venue_snapshot(run.venue(), run.block(sample["block"])).markets
        for asset, reserve in sample["reserves"].items():
            limits = json.loads(markets[raw(asset), "limits"])
            said = {name: read(int(reserve["configurationData"])) for name, read in CONFIGURED.items()}
            assert limits == said | {"grace_until": int(reserve["liquidationGracePeriodUntil"])}, (
                f"block {sample['block']}"
            )
            deficit = json.loads(markets.get((raw(asset), "deficit"), '{"amount": "0"}'))
            assert deficit["amount"] == reserve["deficit"]
            isolated = json.loads(markets.get((raw(asset), "isolation"), '{"total_debt": "0"}'))
            assert isolated["total_debt"] == reserve["getReserveData"]["isolationModeTotalDebt"]
            assert json.loads(markets[raw(asset), "treasury"])["address"] == run.about["addresses"]["treasury"].lower()
        for category, said in sample["eModeCategories"].items():
            named = json.loads(markets.get((WHOLE_VENUE, f"emode_assets:{category}"), "{}"))
            for role in ("collateral", "borrowable", "ltvzero"):
                bitmap = int(said[f"{role}Bitmap"] or 0)
                assert sum(1 << number for number in named.get(role, ())) == bitmap, f"block {sample['block']}: {role}"


def test_all_six_numbers_of_every_account_are_the_contracts_own(run: AaveRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        at = run.block(sample["block"])
        units = {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), at)}
        value = open_book(stored.venue_snapshot(run.venue(), at))
        for user, account in sample["accounts"].items():
            unit = value(units.get(raw(user)) or nobody(raw(user)))
            said = {name: int(number) for name, number in account["getUserAccountData"].items()}
            assert unit.native == said, f"block {sample['block']}: {user}: {unit.reasons}"
        compared += len(sample["accounts"])

    assert compared > 300


def test_every_liquidation_took_what_the_rules_of_its_version_give(run: AaveRun, stored: Reader) -> None:
    """Of each that came first in its block: by the state before it, at its block's time."""
    whole = 0
    found = list(first_liquidations(run))
    for log in found:
        number = int(log["blockNumber"], 16)
        collateral, debt, borrower = (bytes.fromhex(topic[26:]) for topic in log["topics"][1:])
        covered, seized = (int(log["data"][2 + 64 * i : 66 + 64 * i], 16) for i in (0, 1))
        at, later = run.block(number - 1), run.block(number).time
        (held,) = stored.unit_snapshots(run.venue(), at, owner=borrower)
        market = stored.venue_snapshot(run.venue(), at)
        market = replace(market, at=replace(at, time=later))
        unit = open_book(market)(held)
        assert unit.permits is not None
        (said,) = [each for each in unit.permits().liquidations if (each.collateral, each.debt) == (collateral, debt)]
        assert said.blocked == ()
        assert covered <= said.covered
        account = Account(Book(market), held)
        settled = (
            Rights(account)
            .pair(*(account.leg(account.book.reserves[asset]) for asset in (collateral, debt)))
            .settled(covered)
        )
        assert seized in (said.seized, settled.seized), f"block {number}: {said}"
        whole += (covered, seized) == (said.covered, said.seized)

    assert len(found) > 5
    assert whole > 2


@pytest.mark.parametrize("event, who", [(BORROW, 2), (WITHDRAW, 2)])
def test_no_loan_or_withdrawal_took_more_than_what_was_said(
    run: AaveRun, stored: Reader, event: Event, who: int
) -> None:
    """Of each that came first in its block: by the state before it, at its block's time."""
    most = 0
    found = list(first_of(run, event))
    for log in found:
        number, owner, asset = int(log["blockNumber"], 16), raw("0x" + log["topics"][who][26:]), log["topics"][1]
        words = log["data"][2:]
        amount = int(words[64:128] if event is BORROW else words[:64], 16)
        at, later = run.block(number - 1), run.block(number).time
        market = stored.venue_snapshot(run.venue(), at)
        market = replace(market, at=replace(at, time=later))
        units = list(stored.unit_snapshots(run.venue(), at, owner=owner))
        unit = open_book(market)(units[0] if units else nobody(owner))
        assert unit.permits is not None
        permits = unit.permits()
        said = permits.borrowable if event is BORROW else permits.withdrawable
        (allowed,) = [each for each in said if each.market == raw("0x" + asset[26:])]
        assert not allowed.blocked
        assert not allowed.unknown
        assert amount <= allowed.most, f"block {number}: {allowed}"
        most += amount == allowed.most

    assert len(found) > 5
    assert most > 0 or event is BORROW


def first_liquidations(run: AaveRun) -> Iterator[dict[str, Any]]:
    """The logs of liquidations before which nothing happened in their blocks."""
    return first_of(run, LIQUIDATION_CALL)


def first_of(run: AaveRun, event: Event) -> Iterator[dict[str, Any]]:
    """The logs of an event before which nothing happened in their blocks."""
    topic = "0x" + event.topic0.hex()
    for log in run.logs:
        if log["topics"][0] == topic:
            here = [each for each in run.logs if each["blockNumber"] == log["blockNumber"]]
            if here[0]["transactionHash"] == log["transactionHash"]:
                yield log


def test_what_each_reserve_has_left_is_what_the_pool_counts(run: AaveRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        markets = stored.venue_snapshot(run.venue(), run.block(sample["block"])).markets
        for asset, reserve in sample["reserves"].items():
            left = left_of(markets[raw(asset), ASPECT])
            assert left == Left(
                int(reserve["virtualUnderlyingBalance"]), int(reserve["aToken"]["scaledTotalSupply"])
            ), f"block {sample['block']}: {asset}"
            compared += 1

    assert compared > 60


def test_what_reserves_have_left_is_weighed_with_the_venue(run: AaveRun, store: Store) -> None:
    sample = run.samples[-1]
    with store.reading() as reader:
        snapshot = reader.venue_snapshot(run.venue(), run.block(sample["block"]))
    said = {
        VIRTUAL_BALANCE.calldata(raw(asset)): int(reserve["virtualUnderlyingBalance"])
        for asset, reserve in sample["reserves"].items()
    }

    weighed = asyncio.run(control(_Pool(said), snapshot, store.records(run.venue().chain_id)))

    found = [total for total in weighed.totals if total.name == "getVirtualUnderlyingBalance"]
    assert {total.market: total.ours for total in found if total.theirs is not None} == {
        raw(asset): int(reserve["virtualUnderlyingBalance"]) for asset, reserve in sample["reserves"].items()
    }
    assert {total.outcome for total in found} <= {Outcome.EQUAL, Outcome.UNANSWERED}


class _Pool:
    """A pool that says what reserves have left, and nothing else."""

    def __init__(self, said: Mapping[bytes, int]) -> None:
        self._said = said

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        return {
            read: Answer("returned", self._said[read.input].to_bytes(32)) if read.input in self._said else UNAVAILABLE
            for read in reads
        }


def test_the_totals_that_are_asked_for_are_those_that_the_tokens_count(run: AaveRun, store: Store) -> None:
    records = store.records(run.venue().chain_id)
    fold, pool = AaveV3(run.venue(), b""), run.venue().address
    for sample in run.samples:
        block = sample["block"]
        sums = records.sums("market", block)
        assert sums is not None

        totals = fold.totals(records.markets_at("market", block), sums, run.block(block))

        assert {
            (read.block, read.address): total for read, total in totals.items() if total and read.address != pool
        } == {
            (block, raw(reserve["getReserveData"][f"{name}Address"])): int(reserve[name]["scaledTotalSupply"])
            for reserve in sample["reserves"].values()
            for name in TOKENS
            if int(reserve[name]["scaledTotalSupply"])
        }
        assert {read.input: total for read, total in totals.items() if read.address == pool} == {
            view.calldata(raw(asset)): int(reserve[name])
            for asset, reserve in sample["reserves"].items()
            for view, name in POOL_VIEWS.items()
        }


def test_columns_give_the_tables_of_one_event_after_the_other(
    run: AaveRun, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_row = tmp_path / "by-row.duckdb"
    monkeypatch.setattr("chains.evm.aave_v3.adapter", AaveRowByRow)
    with Store.open(by_row) as rows:
        asyncio.run(index(run, rows, span=200))

    assert assert_same_tables(whole, by_row) > 1_000


def test_tables_depend_neither_on_cuts_nor_on_the_network(run: AaveRun, whole: Path, tmp_path: Path) -> None:
    cut, again = tmp_path / "cut.duckdb", tmp_path / "again.duckdb"
    with Store.open(cut) as taken:
        asyncio.run(index(run, taken, span=29))
    with Store.open(shutil.copy(whole, again)) as rebuilt:
        asyncio.run(rebuild(run.spec("http://127.0.0.1:9"), [run.venue()], [], rebuilt, listener=Heard()))

    assert assert_same_tables(whole, cut) > 1_000
    assert assert_same_tables(whole, again) > 1_000


def test_a_span_in_which_nothing_new_is_found_is_folded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = AaveRun.load(folders("aave")["aave-v3.5-s12"])
    folds: list[int] = []
    fold = AaveV3.fold

    def counted(venue: AaveV3, *arguments: Any) -> Folded | NeedReads:
        folds.append(1)
        return fold(venue, *arguments)

    with Store.open(tmp_path / "store.duckdb") as begun:
        asyncio.run(index(run, begun, until=200))  # all reserves are listed by then
        monkeypatch.setattr(AaveV3, "fold", counted)
        heard = asyncio.run(index(run, begun, until=380, span=20))  # and a price source is replaced in block 381

    assert len(folds) == len(heard.appended_) == 9


def nobody(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


def raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])
