"""Liquidations that recorded chains have: what is said of the unit just before is what the contract then did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from chains.evm.aave_v3 import events as aave
from chains.evm.compound_v3 import events as comet
from chains.evm.euler_v2 import events as euler
from chains.liquidating import Exposed, Taken
from chains.model import Side, UnitSnapshot, VenueUnit
from chains.registry import open_book
from crossmargin.demo.recording import RpcObject
from indexer.store import Reader, Store
from tests.support.aave_runs import AaveRun
from tests.support.comet_runs import CometRun
from tests.support.euler_runs import EulerRun
from tests.support.evm_runs import EvmRun, folders
from tests.support.kept import Kept


def word(log: RpcObject, place: int) -> int:
    return int(log["data"][2 + 64 * place : 66 + 64 * place], 16)


def address(topic: str) -> bytes:
    return bytes.fromhex(topic[-40:])


def alone(run: EvmRun, topic0: bytes) -> Iterator[tuple[int, RpcObject]]:
    """The first liquidation of a block: all before it in the block leaves no doubt about the unit."""
    seen: set[int] = set()
    for log in run.logs:
        number = int(log["blockNumber"], 16)
        if log["topics"][0] == "0x" + topic0.hex() and number not in seen:
            seen.add(number)
            yield number, log


def before(run: AaveRun | CometRun | EulerRun, stored: Reader, number: int, owner: bytes) -> Exposed | None:
    """A unit as it was after the block before, with interest to this one and at this one's prices."""
    venue, at = run.venue(), run.block(number)
    earlier, now = stored.venue_snapshot(venue, run.block(number - 1)), stored.venue_snapshot(venue, at)
    snapshot = replace(earlier, at=at, answers=now.answers, feeds=now.feeds)
    units: dict[bytes, UnitSnapshot] = {
        unit.unit_id: unit for unit in stored.unit_snapshots(venue, run.block(number - 1))
    }
    if owner not in units:
        return None
    unit: VenueUnit = open_book(venue.protocol)(snapshot)(units[owner])
    found = unit.liquidating() if unit.liquidating else ()
    return None if isinstance(found, tuple) else found


@pytest.mark.parametrize("name", sorted(folders("comet")))
def test_an_absorption(name: str, kept: Kept, tmp_path: Path) -> None:
    run = CometRun.load(folders("comet")[name])
    path = kept.taken_in(run, tmp_path / "followed.duckdb", run.looks)
    met: Counter[str] = Counter()
    with Store.open(path) as store, store.reading() as stored:
        for number, log in alone(run, comet.ABSORB_DEBT.topic0):
            owner = address(log["topics"][2])
            exposed = before(run, stored, number, owner)
            if exposed is None or not exposed.collaterals:
                met["unknown"] += 1
                continue
            _, done = exposed.taken(exposed.collaterals[0].market, exposed.debts[0].market, exposed.debts[0].amount_raw)
            taken = {
                address(each["topics"][3]): word(each, 0)
                for each in run.logs
                if each["topics"][0] == "0x" + comet.ABSORB_COLLATERAL.topic0.hex()
                and each["transactionHash"] == log["transactionHash"]
                and address(each["topics"][2]) == owner
            }
            assert raw_of(done) == word(log, 0), f"block {number}"
            assert {each.market: each.amount_raw for each in done.seized} == taken, f"block {number}"
            met["same"] += 1
    assert met["same"] > 1 or met["unknown"] == met.total(), met


def raw_of(done: Taken) -> int:
    return sum(each.amount_raw for each in (*done.relieved, *done.forgiven, *done.returned))


@pytest.mark.parametrize("name", sorted(folders("aave")))
def test_a_liquidation_call(name: str, kept: Kept, tmp_path: Path) -> None:
    run = AaveRun.load(folders("aave")[name])
    path = kept.taken_in(run, tmp_path / "followed.duckdb")
    met: Counter[str] = Counter()
    with Store.open(path) as store, store.reading() as stored:
        for number, log in alone(run, aave.LIQUIDATION_CALL.topic0):
            collateral, debt, owner = (address(topic) for topic in log["topics"][1:])
            exposed = before(run, stored, number, owner)
            if exposed is None:
                met["unknown"] += 1
                continue
            covered, seized = word(log, 0), word(log, 1)
            most = exposed.most(collateral, debt)
            assert most >= covered, f"block {number}"
            # Who asks for more than all of the collateral pays for is charged for all of it.
            tried = [exposed.taken(collateral, debt, asked)[1] for asked in (covered, most)]
            found = [(done.paid.amount_raw, done.seized[0].amount_raw) for done in tried]
            assert (covered, seized) in found, f"block {number}: {found}"
            met["same"] += 1
    assert met["same"] > 5, met


DIGITS = 10**17
"""Prices are kept to 18 digits; so finely the simulated rule, which divides once, agrees with the contract, which rounds on its way."""


@pytest.mark.parametrize("name", sorted(folders("euler")))
def test_a_debt_that_is_taken_over(name: str, kept: Kept, tmp_path: Path) -> None:
    run = EulerRun.load(folders("euler")[name])
    path = kept.taken_in(run, tmp_path / "followed.duckdb")
    met: Counter[str] = Counter()
    with Store.open(path) as store, store.reading() as stored:
        for number, log in alone(run, euler.LIQUIDATE.topic0):
            debt, owner, collateral = address(log["address"]), address(log["topics"][2]), address(log["data"][2:66])
            exposed = before(run, stored, number, owner)
            units = {unit.unit_id: unit for unit in stored.unit_snapshots(run.venue(), run.block(number - 1))}
            there = {lot.market: lot.amount_raw for lot in exposed.collaterals} if exposed else {}
            if exposed is None or collateral not in there:
                met["came to be in this block"] += 1
                continue
            repaid, yielded = word(log, 1), word(log, 2)
            shares, most = units[owner].positions[collateral, Side.SUPPLY], exposed.most(collateral, debt)
            assert most >= repaid, f"block {number}"
            _, done = exposed.taken(collateral, debt, repaid)
            theirs, ours = Fraction(yielded, shares), Fraction(done.seized[0].amount_raw, there[collateral])
            one_unit = Fraction(1, shares) + Fraction(1, there[collateral]) + theirs / repaid
            assert abs(theirs - ours) <= one_unit + Fraction(1, DIGITS), f"block {number}: {theirs}, {ours}"
            if yielded == shares and most - repaid <= 1 + most // DIGITS:
                met["all that is there"] += 1
            met["same"] += 1
    assert met["same"] > 1, met
    assert met["all that is there"] > 0, met
