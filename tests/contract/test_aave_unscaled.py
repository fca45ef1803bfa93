"""A recorded run of Aave 3.0.0, whose aTokens tell of transfers in token units: what is stored gives the contracts' own numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chains.errors import NodeWrong
from chains.evm.aave_v3 import open_book
from chains.evm.aave_v3.rounding import Rounding
from chains.evm.aave_v3.versions import Versions
from chains.model import Block, ChainSpec, UnitSnapshot, VenueSpec
from chains.registry import connect
from crossmargin.demo.recording import Recording, load
from crossmargin.demo.replay import ReplayNode
from indexer.store import Reader, Store
from tests.support.aave_row_by_row import AaveRowByRow
from tests.support.indexing import Narrow, raw, take_in
from tests.support.tables import assert_same_tables

RUN = load(Path(__file__).parents[1] / "golden" / "evm" / "unscaled-aave-v3.0.0.json.gz")


def test_every_number_of_every_account_is_the_contracts_own(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(index(RUN, store))
        with store.reading() as reader:
            compared = compare(reader)

    assert compared > 60


def test_read_as_scaled_the_same_events_take_more_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Versions, "transfers", lambda *_: Rounding.HALF_UP)
    with Store.open(tmp_path / "store.duckdb") as store, pytest.raises(NodeWrong, match="falls below zero"):
        asyncio.run(index(RUN, store))


def test_columns_give_the_tables_of_one_event_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_column, by_row = tmp_path / "by-column.duckdb", tmp_path / "by-row.duckdb"
    with Store.open(by_column) as columns:
        asyncio.run(index(RUN, columns, span=31))
    monkeypatch.setattr("chains.evm.aave_v3.adapter", AaveRowByRow)
    with Store.open(by_row) as rows:
        asyncio.run(index(RUN, rows, span=31))

    assert assert_same_tables(by_column, by_row) > 500


def compare(reader: Reader) -> int:
    """Compare all accounts at all blocks that were recorded; how many."""
    for said in RUN.expected:
        at = block_of(RUN, said["block"])
        units = {unit.unit_id: unit for unit in reader.unit_snapshots(VENUE, at)}
        value = open_book(reader.venue_snapshot(VENUE, at))
        for owner, numbers in said["accounts"].items():
            native = value(units.get(raw(owner)) or nobody(raw(owner))).native
            assert native is not None
            assert list(native.values()) == [int(number) for number in numbers], f"block {at.number}: {owner}"
    return sum(len(said["accounts"]) for said in RUN.expected)


async def index(run: Recording, store: Store, *, span: int = 10_000) -> None:
    async with ReplayNode(run) as node:
        spec = ChainSpec(id=run.chain_id, name="devnet", rpc=(node.url,), finality="finalized", start_block=0)
        await take_in(Narrow(connect(spec, [VENUE], []), span), store)


def block_of(run: Recording, number: int) -> Block:
    header = run.blocks[number]
    return Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )


def nobody(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


VENUE = VenueSpec(
    id="aave",
    protocol="aave-v3",
    chain_id=RUN.chain_id,
    address=raw(RUN.market["pool"]),
    start_block=int(RUN.market["start_block"]),
)
