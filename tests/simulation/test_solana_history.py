"""The history of lending venues from a node: recorded transactions and accounts of the real programs, through the adapter into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import Basis, LendingEvent
from chains.registry import connect
from chains.solana.history import history_id
from indexer.loop import index, rebuild
from indexer.store import Store
from tests.devnet.solana.faults import HistoryLag
from tests.devnet.solana.server import Server
from tests.support.history_net import RecordedNet
from tests.support.history_runs import GOLDEN, Journals, load, runs, seen_of, steps
from tests.support.indexing import Heard, take_in
from tests.support.tables import assert_same_tables, tables_of

RUNS = {name: folder for name, folder in runs().items() if GOLDEN in folder.parents}

Line = tuple[str, str, bytes, bytes, bytes, int, bytes | None]


@pytest.fixture(params=list(RUNS))
def net(request: pytest.FixtureRequest) -> RecordedNet:
    return RecordedNet(load(RUNS[request.param]))


def expected(net: RecordedNet) -> list[Line]:
    """The lines that the transactions themselves tell."""
    journals = Journals(net.run.venue)
    for slot, said, changed in steps(net.run):
        journals.take(said, seen_of(slot, changed))
    return sorted(map(line, journals.rows.events), key=repr)


def line(event: LendingEvent) -> Line:
    signature = base58(event.tx_hash)
    return signature, event.kind, event.owner, event.market, event.asset, event.amount_raw, event.counterparty


def stored(store: Store) -> list[Line]:
    found = store.query(
        "SELECT tx_hash, kind, owner, market, asset, amount_raw, counterparty, basis FROM main.lending_event",
        timeout_s=9,
        max_rows=10_000,
    ).rows
    assert {row[-1] for row in found} <= {Basis.EXACT.value}
    return sorted(((base58(row[0]), *row[1:5], int(row[5]), row[6]) for row in found), key=repr)


def findings(net: RecordedNet, store: Store) -> list[Any]:
    with store.reading() as reader:
        return list(reader.findings(net.chain_id))


async def look(chain: Any, store: Store) -> Heard:
    heard = Heard()
    await index(chain, store, until="latest", listener=heard)
    return heard


def test_what_is_stored_is_what_transactions_tell_and_accounts_agree(net: RecordedNet, tmp_path: Path) -> None:
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"

    async def live(store: Store, url: str) -> None:
        chain = connect(net.spec(url), [net.venue], [])
        for step in net.steps():
            net.play(step)
            await look(chain, store)
        net.ledger.finalize()
        await look(chain, store)
        await chain.aclose()

    with Store.open(path) as store, Server(net.ledger) as node:
        asyncio.run(live(store, node.url))
        lines = stored(store)
        assert lines == expected(net)
        assert len(lines) > 25
        assert findings(net, store) == []
        with store.reading() as reader:
            covered = {(span.interest, span.level) for span in reader.coverage(net.chain_id)}
    assert covered == {("lending", "observed"), (history_id("lending"), "continuous")}
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        asyncio.run(rebuild(net.spec(""), [net.venue], [], store, listener=Heard()))
    assert assert_same_tables(path, copy) > 200


def test_a_backfill_tells_the_same_and_nothing_is_known_of_holdings_before_the_first_look(
    net: RecordedNet, tmp_path: Path
) -> None:
    path = tmp_path / "store.duckdb"
    for step in net.steps():
        net.play(step)
    with Store.open(path) as store, Server(net.ledger) as node:
        asyncio.run(take_in(connect(net.spec(node.url), [net.venue], []), store))
        assert stored(store) == expected(net)
    positions = {row[1] for row in tables_of(path)["position_change"]}
    assert len(positions) == 1


def test_what_a_lost_fork_told_is_forgotten_and_told_again(net: RecordedNet, tmp_path: Path) -> None:
    async def live(store: Store, url: str) -> int:
        chain, rewound = connect(net.spec(url), [net.venue], []), 0
        for number, step in enumerate(net.steps()):
            blocks = net.play(step)
            await look(chain, store)
            if number % 5 == 1:
                net.ledger.rollback(blocks)
                net.ledger.idle(2)
                rewound += len((await look(chain, store)).rewound_)
                net.play(step)
                rewound += len((await look(chain, store)).rewound_)
        await chain.aclose()
        return rewound

    with Store.open(tmp_path / "store.duckdb") as store, Server(net.ledger) as node:
        assert asyncio.run(live(store, node.url)) > 3
        assert stored(store) == expected(net)


def test_whose_a_unit_is_that_was_made_before_is_asked(net: RecordedNet, tmp_path: Path) -> None:
    """Liquidations name no owner; what their accounts say is stored with the slot, and a rebuild finds it there."""
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    played = list(net.steps())
    before, later = played[: len(played) // 3], played[len(played) // 3 :]
    earlier = {r["transaction"]["signatures"][0] for step in before for results in step.blocks for r in results}
    for step in before:
        net.play(step, lost=list(earlier))

    async def live(store: Store, url: str) -> None:
        chain = connect(net.spec(url), [net.venue], [])
        await look(chain, store)
        for step in later:
            net.play(step)
            await look(chain, store)
        await chain.aclose()

    with Store.open(path) as store, Server(net.ledger) as node:
        asyncio.run(live(store, node.url))
        lines = stored(store)
        assert lines == [row for row in expected(net) if row[0] not in earlier]
        assert sum(row[1] == "liquidation" for row in lines) > 3
        asked = store.query(
            "SELECT count(*) FROM main.solana_read WHERE method <> 'look'", timeout_s=9, max_rows=9
        ).rows[0][0]
        assert (asked > 0) == (net.venue.protocol != "marginfi")  # whose events say it
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        asyncio.run(rebuild(net.spec(""), [net.venue], [], store, listener=Heard()))
    assert assert_same_tables(path, copy) > 100


def test_nothing_is_told_of_before_the_venue_s_first_slot(net: RecordedNet, tmp_path: Path) -> None:
    played = list(net.steps())
    blocks = [net.play(step) for step in played]
    start = net.ledger.blocks[-sum(blocks[-9:])].slot
    with Store.open(tmp_path / "store.duckdb") as store, Server(net.ledger) as node:
        asyncio.run(take_in(connect(net.spec(node.url), [replace(net.venue, start_block=start)], []), store))
        lines = stored(store)
        question = "SELECT owner FROM main.lending_event WHERE extra ->> '$.owner_unknown' = 'true'"
        nobody = {row[0] for row in store.query(question, timeout_s=9, max_rows=99).rows}
        with store.reading() as reader:
            spans = [span for span in reader.coverage(net.chain_id) if span.interest == history_id("lending")]
    later = {r["transaction"]["signatures"][0] for step in played[-9:] for group in step.blocks for r in group}
    told = [row for row in expected(net) if row[0] in later]
    assert [row[:2] + row[3:] for row in lines] == [row[:2] + row[3:] for row in told] != []
    for mine, whole in zip(lines, told, strict=True):
        assert (
            mine[2] == whole[2] or mine[2] in nobody
        )  # obligations that are gone, of whose owner nothing was signed since
    assert [span.first for span in spans] == [start]


def lost_of(net: RecordedNet) -> Sequence[str]:
    """A transaction in the middle of the run that moved something."""
    signatures = [row[0] for row in expected(net)]
    order = [each["result"]["transaction"]["signatures"][0] for each in net.run.transactions]
    return [sorted(set(signatures), key=order.index)[len(set(signatures)) // 2]]


def test_a_transaction_that_no_node_lists_is_a_finding(tmp_path: Path) -> None:
    net = RecordedNet(load(next(iter(RUNS.values()))))
    lost = lost_of(net)

    async def live(store: Store, url: str) -> None:
        chain = connect(net.spec(url), [net.venue], [])
        for step in net.steps():
            net.play(step, lost=lost)
            await look(chain, store)
        net.ledger.finalize()
        await look(chain, store)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store, Server(net.ledger) as node:
        asyncio.run(live(store, node.url))
        assert stored(store) == [row for row in expected(net) if row[0] not in lost]
        found = findings(net, store)
        assert {(each.interest, each.kind) for each in found} == {(history_id("lending"), "unbalanced")}
        assert "since the look before, accounts changed by" in found[0].evidence
        with store.reading() as reader:
            levels = {span.level for span in reader.coverage(net.chain_id) if span.interest == history_id("lending")}
    assert levels == {"continuous", "contradicted"}


def test_an_index_that_lags_behind_accounts_costs_time_and_no_line(tmp_path: Path) -> None:
    net = RecordedNet(load(next(iter(RUNS.values()))))

    async def live(store: Store, node: Server) -> None:
        chain = connect(net.spec(node.url), [net.venue], [])
        for number, step in enumerate(net.steps()):
            net.play(step)
            with node.faults.inject(HistoryLag(slots=3), "getSignaturesForAddress", count=int(number % 4 == 1)):
                await look(chain, store)
        net.ledger.finalize()
        await look(chain, store)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store, Server(net.ledger) as node:
        asyncio.run(live(store, node))
        assert stored(store) == expected(net)
        assert findings(net, store) == []
