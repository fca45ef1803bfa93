"""A Comet that changes in silence: whoever takes it in, and however it is cut, the tables are the same and right at every block."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chains.model import WHOLE_VENUE, Side
from chains.registry import connect
from crossmargin.demo.replay import ReplayNode
from indexer.loop import rebuild
from indexer.store import Store
from tests.support.comet_model import BASE, DEPLOYED, Forgetful, Model
from tests.support.indexing import Heard, Narrow, take_in
from tests.support.tables import assert_same_tables

LENGTH = 120
FIELDS = ("supply_index", "borrow_index", "total_supply", "total_borrow", "accrued_at", "pause_flags")


async def index(model: Model, path: Path, *, span: int) -> None:
    with Store.open(path) as store:
        async with ReplayNode(model.recording()) as node:
            await take_in(Narrow(connect(model.spec(node.url), [model.venue()], []), span), store)


async def follow(model: Model, path: Path, *, steps: list[int], window: int) -> None:
    """Take in what there is, now and then, from a node that forgets."""
    with Store.open(path) as store:
        async with Forgetful(model.recording(), window=window) as node:
            for head in steps:
                node.set_head(head)
                await take_in(connect(model.spec(node.url), [model.venue()], []), store)


def again(model: Model, path: Path) -> None:
    with Store.open(path) as store:
        asyncio.run(rebuild(model.spec("http://127.0.0.1:9"), [model.venue()], [], store, listener=Heard()))


def compared(model: Model, path: Path, numbers: range, *, rounded: int = 0) -> int:
    """Compare every principal and the totals after each block; return how many blocks were known.

    `rounded`: units that a supply may have lost to transfers of nothing, which nobody tells.
    """
    known = 0
    with Store.open(path) as store, store.reading() as reader:
        for number in numbers:
            at = model.block(number)
            markets = reader.venue_snapshot(model.venue(), at).markets
            totals = json.loads(markets[WHOLE_VENUE, "totals"])
            if not totals["followed"]:
                continue
            known += 1
            assert json.loads(markets[WHOLE_VENUE, "terms"])["deactivated"] == model.deactivated[number]
            said = dict(zip((*FIELDS[:2], "", "", *FIELDS[2:]), model.totals[number], strict=True))
            assert {name: int(totals[name]) for name in FIELDS} == {name: said[name] for name in FIELDS}, number
            held = {
                unit.unit_id: unit.positions.get((BASE, Side.SUPPLY), 0) - unit.positions.get((BASE, Side.BORROW), 0)
                for unit in reader.unit_snapshots(model.venue(), at)
            }
            for who, principal in model.kept[number].items():
                lost = held.get(who, 0) - principal
                assert lost == 0 or (principal >= 0 and 0 < lost <= rounded), f"block {number}: {who.hex()}"
    return known


@pytest.mark.parametrize("seed", range(3))
def test_every_cut_gives_the_same_tables_and_they_are_right_at_every_block(seed: int, tmp_path: Path) -> None:
    model = Model(seed, LENGTH)
    whole, cut, rebuilt = (tmp_path / f"{name}.duckdb" for name in ("whole", "cut", "rebuilt"))
    for path, span in ((whole, 10_000), (cut, 7), (rebuilt, 11)):
        asyncio.run(index(model, path, span=span))
    again(model, rebuilt)

    assert model.silent
    assert assert_same_tables(whole, cut) > 100
    assert assert_same_tables(whole, rebuilt) > 100
    assert compared(model, whole, range(DEPLOYED, LENGTH + 1)) == LENGTH + 1 - DEPLOYED


@pytest.mark.parametrize("seed", range(3))
def test_of_many_accounts_every_debt_is_right_and_a_supply_but_for_units_that_nobody_tells(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chains.evm.compound_v3.fold.FEW_ACCOUNTS", 0)
    model = Model(seed, LENGTH, hiding=20)
    whole, cut = (tmp_path / f"{name}.duckdb" for name in ("whole", "cut"))
    for path, span in ((whole, 10_000), (cut, 7)):
        asyncio.run(index(model, path, span=span))
    again(model, cut)

    assert assert_same_tables(whole, cut) > 100
    assert compared(model, whole, range(DEPLOYED, LENGTH + 1), rounded=5) == LENGTH + 1 - DEPLOYED


@pytest.mark.parametrize("seed", range(3))
def test_what_a_node_forgot_is_unknown_until_it_is_asked_again_and_derives_alike(seed: int, tmp_path: Path) -> None:
    model = Model(seed, LENGTH)
    followed, rebuilt = tmp_path / "followed.duckdb", tmp_path / "rebuilt.duckdb"
    for path in (followed, rebuilt):
        asyncio.run(follow(model, path, steps=[40, 75, 76, 90, LENGTH], window=10))
    again(model, rebuilt)

    assert assert_same_tables(followed, rebuilt) > 100
    assert 0 < compared(model, followed, range(DEPLOYED, LENGTH + 1)) < LENGTH
    assert compared(model, followed, range(LENGTH, LENGTH + 1)) == 1
