"""How cost grows with size: `python -m bench scale`.

CPU of all cores for an event (into journals and current rows), an account (everything valued in arrays, by the compiled kernel where there
is one; by the published SQL view; one by one, as the book in memory is) and an account in a scenario, at several sizes; the exponent of the
straight line through the logarithms; and what 10^8 would take if it goes on like that.
"""

from __future__ import annotations

import gc
import os
import platform
import random
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np

from aggregator.arrays.kernels import fastest
from aggregator.arrays.tables import margin_tables
from aggregator.margin.account import Assessment
from aggregator.margin.valuation import OpenUnit
from aggregator.risk import exposures
from bench import journal, margin, stress
from bench.fold import PROVIDER, batches, history, raw
from chains.evm.aave_v3.fold import AaveV3
from chains.evm.chain import WORTH_LOGS
from chains.model import Side, VenueSpec
from indexer.store import Store
from tests.unit.aggregator.arrays.books import toy

EVENTS = (60_000, 240_000, 960_000)
ACCOUNTS = (100_000, 400_000, 1_600_000)
IN_SQL = (30_000, 100_000, 300_000)
ONE_BY_ONE = (300, 1_000, 3_000)
SCENARIOS = 100
PRICES = 50
RUNS = 3
FAR = 10**8


class Cost(NamedTuple):
    """What one size took: seconds of CPU, and bytes that stay."""

    size: int
    seconds: float
    bytes: int


def main() -> None:
    print(
        f"scale · CPU of all {len(os.sched_getaffinity(0))} cores, best of {RUNS} runs, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for name, costs in MEASURED.items():
        told(name, list(costs()))


def told(name: str, costs: Sequence[Cost]) -> None:
    """Print each size, and where the line through them leads; it is taken to be no flatter than proportional."""
    exponent = float(np.polyfit(np.log([each.size for each in costs]), np.log([each.seconds for each in costs]), 1)[0])
    print(f"  {name}")
    for each in costs:
        seconds, size = each.seconds / each.size * 1e6, each.bytes / each.size
        print(f"    {each.size:>11,}  {each.seconds:>9.3f} s  {seconds:>9.3f} µs each  {size:>8,.0f} bytes each")
    last = costs[-1]
    far = last.seconds * (FAR / last.size) ** max(exponent, 1.0)
    print(f"    ∝ n^{exponent:.2f}; {FAR:,}: {far:,.0f} s, {last.bytes / last.size * FAR / 2**30:,.0f} GiB")


def events() -> Iterator[Cost]:
    """Logs of an Aave 3.5 market: decoded, folded upon the store and stored; bytes of the store, raw rows left out."""
    for size in EVENTS:
        market, logs = history(size)
        venue = VenueSpec(
            id="aave", protocol="aave-v3", chain_id=journal.CHAIN, address=raw(market.pool), start_block=0
        )
        fold, spent = AaveV3(venue, PROVIDER), dict.fromkeys(journal.STAGES, 0.0)
        with tempfile.TemporaryDirectory() as made:
            path = Path(made) / "store.duckdb"
            with Store.open(path) as store:
                journal.write(store, journal.listed(venue, market))
                for batch in batches(logs, WORTH_LOGS):
                    journal.taken_in(fold, store, batch, spent)
                began = process_time()
                store._writer.execute("CHECKPOINT")  # noqa: SLF001 - a benchmark may look inside
                spent["checkpoint"] += process_time() - began
            yield Cost(logs.num_rows, sum(spent.values()), path.stat().st_size)


def arrays(weights: str) -> Callable[[], Iterator[Cost]]:
    """Everything valued anew; bytes of the arrays, without the names of accounts."""

    def work() -> Iterator[Cost]:
        for size in ACCOUNTS:
            world = margin.World(size, PRICES, weights, skewed=False)
            book = world.book(fastest())
            steps = iter(range(1, 1 + RUNS))
            seconds = best(lambda: book.change([], world.moved(next(steps))))  # noqa: B023 - called before the next size
            yield Cost(
                size, seconds, 2 * book.standing.rows.nbytes + world.legs.nbytes + world.amounts.nbytes + 25 * size
            )

    return work


def in_sql() -> Iterator[Cost]:
    """`fct_margin_account` with layered haircuts; bytes of the store."""
    for size in IN_SQL:
        world = margin.World(size, PRICES, "layered", skewed=False)
        entries = world.entries(size)
        with tempfile.TemporaryDirectory() as made:
            path = Path(made) / "store.duckdb"
            with Store.open(path) as store:
                tables = margin_tables(entries, world.marks, world.estimates, snapshot_id="s", slot_time=1)
                store.replace_margin(1, tables)
                seconds = best(lambda: store.query(margin.IN_SQL, timeout_s=600, max_rows=9))
            yield Cost(size, seconds, path.stat().st_size)


def one_by_one() -> Iterator[Cost]:
    """Accounts of five positions as `assess` judges them, exactly and with reasons; bytes of what the book in memory holds of them."""
    chance = random.Random(1)
    for size in ONE_BY_ONE:
        held = {
            f"a{number}": [
                (chance.randrange(9), Side.SUPPLY if place < 3 else Side.BORROW, chance.lognormvariate(3, 2))
                for place in range(5)
            ]
            for number in range(size)
        }
        world = toy(held)
        seconds = best(lambda: [world.assessed(name) for name in held])  # noqa: B023 - as above
        gc.collect()
        tracemalloc.start()
        kept: Mapping[str, Assessment | OpenUnit] = {name: world.assessed(name) for name in held}
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(kept) == size
        yield Cost(size, seconds, taken)


def scenarios() -> Iterator[Cost]:
    """Accounts of five positions against a hundred scenarios, an account and scenario each; bytes of the exposures."""
    for size in ACCOUNTS:
        book, moves = stress.world(size)
        moves = np.ascontiguousarray(moves[:, :SCENARIOS])
        seconds = best(lambda: exposures.stressed(book, moves, exposures.fastest()))  # noqa: B023 - as above
        taken = sum(getattr(book, name).nbytes for name in ("starts", "assets", "amounts", "bases", "groups"))
        yield Cost(size * SCENARIOS, seconds, taken)


def best(work: Callable[[], object]) -> float:
    """Seconds of CPU of the quickest run, after one that warms up."""
    work()
    spent = []
    for _ in range(RUNS - 1):
        began = process_time()
        work()
        spent.append(process_time() - began)
    return min(spent)


MEASURED: Mapping[str, Callable[[], Iterator[Cost]]] = {
    "an event, into journals and current rows": events,
    "an account, in arrays, static haircuts": arrays("static"),
    "an account, in arrays, layered haircuts": arrays("layered"),
    "an account, by SQL, layered haircuts": in_sql,
    "an account, one by one, exactly": one_by_one,
    "an account in a scenario": scenarios,
}


if __name__ == "__main__":
    main()
