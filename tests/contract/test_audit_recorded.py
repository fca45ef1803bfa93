"""The self-audit of Compound III and Euler v2, beside what their own contracts answered when the runs were recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chains.auditing import Controlled
from chains.evm.controls import control
from chains.evm.parity import audit
from chains.evm.ports import UNAVAILABLE, Answer, Read
from chains.model import Block
from chains.ports import Checked, Cover, Outcome
from indexer.store import Store
from tests.devnet.evm.abi import calldata
from tests.support.comet_runs import CometRun
from tests.support.euler_runs import EulerRun
from tests.support.evm_runs import folders
from tests.support.indexing import raw
from tests.support.kept import Kept

Said = Mapping[tuple[str, str], int | tuple[int, ...]]
Answered = tuple[tuple[str, str], int | tuple[int, ...]]


def comets() -> dict[str, Path]:
    """The Comets whose samples hold every answer that is asked for here."""
    return {name: folder for name, folder in folders("comet").items() if _is_answered(CometRun.load(folder))}


def _is_answered(run: CometRun) -> bool:
    return all("getReserves" in sample["market"] for sample in run.samples)


class Recorded:
    """Contracts that answer what they did in one sample, and what was not recorded not at all."""

    def __init__(self, said: Said) -> None:
        self._said = said

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        return {read: self._answer(read) for read in reads}

    def _answer(self, read: Read) -> Answer:
        found = self._said.get(("0x" + read.address.hex(), "0x" + read.input.hex()))
        if found is None:
            return UNAVAILABLE
        words = found if isinstance(found, tuple) else (found,)
        return Answer("returned", b"".join((word % 2**256).to_bytes(32) for word in words))


@pytest.mark.parametrize("folder", comets().values(), ids=comets())
def test_every_view_of_every_account_of_a_comet_answers_what_is_stored(
    folder: Path, kept: Kept, tmp_path: Path
) -> None:
    run = CometRun.load(folder)
    found = audited(run, kept.taken_in(run, tmp_path / "store.duckdb", run.looks), comet_said)

    assert {outcome for _, outcome in found} == {Outcome.EQUAL}, found
    views = ("userBasic", "balanceOf", "borrowBalanceOf", "isLiquidatable", "isBorrowCollateralized", "userCollateral")
    assert min(found[view, Outcome.EQUAL] for view in views) > 50, found


@pytest.mark.parametrize("folder", folders("euler").values(), ids=folders("euler"))
def test_every_view_of_every_account_of_euler_answers_what_is_stored(folder: Path, kept: Kept, tmp_path: Path) -> None:
    run = EulerRun.load(folder)
    found = audited(run, kept.taken_in(run, tmp_path / "store.duckdb"), euler_said)

    assert {outcome for _, outcome in found} <= {Outcome.EQUAL, Outcome.UNKNOWN}, found
    assert {view for view, outcome in found if outcome is Outcome.UNKNOWN} <= {
        "accountLiquidity/borrow",
        "accountLiquidity/liquidation",
    }, "only what rests on prices may be unknown"
    views = ("accountLiquidity/borrow", "accountLiquidity/liquidation", "balanceOf", "debtOfExact")
    enabled = ("isCollateralEnabled", "isControllerEnabled")
    assert min(found[view, Outcome.EQUAL] for view in (*views, *enabled)) > 10, found


@pytest.mark.parametrize("folder", comets().values(), ids=comets())
def test_a_comet_counts_what_is_stored_but_for_dust_and_holds_what_is_claimed(
    folder: Path, kept: Kept, tmp_path: Path
) -> None:
    run = CometRun.load(folder)
    found = controlled(run, kept.taken_in(run, tmp_path / "store.duckdb", run.looks), comet_counts)

    for sample, whole in found:
        sums = {total.name: total for total in whole.totals if total.name != "totalsCollateral"}
        assert {total.outcome for total in whole.sums} <= {Outcome.EQUAL, Outcome.WITHIN}, whole.sums
        assert [total.theirs for total in whole.told] == [
            sums[name].theirs for name in ("totalSupplyBase", "totalBorrowBase")
        ]
        assert sums["totalBorrowBase"].outcome is Outcome.EQUAL
        assert sums["totalSupplyBase"].theirs == int(sample["totalsBasic"]["totalSupplyBase"])
        assert {held.outcome for held in whole.holdings if held.asset != run.base} == {Cover.COVERED}, whole.holdings
        (base,) = (held for held in whole.holdings if held.asset == run.base)
        missing, dust = -int(sample["market"]["getReserves"]), sums["totalSupplyBase"].most
        assert base.shortfall is not None
        assert 0 <= max(missing, 0) - base.shortfall <= dust
        assert (base.outcome is Cover.SHORT) == (base.shortfall > base.slack)
        assert (base.owed, base.claims is not None) == (int(sample["market"]["totalBorrow"]), True)
    outcomes = {held.outcome for _, whole in found for held in whole.holdings if held.asset == run.base}
    assert outcomes == {Cover.COVERED, Cover.SHORT}, (
        "bad debt that was absorbed is missing until its collateral is sold"
    )
    assert any(total.outcome is Outcome.WITHIN for _, whole in found for total in whole.totals), "no dust was met"


@pytest.mark.parametrize("folder", folders("euler").values(), ids=folders("euler"))
def test_vaults_count_what_is_stored_but_for_dust_and_hold_what_is_claimed(
    folder: Path, kept: Kept, tmp_path: Path
) -> None:
    run = EulerRun.load(folder)
    found = controlled(run, kept.taken_in(run, tmp_path / "store.duckdb"), euler_counts)

    compared = Counter((total.name, total.outcome) for _, whole in found for total in whole.totals)
    assert {outcome for _, outcome in compared} == {Outcome.EQUAL, Outcome.WITHIN}, compared
    assert {name for name, outcome in compared if outcome is Outcome.WITHIN} == {"debts"}
    assert {held.outcome for _, whole in found for held in whole.holdings} == {Cover.COVERED}
    told = Counter((total.name, total.outcome) for _, whole in found for total in whole.told)
    assert told["VaultStatus.totalShares", Outcome.EQUAL] == sum(
        whole_of == "totalSupply" for whole_of, _ in compared.elements()
    )
    assert {outcome for _, outcome in told} <= {Outcome.EQUAL, Outcome.WITHIN}, told


@pytest.mark.parametrize("folder", comets().values(), ids=comets())
def test_a_comet_that_lost_a_tenth_of_its_collateral_is_short_of_it(folder: Path, kept: Kept, tmp_path: Path) -> None:
    run = CometRun.load(folder)

    def robbed(run: CometRun, sample: dict[str, Any]) -> Iterator[Answered]:
        for asked, words in comet_counts(run, sample):
            balance = asked[1].startswith(calldata("balanceOf(address)", run.comet))
            yield asked, words * 9 // 10 if balance and isinstance(words, int) else words

    found = controlled(run, kept.taken_in(run, tmp_path / "store.duckdb", run.looks), robbed)

    _, whole = found[-1]
    short = {held.asset: held for held in whole.holdings if held.outcome is Cover.SHORT}
    assert short
    for held in short.values():
        assert held.held is not None
        assert held.claims is not None
        assert held.shortfall == held.claims - held.held - (held.owed or 0) > 0


def controlled(run: CometRun | EulerRun, path: Path, said: Any) -> list[tuple[dict[str, Any], Controlled]]:
    """Compare the venue of a run that was taken in with each sample."""
    found, venue = [], run.venue()
    with Store.open(path) as store:
        for sample in run.samples:
            with store.reading() as reader:
                snapshot = reader.venue_snapshot(venue, run.block(sample["block"]))
            contracts = Recorded(dict(said(run, sample)))
            found.append((sample, asyncio.run(control(contracts, snapshot, store.records(venue.chain_id)))))
    return found


def comet_counts(run: CometRun, sample: dict[str, Any]) -> Iterator[Answered]:
    """What is recorded of its totals; balances follow from its reserves, which the contract computes of both."""
    basic, market = sample["totalsBasic"], sample["market"]
    yield (run.comet, calldata("totalsBasic()")), tuple(int(word) for word in basic.values())
    held = int(market["getReserves"]) + int(market["totalSupply"]) - int(market["totalBorrow"])
    yield ("0x" + run.base.hex(), calldata("balanceOf(address)", run.comet)), held
    for token, said in sample["collateral"].items():
        total = int(said["totalsCollateral"][0])
        yield (run.comet, calldata("totalsCollateral(address)", token)), (total, 0)
        balance = int(said["getCollateralReserves"]) + total
        yield (token.lower(), calldata("balanceOf(address)", run.comet)), balance


def euler_counts(run: EulerRun, sample: dict[str, Any]) -> Iterator[Answered]:
    """What is recorded of the vaults' totals; a vault holds at least its cash."""
    assets = {vault["vault"].lower(): vault["asset"].lower() for vault in run.about["vaults"]}
    for vault, said in sample["vaults"].items():
        for view in ("totalSupply", "totalBorrowsExact"):
            yield (vault.lower(), calldata(f"{view}()")), int(said[view])
        yield (assets[vault.lower()], calldata("balanceOf(address)", vault)), int(said["cash"])


