"""What protocols' own contracts stored, by recorded Merkle proofs, beside the journals: Aave 3.3, 3.5 and 3.7, Compound III, Euler v2."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chains.evm.proofs.judging import Plan, judged, plan_of
from chains.evm.proofs.layout import Stored, number_in, slot_of
from chains.evm.proving import plan_for
from chains.model import UnitSnapshot
from chains.proving import Proved
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.store import Store
from tests.support.aave_runs import AaveRun
from tests.support.comet_runs import CometRun
from tests.support.euler_runs import EulerRun
from tests.support.evm_runs import GOLDEN
from tests.support.indexing import take_in
from tests.support.state_proofs import RecordedProofs

Run = AaveRun | CometRun | EulerRun

RUNS: Mapping[str, tuple[type[Run], Mapping[str, int]]] = {
    "aave-v3.3-s33": (AaveRun, {"scaledBalance": 8, "userConfig": 4, "eMode": 4}),
    "aave-v3.5-s12": (AaveRun, {"scaledBalance": 8, "userConfig": 4, "eMode": 4}),
    "aave-v3.7-s42": (AaveRun, {"scaledBalance": 8, "userConfig": 4, "eMode": 4}),
    "comet-s14": (CometRun, {"principal": 4, "collateral": 28}),
    "euler-v2-s16": (EulerRun, {"shares": 5, "owed": 5, "interestAccumulator": 1}),
}
"""Each run with how many numbers of each name were recorded at least."""


@pytest.mark.parametrize("name", RUNS)
def test_every_recorded_word_holds_the_number_of_the_journals(name: str, tmp_path: Path) -> None:
    recorded, wanted = RecordedProofs.load(name), RUNS[name][1]
    plan = planned(name, tmp_path)

    assert plan.snapshot.at.hash == recorded.block_hash
    found, odd = Counter[str](), []
    for _, stored in plan.units:
        assert not isinstance(stored, str)
        for contract, quantity in ((each.contract, quantity) for each in stored for quantity in each.quantities):
            word = recorded.values.get((contract, slot_of(quantity)))
            if word is not None:
                found[quantity.name] += 1
                odd += [] if number_in(word, quantity) == quantity.ours else [(quantity, word)]
    assert odd == []
    assert all(found[name] >= least for name, least in wanted.items()), found


@pytest.mark.parametrize("name", RUNS)
def test_what_was_recorded_is_proven_and_what_nobody_was_asked_for_is_unanswered(name: str, tmp_path: Path) -> None:
    recorded = RecordedProofs.load(name)
    plan = recorded_part(planned(name, tmp_path), recorded)
    units = [unit for unit, _ in plan.units]

    outcomes = Counter(proof.outcome for proof in judged(plan, recorded.replies(plan)))

    assert set(outcomes) == {Proved.PROVEN}
    assert outcomes[Proved.PROVEN] >= len(units) > 3
    assert {proof.outcome for proof in judged(plan, [])} == {Proved.UNANSWERED}
    assert {proof.outcome for proof in judged(plan_of(plan.snapshot, units, None), [])} == {Proved.NO_LAYOUT}


def recorded_part(plan: Plan, recorded: RecordedProofs) -> Plan:
    """Keep those numbers of a plan whose slots were recorded."""
    units: list[tuple[UnitSnapshot, list[Stored]]] = []
    for unit, stored in plan.units:
        assert not isinstance(stored, str)
        kept = [
            each._replace(
                quantities=tuple(q for q in each.quantities if (each.contract, slot_of(q)) in recorded.values)
            )
            for each in stored
        ]
        if any(each.quantities for each in kept):
            units.append((unit, [each for each in kept if each.quantities]))
    return Plan(snapshot=plan.snapshot, units=units)


def planned(name: str, tmp_path: Path) -> Plan:
    run = RUNS[name][0].load(GOLDEN / name)
    venue, recording = run.venue(), run.recording()

    async def followed(store: Store) -> None:
        async with ReplayNode(recording) as node:
            await take_in(connect(run.spec(node.url), [venue], []), store)

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(followed(store))
        with store.reading() as reader:
            at = run.block(run.last)
            units: Sequence[UnitSnapshot] = reader.unit_snapshots(venue, at)
            return plan_for(reader.venue_snapshot(venue, at), units)
