"""A program that is deployed anew is noticed at the next head, and nothing is valued by it until the configuration speaks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chains.model import ChainSpec, Reason, VenueSpec, VenueUnit
from chains.registry import PROTOCOLS, connect, open_book, venue_doubts
from indexer.loop import index, rebuild
from indexer.store import Store
from tests.contract.test_solana_lending_live import BEFORE, CASES, configured, put, samples_of
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support.indexing import Heard
from tests.support.programs import deploy, undeploy
from tests.support.tables import assert_same_tables


def units_of(store: Store, venue: VenueSpec, slot: int | None = None) -> list[VenueUnit]:
    cursor = store.cursor(venue.chain_id)
    assert cursor is not None
    at = cursor.block if slot is None else store.block(venue.chain_id, slot)
    assert at is not None
    with store.reading() as reader:
        value = open_book(venue.protocol)(reader.venue_snapshot(venue, at))
        return [value(unit) for unit in reader.unit_snapshots(venue, at)]


def doubts_of(store: Store, venue: VenueSpec, slot: int) -> Sequence[Reason]:
    at = store.block(venue.chain_id, slot)
    assert at is not None
    with store.reading() as reader:
        return venue_doubts(reader.venue_snapshot(venue, at))


def codes(units: list[VenueUnit]) -> set[str]:
    return {reason.code for unit in units for reason in unit.reasons}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.parent.name)
def test_after_an_upgrade_every_unit_is_unknown_until_its_slot_is_configured(folder: Path, tmp_path: Path) -> None:
    samples = samples_of(folder)
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began)
    venue = replace(configured(folder), chain_id=f"solana:{str(ledger.genesis_hash)[:32]}", start_block=first)
    program = import_module(PROTOCOLS[venue.protocol]).adapter(venue).sets[0].program
    ledger.mine()
    half = samples[: len(samples) // 2]
    ledger.skip(half[-1][0] - ledger.tip.slot - 1)
    for _, _, changed in half:
        put(ledger, changed)
    deploy(ledger, program, first - 5)

    async def live(store: Store, url: str) -> list[int]:
        spec = ChainSpec(id=venue.chain_id, name="recorded", rpc=(url,), finality="confirmed", start_block=first)
        chain: Any = connect(spec, [venue], [])
        looked: list[int] = []
        for change in (None, "deploy", "undeploy"):
            if change == "deploy":
                deploy(ledger, program, ledger.open_slot)
            elif change == "undeploy":
                undeploy(ledger, program)
            looked.append(ledger.mine().slot)
            ledger.idle(1)
            await index(chain, store, until="latest", listener=Heard())
        await chain.aclose()
        return looked

    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    with Store.open(path) as store, Server(ledger) as node:
        before, after, gone = asyncio.run(live(store, node.url))
        known, unknown = units_of(store, venue, before), units_of(store, venue, after)
        stated = replace(venue, options={**venue.options, "program_slots": [first - 5, after]})
        assert {reason.code for reason in doubts_of(store, venue, after)} == {"program_upgraded"}
        assert not doubts_of(store, venue, before)
        assert not doubts_of(store, stated, after)
        again = units_of(store, stated, after)
        assert codes(units_of(store, venue, gone)) >= {"program_unknown"}

    numbered = [unit for unit in known if unit.native is not None]
    assert len(numbered) > 1
    assert "program_upgraded" not in codes(known)
    assert len(unknown) == len(known)
    assert all((unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None) for unit in unknown)
    assert all("program_upgraded" in {reason.code for reason in unit.reasons} for unit in unknown)
    assert [unit.has_debt for unit in unknown] == [unit.has_debt for unit in known]
    assert len([unit for unit in again if unit.native is not None]) == len(numbered)

    with duckdb.connect(str(path), read_only=True) as con:
        told = con.sql("SELECT block_number, is_first FROM public.venue_alert WHERE kind = 'implementation' ORDER BY 1")
        assert told.fetchall() == [(before, True), (after, False), (gone, False)]
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        spec = ChainSpec(
            id=venue.chain_id, name="recorded", rpc=("http://127.0.0.1:9",), finality="confirmed", start_block=first
        )
        asyncio.run(rebuild(spec, [venue], [], store, listener=Heard()))
    assert assert_same_tables(path, copy) > 50
