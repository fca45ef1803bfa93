"""A venue whose market is not there, or goes away, is unknown and named; the chain and its other venues go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chains.model import ChainSpec
from chains.registry import PROTOCOLS, connect
from indexer.loop import index
from indexer.store import Store
from tests.contract.test_solana_lending_live import BEFORE, CASES, configured, put, samples_of
from tests.contract.test_solana_program_upgrades import doubts_of, units_of
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support.indexing import Heard
from tests.support.programs import deploy


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.parent.name)
def test_a_market_that_is_missing_stops_nobody_else(folder: Path, tmp_path: Path) -> None:
    samples = samples_of(folder)
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began)
    venue = replace(configured(folder), chain_id=f"solana:{str(ledger.genesis_hash)[:32]}", start_block=first)
    missing = replace(venue, id="missing", address=b"\x77" * 32)
    ledger.mine()
    half = samples[: len(samples) // 2]
    ledger.skip(half[-1][0] - ledger.tip.slot - 1)
    for _, _, changed in half:
        put(ledger, changed)
    deploy(ledger, import_module(PROTOCOLS[venue.protocol]).adapter(venue).sets[0].program, first - 1)

    async def live(store: Store, url: str) -> tuple[int, int]:
        spec = ChainSpec(id=venue.chain_id, name="recorded", rpc=(url,), finality="confirmed", start_block=first)
        chain: Any = connect(spec, [venue, missing], [])
        there = ledger.mine().slot
        ledger.idle(1)
        await index(chain, store, until="latest", listener=Heard())
        ledger.close(Pubkey(venue.address))
        gone = ledger.mine().slot
        ledger.idle(1)
        await index(chain, store, until="latest", listener=Heard())
        await chain.aclose()
        return there, gone

    with Store.open(tmp_path / "store.duckdb") as store, Server(ledger) as node:
        there, gone = asyncio.run(live(store, node.url))
        known, unknown = units_of(store, venue, there), units_of(store, venue, gone)
        assert not doubts_of(store, venue, there)
        assert doubts_of(store, missing, there)
        assert doubts_of(store, venue, gone)
        assert units_of(store, missing, there) == []
    assert sum(unit.native is not None for unit in known) > 1
    assert len(unknown) == len(known)
    assert all(unit.native is None for unit in unknown)
    assert all(unit.reasons for unit in unknown)
