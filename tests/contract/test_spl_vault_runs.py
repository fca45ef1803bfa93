"""Recorded runs of SPL vaults: per depositor, what the token programs themselves said."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from chains.escrow import VAULT
from chains.identifiers import from_base58
from chains.model import Side
from chains.registry import connect
from crossmargin.demo.solana_replay import SolanaReplayNode
from indexer.store import Store
from tests.support.indexing import take_in
from tests.support.spl_runs import SplRun, load, runs


@pytest.fixture(params=sorted(runs().items()), ids=lambda item: item[0], scope="module")
def run(request: pytest.FixtureRequest) -> SplRun:
    return load(request.param[1])


def test_there_is_a_golden_run() -> None:
    assert "golden/case-101" in runs()


def test_every_depositor_has_what_the_token_programs_moved(run: SplRun, tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(index_to(run, store, None))

        found = nets(run, store)

    expected = {
        (owner, run.case["mints"][mint]["address"]): int(numbers["net"])
        for owner, mints in run.expected["users"].items()
        for mint, numbers in mints.items()
        if int(numbers["net"])
    }
    assert found == {(from_base58(owner), from_base58(mint)): net for (owner, mint), net in expected.items()}
    assert len(expected) > 50


def test_at_every_checkpoint_the_vault_holds_what_the_token_programs_said(run: SplRun, tmp_path: Path) -> None:
    for number, checkpoint in enumerate(run.checkpoints):
        then = run.cut(checkpoint["after_transactions"])
        with Store.open(tmp_path / f"{number}.duckdb") as store:
            asyncio.run(index_to(then, store, None))

            held = {
                account: amount
                for vault in vaults(run, store).values()
                for account, amount in vault["accounts"].items()
            }
            assert held == checkpoint["vault_balances"]

    assert len(run.checkpoints) >= 3


def test_deposits_and_what_belongs_to_nobody_make_up_what_the_vault_holds(run: SplRun, tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(index_to(run, store, None))

        found = vaults(run, store)
        deposited = nets(run, store)

    for name, mint in run.case["mints"].items():
        vault = found[name]
        net = sum(amount for (_, asset), amount in deposited.items() if asset == from_base58(mint["address"]))
        final = sum(map(int, run.expected["final_vault_balances"][name].values()))
        assert int(vault["balance"]) == final
        assert int(vault["claims"]) == net
        assert vault["unattributed"] == run.expected["donations"][name]


def test_the_same_rows_come_of_one_look_at_the_end_and_of_many_on_the_way(run: SplRun, tmp_path: Path) -> None:
    with Store.open(tmp_path / "once.duckdb") as once, Store.open(tmp_path / "often.duckdb") as often:
        asyncio.run(index_to(run, once, None))
        for slot in [*run.slots[::7], run.slots[-1]]:
            asyncio.run(index_to(run, often, slot))

        assert nets(run, once) == nets(run, often)
        assert vaults(run, once) == vaults(run, often)


def nets(run: SplRun, store: Store) -> dict[tuple[bytes, bytes], int]:
    """What every depositor has in the vault, by mint."""
    cursor = store.cursor(run.venue().chain_id)
    assert cursor is not None
    with store.reading() as reader:
        return {
            (unit.owner, market): amount
            for unit in reader.unit_snapshots(run.venue(), cursor.block)
            for (market, side), amount in unit.positions.items()
            if side is Side.SUPPLY
        }


def vaults(run: SplRun, store: Store) -> dict[str, dict[str, Any]]:
    """What the vault holds, by the name of the mint."""
    cursor = store.cursor(run.venue().chain_id)
    assert cursor is not None
    names = {from_base58(mint["address"]): name for name, mint in run.case["mints"].items()}
    with store.reading() as reader:
        markets = reader.venue_snapshot(run.venue(), cursor.block).markets
    return {names[market]: json.loads(text) for (market, aspect), text in markets.items() if aspect == VAULT}


async def index_to(run: SplRun, store: Store, slot: int | None) -> None:
    """Take a run in up to the last block at or before a slot."""
    recording = run.recording()
    head = None if slot is None else max(block for block in recording.blocks if block <= slot)
    async with SolanaReplayNode(recording, head=head) as node:
        await take_in(connect(run.chain(node.url), [run.venue()], []), store)
