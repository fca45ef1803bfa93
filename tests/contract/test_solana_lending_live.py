"""Recorded runs of Solana lending programs, served by a node: what the real adapter stores of them is valued as the bytes themselves are.

That the bytes are valued as the programs do is what the tests of each program's runs say.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chains.identifiers import from_base58
from chains.model import AccountBytes, Block, ChainSpec, Rows, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.registry import PROTOCOLS, connect, open_book
from indexer.loop import index
from indexer.store import Store
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support import kamino_runs, marginfi_runs, save_runs
from tests.support.indexing import Heard
from tests.support.programs import deploy
from tests.support.state import Tips

GOLDEN = Path(__file__).parents[1] / "golden" / "solana"
BEFORE = 1_000
"""Runs begin at a slot that is a multiple of so many, and the chain as many slots earlier."""

Account = Mapping[str, Any] | None
Sample = tuple[int, int, Mapping[str, Account]]
CASES = sorted(folder for name in ("solend", "klend", "marginfi") for folder in (GOLDEN / name).glob("case-*"))


def configured(folder: Path) -> VenueSpec:
    """The venue of a run."""
    match folder.parent.name:
        case "solend":
            return save_runs.load(folder).venue()
        case "klend":
            return kamino_runs.load(folder)[0]
        case _:
            return marginfi_runs.MarginfiRun.load(folder).venue


def samples_of(folder: Path) -> list[Sample]:
    """The slot, the time and what changed since the sample before, of the last sample of each slot."""
    with gzip.open(folder / "samples.json.gz", "rt", encoding="utf-8") as file:
        said = json.load(file)
    known: dict[str, Account] = {}
    changed: dict[int, dict[str, Account]] = {}
    for sample in said:
        news = {name: account for name, account in sample["accounts"].items() if known.get(name, "none") != account}
        known |= news
        changed.setdefault(sample["slot"], {}).update(news)
    times = {sample["slot"]: sample["unix_timestamp"] for sample in said}
    return [(slot, times[slot], changed[slot]) for slot in sorted(changed)]


class Expected:
    """What the fold makes of the bytes themselves."""

    def __init__(self, venue: VenueSpec) -> None:
        self.venue = venue
        self.fold = import_module(PROTOCOLS[venue.protocol]).adapter(venue)
        self.tips = Tips()
        self.owners: dict[bytes, bytes] = {}

    def take(self, seen: Sequence[tuple[bytes, AccountBytes]]) -> None:
        rows: Rows = marginfi_runs.row_by_row(self.fold.fold(self.tips, seen))
        self.tips.take(rows)
        self.owners |= {row.unit_id: row.owner for row in rows.accounts}
        self.owners |= {row.unit_id: row.owner for row in rows.positions}

    def units(self, at: Block) -> Iterator[VenueUnit]:
        markets = dict(self.tips.markets(self.venue.id))
        value = open_book(self.venue.protocol)(
            VenueSnapshot(venue=self.venue, at=at, markets=markets, feeds={}, answers={})
        )
        for unit_id, owner in sorted(self.owners.items()):
            yield value(
                UnitSnapshot(
                    unit_id=unit_id,
                    owner=owner,
                    positions={(m, side): n for (unit, m, side), n in self.tips.held.items() if unit == unit_id and n},
                    settings={(m, a): text for (unit, m, a), text in self.tips.settings.items() if unit == unit_id},
                )
            )


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_what_the_adapter_stores_is_valued_as_the_bytes_are(folder: Path, tmp_path: Path) -> None:
    assert followed(configured(folder), samples_of(folder), tmp_path) > 50


def followed(venue: VenueSpec, samples: Sequence[Sample], tmp_path: Path) -> int:
    """Let a chain go from sample to sample, index and compare each; return how many units had numbers."""
    slot, time, _ = samples[0]
    first, began = slot - slot % BEFORE - BEFORE, time - (slot % BEFORE + BEFORE) * 2 // 5
    ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=first, genesis_time=began)
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"
    venue = replace(venue, chain_id=chain_id, start_block=first)
    ledger.mine()
    ledger.skip(samples[0][0] - ledger.tip.slot - 10)
    put(ledger, samples[0][2])
    deploy(ledger, import_module(PROTOCOLS[venue.protocol]).adapter(venue).sets[0].program, first - 1)
    ledger.mine()
    ledger.idle(2)

    async def live(store: Store, url: str) -> int:
        spec = ChainSpec(id=chain_id, name="recorded", rpc=(url,), finality="confirmed", start_block=first)
        chain, compared = connect(spec, [venue], []), 0
        await index(chain, store, until="latest", listener=Heard())
        ledger.idle(1)
        await index(chain, store, until="latest", listener=Heard())
        expected, waiting = Expected(venue), None
        for slot, time, changed in samples:
            if waiting is not None and ledger.tip.slot + 1 < slot:
                ledger.idle(1)
                compared += await compare(store, chain, expected, waiting)
                waiting = None
            ledger.skip(slot - ledger.tip.slot - 1)
            put(ledger, changed)
            ledger.mine()
            if waiting is not None:
                compared += await compare(store, chain, expected, waiting)
            waiting = slot, time, changed
        await chain.aclose()
        return compared

    with Store.open(tmp_path / "store.duckdb") as store, Server(ledger) as node:
        return asyncio.run(live(store, node.url))


def put(ledger: Ledger, accounts: Mapping[str, Account]) -> None:
    for name, account in accounts.items():
        key = Pubkey.from_string(name)
        if account is None:
            ledger.close(key)
        else:
            data, owner = base64.b64decode(account["data"][0]), Pubkey.from_string(account["owner"])
            ledger.set_account(key, owner=owner, data=data, lamports=account["lamports"])


async def compare(store: Store, chain: Any, expected: Expected, sample: Sample) -> int:
    """Index up to a sample and compare each unit; return how many have numbers."""
    slot, time, changed = sample
    await index(chain, store, until="latest", listener=Heard())
    cursor = store.cursor(chain.spec.id)
    assert cursor is not None
    assert (cursor.block.number, cursor.block.time) == (slot, time)
    expected.take([(from_base58(name), account_bytes(slot, account)) for name, account in sorted(changed.items())])
    with store.reading() as reader:
        value = open_book(expected.venue.protocol)(reader.venue_snapshot(expected.venue, cursor.block))
        ours = {unit.unit_id: value(unit) for unit in reader.unit_snapshots(expected.venue, cursor.block)}
    numbers = 0
    for unit in expected.units(cursor.block):
        assert said(ours[unit.unit_id]) == said(unit), (slot, unit.unit_id.hex())
        numbers += unit.native is not None
    return numbers


def said(unit: VenueUnit) -> tuple[object, ...]:
    """What a unit says of itself, but for when a price was seen."""
    amounts = [(each.market, each.side, each.amount_raw, each.protocol_raw, each.counts) for each in unit.positions]
    return unit.native, unit.health_factor_wad, unit.liquidatable, unit.owner, sorted(amounts), unit.reasons


def account_bytes(slot: int, account: Account) -> AccountBytes:
    if account is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    data = base64.b64decode(account["data"][0])
    return AccountBytes(slot, from_base58(account["owner"]), account["lamports"], data, closed=False)
