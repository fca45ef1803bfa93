"""Which level finds which missing log: each log of a run is hidden in turn from what is stored, and the chain is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from chains.completeness import Level
from chains.evm.chain import EvmChain, connect
from chains.evm.oracles.chainlink.events import ANSWER_UPDATED
from chains.model import FEEDS, Block, Side
from chains.ports import Examined, MarketKey, Records
from indexer.store import Store
from tests.devnet.evm.chain import Devnet, build
from tests.support.indexing import chain_of, feeds_of, indexed, venue_of


class Place(NamedTuple):
    block: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Records as they would be without a log, or with another one in its place."""

    records: Records
    hidden: Place
    instead: bytes | None = None

    def blocks(self, first: int, last: int) -> list[Block]:
        return self.records.blocks(first, last)

    def markets_at(self, venue_id: str, block: int) -> dict[MarketKey, str]:
        return self.records.markets_at(venue_id, block)

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        return self.records.sums(venue_id, block)

    def table(self, name: str, first: int, last: int) -> pa.Table:
        table = self.records.table(name, first, last)
        if name != "evm_log":
            return table
        there = pc.and_(
            pc.equal(table["block_number"], self.hidden.block), pc.equal(table["log_index"], self.hidden.log_index)
        )
        if self.instead is None:
            return table.filter(pc.invert(there))
        data = pc.if_else(there, self.instead, table["data"])
        return table.set_column(table.column_names.index("data"), "data", data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A devnet and the store that took it in; `logs` are all that are stored: place, contract, first topic."""

    net: Devnet
    store: Store
    last: int
    logs: Sequence[tuple[Place, bytes, bytes]]

    @property
    def chain_id(self) -> str:
        return f"eip155:{self.net.chain_id}"

    @property
    def venues(self) -> list[str]:
        return [venue_of(self.net).id, FEEDS]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    path = tmp_path_factory.mktemp("levels") / "store.duckdb"
    with build(seed=5, actions=60, users=8, crowding=4) as net:
        indexed(net, path, feeds=feeds_of(net), finality="latest")
        with Store.open(path) as store:
            yield Run(net=net, store=store, last=net.node.height(), logs=stored_logs(store, net))


def stored_logs(store: Store, net: Devnet) -> list[tuple[Place, bytes, bytes]]:
    table = store.records(f"eip155:{net.chain_id}").table("evm_log", 0, net.node.height())
    columns = ("block_number", "log_index", "address", "topic0")
    rows = zip(*(table[name].to_pylist() for name in columns), strict=True)
    return [(Place(block, index), address, topic0) for block, index, address, topic0 in rows]


@asynccontextmanager
async def asking(run: Run, nodes: int = 2) -> AsyncIterator[EvmChain]:
    spec = replace(chain_of(run.net), rpc=(run.net.url,) * nodes)
    async with aclosing(connect(spec, [venue_of(run.net)], feeds_of(run.net))) as chain:
        yield chain


async def looked(
    run: Run, chain: EvmChain, level: Level, *, first: int = 0, last: int | None = None, records: Records | None = None
) -> list[Examined]:
    """What a level says of blocks, of all there are by default, and of what is stored of them, or of `records` instead."""
    state, kept = run.store.state(run.chain_id), records or run.store.records(run.chain_id)
    end = run.last if last is None else last
    return [piece async for piece in chain.examine(first, end, state, kept, level=level.value, venues=run.venues)]


async def found_by(run: Run, level: Level) -> set[Place]:
    """The logs that a level misses when they are hidden, each found as itself and as nothing else."""
    found = set()
    async with asking(run) as chain:
        for place, address, topic0 in run.logs:
            records = Otherwise(run.store.records(run.chain_id), place)
            pieces = await looked(run, chain, level, first=place.block, last=place.block, records=records)
            findings = [finding for piece in pieces for finding in piece.findings]
            for finding in findings:
                assert (finding.kind, finding.block, finding.log_index) == ("missing", *place)
                assert (finding.address, finding.topic0) == (address, topic0)
            if findings:
                found.add(place)
    return found


def alike(run: Run) -> set[Place]:
    """The logs that have a twin: of the same contract and topic in the same block."""
    counts = Counter((place.block, address, topic0) for place, address, topic0 in run.logs)
    return {place for place, address, topic0 in run.logs if counts[place.block, address, topic0] > 1}


@pytest.mark.parametrize("level", [Level.PROVEN, Level.AGREED])
async def test_receipts_and_a_second_node_miss_every_single_log_that_is_hidden(run: Run, level: Level) -> None:
    assert await found_by(run, level) == {place for place, *_ in run.logs}


async def test_a_bloom_misses_every_log_that_has_no_twin_and_not_every_one_that_has(run: Run) -> None:
    found = await found_by(run, Level.BLOOM)
    twins = alike(run)

    assert len(twins) > 10
    assert found >= {place for place, *_ in run.logs} - twins
    assert twins - found != set()


async def test_without_a_check_nothing_is_missed(run: Run) -> None:
    assert await found_by(run, Level.FETCHED) == set()


@pytest.mark.parametrize("level", [Level.PROVEN, Level.AGREED])
async def test_a_log_that_says_something_else_is_missing_and_should_not_be_there(run: Run, level: Level) -> None:
    place, *_ = run.logs[len(run.logs) // 2]
    records = Otherwise(run.store.records(run.chain_id), place, b"\x07" * 32)

    async with asking(run) as chain:
        (piece,) = await looked(run, chain, level, first=place.block, last=place.block, records=records)

    assert {(f.kind, f.block, f.log_index) for f in piece.findings} == {("missing", *place), ("extra", *place)}


@pytest.mark.parametrize("level", [Level.PROVEN, Level.AGREED, Level.BLOOM])
async def test_an_honest_store_has_the_evidence_that_is_looked_for_in_every_block(run: Run, level: Level) -> None:
    async with asking(run) as chain:
        pieces = await looked(run, chain, level)

    assert [finding for piece in pieces for finding in piece.findings] == []
    for interest, first in ((f"venue:{venue_of(run.net).id}", run.net.market.start_block), (FEEDS, 0)):
        spans = [span for piece in pieces for span in piece.covered if span.interest == interest]
        assert {span.level for span in spans} == {level.value}
        assert sum(span.last - span.first + 1 for span in spans) == run.last - first + 1


async def test_one_node_alone_agrees_with_nobody(run: Run) -> None:
    async with asking(run, nodes=1) as chain:
        pieces = await looked(run, chain, Level.AGREED, first=run.last - 5)

    evidence = {span.evidence for piece in pieces for span in piece.covered if span.interest == FEEDS}
    assert all("not agreed: only one node is configured" in text for text in evidence)


async def test_only_what_is_asked_about_is_looked_at(run: Run) -> None:
    price = next(place for place, _, topic0 in run.logs if topic0 == ANSWER_UPDATED.topic0)
    hiding = Otherwise(run.store.records(run.chain_id), price)
    state, level = run.store.state(run.chain_id), Level.PROVEN.value

    async with asking(run) as chain:
        found = {
            venue: [
                finding.interest
                async for piece in chain.examine(price.block, price.block, state, hiding, level=level, venues=[venue])
                for finding in piece.findings
            ]
            for venue in run.venues
        }

    assert found == {venue_of(run.net).id: [], FEEDS: [FEEDS]}
