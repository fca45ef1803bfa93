"""Recorded runs of Compound III: what is stored equals what the Comet said at every sampled block, though nothing else is answered."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from chains.evm.compound_v3 import CompoundV3, open_book
from chains.evm.compound_v3 import events as ev
from chains.model import WHOLE_VENUE, Side, UnitSnapshot, VenueUnit
from indexer.loop import rebuild
from indexer.store import Reader, Store
from tests.support.comet_runs import CometRun
from tests.support.evm_runs import VARIABLE, folders
from tests.support.indexing import Heard
from tests.support.kept import Kept, replayed
from tests.support.tables import assert_same_tables
from tests.support.views import assert_views_name_every_token

WAD = 10**18
STORED = {
    "supply_index": "baseSupplyIndex",
    "borrow_index": "baseBorrowIndex",
    "total_supply": "totalSupplyBase",
    "total_borrow": "totalBorrowBase",
    "accrued_at": "lastAccrualTime",
    "pause_flags": "pauseFlags",
}


@pytest.fixture(params=sorted(folders("comet")), scope="module")
def run(request: pytest.FixtureRequest) -> CometRun:
    return CometRun.load(folders("comet")[request.param])


@pytest.fixture(scope="module")
def followed(run: CometRun, kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as it is stored when one looks at the chain at each sampled block: then the node has the state."""
    return kept.taken_in(run, tmp_path_factory.mktemp(run.name) / "followed.duckdb", run.looks)


@pytest.fixture(scope="module")
def store(followed: Path) -> Iterator[Store]:
    with Store.open(shutil.copy(followed, followed.with_name("store.duckdb"))) as store:
        yield store


@pytest.fixture
def stored(store: Store) -> Iterator[Reader]:
    with store.reading() as reader:
        yield reader


def test_there_are_runs() -> None:
    if not folders("comet"):
        pytest.skip(f"no recorded runs: {VARIABLE} names no folder that holds any")
    assert any(name.startswith("comet-") for name in folders("comet"))


def test_every_principal_collateral_and_total_is_the_contracts_own(run: CometRun, stored: Reader) -> None:
    compared = 0
    for sample in run.samples:
        where = f"block {sample['block']}"
        held = {
            (unit.unit_id, market, side): amount
            for unit in stored.unit_snapshots(run.venue(), run.block(sample["block"]))
            for (market, side), amount in unit.positions.items()
            if amount
        }
        expected = dict(expected_of(run, sample))
        assert held == expected, where
        for token, each in sample["collateral"].items():
            total = sum(amount for (_, market, _), amount in held.items() if market == raw(token))
            assert total == int(each["totalsCollateral"][0]), where
        supplied, owed = (sum(a for (_, m, s), a in held.items() if (m, s) == (run.base, side)) for side in Side)
        assert owed == int(sample["totalsBasic"]["totalBorrowBase"]), where
        assert 0 <= int(sample["totalsBasic"]["totalSupplyBase"]) - supplied <= base_operations(run, sample["block"])
        compared += len(expected)

    assert compared > 500


def test_every_index_total_and_term_is_the_contracts_own(run: CometRun, stored: Reader) -> None:
    for sample in run.samples:
        markets = stored.venue_snapshot(run.venue(), run.block(sample["block"])).markets
        totals, terms = (json.loads(markets[WHOLE_VENUE, aspect]) for aspect in ("totals", "terms"))
        assert {name: totals[name] for name in STORED} == {
            name: sample["totalsBasic"][theirs] for name, theirs in STORED.items()
        }
        assert [each["asset"] for each in terms["assets"]] == [
            info["asset"].lower() for _, info in sorted(sample["assetInfo"].items(), key=lambda item: int(item[0]))
        ]
        for each, info in zip(terms["assets"], sample["assetInfo"].values(), strict=True):
            assert each["liquidate_factor"] == info["liquidateCollateralFactor"]
            assert each["borrow_factor"] == info["borrowCollateralFactor"]
        assert terms["borrow"]["base"] == sample["market"]["borrowPerSecondInterestRateBase"]