def audited(run: CometRun | EulerRun, path: Path, said: Any) -> Counter[tuple[str, Outcome]]:
    """Compare everybody who was sampled in a run that was taken in with each sample."""
    found, venue = Counter[tuple[str, Outcome]](), run.venue()
    with Store.open(path) as store, store.reading() as reader:
        for sample in run.samples:
            at, sampled = run.block(sample["block"]), {raw(account) for account in sample["accounts"]}
            units = [unit for unit in reader.unit_snapshots(venue, at) if unit.unit_id in sampled]
            contracts = Recorded(dict(said(run, sample)))
            checks = asyncio.run(audit(contracts, reader.venue_snapshot(venue, at), units))
            found += Counter((check.view, check.outcome) for check in told(checks))
    return found


def told(checks: Collection[Checked]) -> list[Checked]:
    """Name what differs where it does."""
    assert [check for check in checks if check.outcome is Outcome.DIFFERENT] == []
    return list(checks)


def comet_said(run: CometRun, sample: dict[str, Any]) -> Iterator[Answered]:
    for user, said in sample["accounts"].items():
        for view in ("balanceOf", "borrowBalanceOf", "isLiquidatable", "isBorrowCollateralized"):
            yield (run.comet, calldata(f"{view}(address)", user)), int(said[view])
        basic = tuple(int(word) for word in said["userBasic"].values())
        yield (run.comet, calldata("userBasic(address)", user)), basic
        for token in sample["collateral"]:
            held = int(said["collateralBalanceOf"].get(token, 0))
            yield (run.comet, calldata("userCollateral(address,address)", user, token)), (held, 0)


def euler_said(run: EulerRun, sample: dict[str, Any]) -> Iterator[Answered]:
    connector, vaults = run.about["addresses"]["EVC"].lower(), [each.lower() for each in sample["vaults"]]
    for account, said in sample["accounts"].items():
        told = {vault.lower(): numbers for vault, numbers in said["vaults"].items()}
        for vault in vaults:
            for view in ("balanceOf", "debtOfExact"):
                yield (vault, calldata(f"{view}(address)", account)), int(told.get(vault, {}).get(view, 0))
            for role in ("Collateral", "Controller"):
                on = vault in {each.lower() for each in said[role.lower() + "s"]}
                yield (connector, calldata(f"is{role}Enabled(address,address)", account, vault)), int(on)
        both = said.get("accountLiquidity_collateral_liability")
        for vault in said["controllers"] if both else ():
            for kind in ("borrow", "liquidation"):
                words = tuple(int(number) for number in both[kind])
                asked = calldata("accountLiquidity(address,bool)", account, kind == "liquidation")
                yield (vault.lower(), asked), words
