"""Logs of an Aave 3.5 market → journals and current balances in a store: what each stage costs, upon the state that the store has.

The same logs as `bench.fold`. Before a batch is folded the store is asked for the balance of everybody concerned; after it, every derived
row is appended to its journal and moves the current balances, in a transaction, and the file is checkpointed at the end. Raw logs, headers
and coverage are not written: `make bench-sync` measures all of it.
"""

from __future__ import annotations

import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time

import pyarrow as pa

from bench.fold import PROVIDER, Node, aspects_of, batches, history, raw
from bench.sync.aave_market import Market
from bench.sync.recorded import BLOCK_SECONDS
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.fold import AaveV3
from chains.evm.chain import WORTH_LOGS
from chains.evm.ports import Folded
from chains.model import Basis, MarketChange, Rows, Side, VenueSpec
from indexer.store import Store
from indexer.store.journals import derive
from indexer.store.session import transaction
from indexer.store.tips import append_derived

CHAIN = "eip155:1"
LOGS = 4 * WORTH_LOGS
RUNS = 3
STAGES = ("decode", "fold, with the look-up", "derive", "journals and current", "checkpoint")


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    market, logs = history(LOGS)
    venue = VenueSpec(id="aave", protocol="aave-v3", chain_id=CHAIN, address=raw(market.pool), start_block=0)
    runs = [measured(AaveV3(venue, PROVIDER), logs, market) for _ in range(RUNS)]
    token_events = sum(event.columns(logs).table.num_rows for event in ev.TOKEN_EVENTS)
    print(
        f"journal · logs of an Aave 3.5 market into journals and current balances, batches of {WORTH_LOGS:,}, median of {RUNS} runs"
    )
    print(
        f"  Python {platform.python_version()}, pyarrow {version('pyarrow')}, duckdb {version('duckdb')}, CPU of one core"
    )
    for stage in STAGES:
        print(f"  {stage:<24}{median(run[stage] for run in runs) / logs.num_rows * 1e6:>8.2f} CPU µs/log")
    whole = median(sum(run.values()) for run in runs)
    print(f"  {'all of it':<24}{whole / logs.num_rows * 1e6:>8.2f} CPU µs/log {logs.num_rows / whole:>12,.0f} logs/s")
    print(f"  {'':<24}{'':>19} {token_events / whole:>12,.0f} token events/s")


def measured(fold: AaveV3, logs: pa.Table, market: Market) -> dict[str, float]:
    """Seconds of CPU by stage for all batches, one upon the other; the balances at the end are the market's."""
    spent = dict.fromkeys(STAGES, 0.0)
    with tempfile.TemporaryDirectory() as made, Store.open(Path(made) / "store.duckdb") as store:
        write(store, listed(fold.venue, market))
        for batch in batches(logs, WORTH_LOGS):
            taken_in(fold, store, batch, spent)
        began = process_time()
        store._writer.execute("CHECKPOINT")  # noqa: SLF001 - a benchmark may look inside
        spent["checkpoint"] += process_time() - began
        check(store, fold.venue, market)
    return spent


def taken_in(fold: AaveV3, store: Store, batch: pa.Table, spent: dict[str, float]) -> None:
    times = {block: block * BLOCK_SECONDS for block in set(batch["block_number"].to_pylist())}
    marks = [process_time()]
    decoded = fold.decode(batch)
    marks.append(process_time())
    outcome = fold.fold(store.state(CHAIN), decoded, times, Node({}))
    assert isinstance(outcome, Folded)
    marks.append(process_time())
    tables = derive(outcome.rows)
    marks.append(process_time())
    with transaction(store._writer, what="bench") as con:  # noqa: SLF001 - ditto
        append_derived(con, CHAIN, tables)
    marks.append(process_time())
    for stage, began, ended in zip(STAGES, marks, marks[1:], strict=False):
        spent[stage] += ended - began


def listed(venue: VenueSpec, market: Market) -> Rows:
    """The journals' rows of a market whose reserves are listed."""
    rows = [
        MarketChange(0, 0, number, venue.id, about, aspect, state, "aave-3.5", Basis.EXACT)
        for number, ((about, aspect), state) in enumerate(aspects_of(market).items())
    ]
    return Rows(markets=rows)


def write(store: Store, rows: Rows) -> None:
    with transaction(store._writer, what="bench") as con:  # noqa: SLF001 - ditto
        append_derived(con, CHAIN, derive(rows))


def check(store: Store, venue: VenueSpec, market: Market) -> None:
    keys = {
        (raw(market.people[person]), raw(reserve.asset), side): scaled
        for reserve in market.reserves
        for token, side in ((reserve.a, Side.SUPPLY), (reserve.v, Side.BORROW))
        for person, scaled in token.scaled.items()
    }
    assert store.state(CHAIN).positions(venue.id, list(keys)) == keys