def test_every_number_of_every_account_is_the_contracts_own(run: CometRun, stored: Reader) -> None:
    compared = owing = apart = 0
    for sample in run.samples:
        at = run.block(sample["block"])
        units = {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), at)}
        value = open_book(stored.venue_snapshot(run.venue(), at))
        for user, said in sample["accounts"].items():
            unit = value(units.get(raw(user)) or nobody(raw(user)))
            if said["isLiquidatable"] is None:
                assert (unit.native, unit.liquidatable) == (None, None), f"block {sample['block']}: {user}"
                continue
            assert unit.native is not None, f"block {sample['block']}: {user}: {unit.reasons}"
            assert (
                unit.native["principal"],
                unit.native["balanceOf"],
                unit.native["borrowBalanceOf"],
                bool(unit.native["liquidatable_view"]),
                told_of(unit.native),
            ) == (
                int(said["userBasic"]["principal"]),
                int(said["balanceOf"]),
                int(said["borrowBalanceOf"]),
                said["isLiquidatable"],
                said["isBorrowCollateralized"],
            ), f"block {sample['block']}: {user}"
            assert collateral_of(run, unit) == {
                raw(token): int(amount) for token, amount in said["collateralBalanceOf"].items() if int(amount)
            }
            if unit.health_factor_wad is not None:
                assert (unit.health_factor_wad < WAD) == unit.liquidatable
                assert unit.liquidatable or not said["isLiquidatable"]
                owing += 1
            apart += unit.liquidatable is not said["isLiquidatable"]
        compared += len(sample["accounts"])

    assert compared > 300
    assert owing > 50
    assert apart <= owing // 20, "accrual since the last event seldom decides"


def told_of(native: Mapping[str, int]) -> bool | None:
    """Return what `isBorrowCollateralized` answers, `None` where it reverts."""
    answer = native.get("isBorrowCollateralized")
    return None if answer is None else bool(answer)


def test_the_totals_that_are_asked_for_are_those_that_the_comet_counts(run: CometRun, store: Store) -> None:
    records = store.records(run.venue().chain_id)
    for sample in run.samples:
        block = sample["block"]
        sums = records.sums("comet", block)
        assert sums is not None

        totals = CompoundV3(run.venue()).totals(records.markets_at("comet", block), sums, run.block(block))

        assert {read.input[-20:]: total for read, total in totals.items() if total} == {
            raw(token): int(each["totalsCollateral"][0])
            for token, each in sample["collateral"].items()
            if int(each["totalsCollateral"][0])
        }


def test_between_the_samples_accounts_are_unknown_with_a_reason(run: CometRun, stored: Reader) -> None:
    if run.views is not None:
        pytest.skip("the node of this run has the state of every block")
    sampled = {sample["block"] for sample in run.samples}
    touched = next(block for block in base_blocks(run) if block > min(sampled) and block not in sampled)
    at = run.block(touched)
    value = open_book(stored.venue_snapshot(run.venue(), at))
    units = [value(unit) for unit in stored.unit_snapshots(run.venue(), at)]

    assert units
    assert {unit.native for unit in units} == {None}
    assert {reason.code for unit in units for reason in unit.reasons} >= {"state_unavailable"}


def test_the_tables_are_derived_again_without_the_network(run: CometRun, followed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.duckdb"
    with Store.open(shutil.copy(followed, again)) as rebuilt:
        asyncio.run(rebuild(run.spec("http://127.0.0.1:9"), [run.venue()], [], rebuilt, listener=Heard()))

    assert assert_same_tables(followed, again) > 1_000


def test_the_tables_depend_on_no_cuts_where_a_node_has_every_state(
    run: CometRun, followed: Path, tmp_path: Path
) -> None:
    if run.views is None:
        pytest.skip("the node of this run has the state of the sampled blocks alone")
    cut = tmp_path / "cut.duckdb"
    with Store.open(cut) as taken:
        asyncio.run(replayed(run, taken, span=29))

    assert assert_same_tables(followed, cut) > 1_000


def expected_of(run: CometRun, sample: dict[str, object]) -> Iterator[tuple[tuple[bytes, bytes, Side], int]]:
    accounts = sample["accounts"]
    assert isinstance(accounts, dict)
    for user, account in accounts.items():
        principal = int(account["userBasic"]["principal"])
        if principal:
            yield (raw(user), run.base, Side.SUPPLY if principal > 0 else Side.BORROW), abs(principal)
        for token, amount in account["collateralBalanceOf"].items():
            if int(amount):
                yield (raw(user), raw(token), Side.SUPPLY), int(amount)


def collateral_of(run: CometRun, unit: VenueUnit) -> dict[bytes, int]:
    return {each.asset: each.amount_raw for each in unit.positions if each.asset != run.base}


def base_operations(run: CometRun, until: int) -> int:
    """How many operations may have rounded a principal away: each supply of base, up to a block."""
    return sum(block <= until for block in base_blocks(run))


def base_blocks(run: CometRun) -> list[int]:
    topics = {"0x" + event.topic0.hex() for event in (ev.SUPPLY, ev.WITHDRAW, ev.TRANSFER, ev.ABSORB_DEBT)}
    return [
        int(log["blockNumber"], 16)
        for log in run.logs
        if log["address"].lower() == run.comet and log["topics"][0] in topics
    ]


def nobody(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


def raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def test_the_public_views_name_every_token_of_the_run(store: Store) -> None:
    assert_views_name_every_token(store)
