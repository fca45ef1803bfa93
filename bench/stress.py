"""A book against scenarios: the lowest equity of every account and how often it is below zero; beside numpy, DuckDB and polars.

All compute the same of the same positions, and are compared first. Peers that are slow get fewer accounts or scenarios; their time is then
also scaled up to all, and said to be.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter, process_time

import duckdb
import numpy as np
import pyarrow as pa

from aggregator.risk.exposures import Exposures, Floats, Indexes, fastest, in_numpy, stressed

ACCOUNTS, POSITIONS, ASSETS, SCENARIOS, VENUES = 1_000_000, 5, 50, 1_000, 8
SOME_SCENARIOS = 100
FEW, FEWER = 100_000, 20_000
RUNS = 3
SEED = 1
MOST_NEAR_ZERO = 1e-5
"""Of all revaluations may be judged otherwise where sums are in another order."""

Answer = tuple[Floats, Indexes]


def main() -> None:
    book, moves = world(ACCOUNTS)
    print(
        f"stress · {ACCOUNTS:,} accounts × {POSITIONS} positions × {ASSETS} assets × {SCENARIOS:,} scenarios, best of {RUNS} runs, "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; seconds on the clock and of CPU"
    )
    ours(book, moves)
    peer("numpy, dense blocks", matrices, FEW, SCENARIOS)
    peer("DuckDB, join and group", in_duckdb, FEWER, SOME_SCENARIOS)
    if find_spec("polars") is None:
        print("    polars is not installed: pip install polars")
    else:
        peer("polars, an expression a scenario", in_polars, FEW, SOME_SCENARIOS)


def world(accounts: int) -> tuple[Exposures, Floats]:
    """Accounts that count 80 % of what they hold and owe less than that in one or two assets."""
    chance = np.random.default_rng(SEED)
    amounts = chance.lognormal(3, 2, (accounts, POSITIONS))
    owed = np.arange(POSITIONS) >= POSITIONS - chance.integers(1, 3, accounts)[:, None]
    share = chance.uniform(0.2, 0.95, accounts)
    counted, owing = (np.where(mine, amounts, 0.0).sum(axis=1) for mine in (~owed, owed))
    amounts = np.where(owed, -amounts * (share * 0.8 * counted / owing)[:, None], amounts * 0.8)
    book = Exposures(
        starts=np.arange(accounts + 1, dtype=np.int64) * POSITIONS,
        assets=chance.integers(0, ASSETS, accounts * POSITIONS).astype(np.int32),
        amounts=amounts.ravel(),
        bases=amounts.sum(axis=1),
        groups=chance.integers(0, VENUES, accounts).astype(np.int32),
    )
    market = chance.normal(-0.1, 0.2, SCENARIOS)
    return book, np.clip(market + chance.normal(0, 0.1, (ASSETS, SCENARIOS)), -1, None)


def ours(book: Exposures, moves: Floats) -> None:
    small, _ = world(FEW)
    found, plain = stressed(small, moves, fastest()), stressed(small, moves, in_numpy)
    assert np.array_equal(found.worst, plain.worst)
    assert np.array_equal(found.breaches, plain.breaches)
    name = "numpy" if fastest() is in_numpy else "compiled"
    report(f"with shortfalls of {VENUES} venues, {name}", lambda: stressed(book, moves, fastest()))
    print(f"    most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    report(f"numpy, {FEW:,} accounts", lambda: stressed(small, moves, in_numpy), ACCOUNTS / FEW)


def peer(name: str, run: Callable[[Exposures, Floats], Answer], accounts: int, scenarios: int) -> None:
    book, moves = world(accounts)
    moves = np.ascontiguousarray(moves[:, :scenarios])
    worst, breaches = run(book, moves)
    expected = stressed(book, moves, fastest())
    assert np.allclose(worst, expected.worst, rtol=1e-9, atol=1e-6)
    assert np.abs(breaches - expected.breaches).sum() <= MOST_NEAR_ZERO * accounts * scenarios
    scale = ACCOUNTS / accounts * SCENARIOS / scenarios
    report(f"{name}, {accounts:,} × {scenarios:,}", lambda: run(book, moves), scale)


def matrices(book: Exposures, moves: Floats) -> Answer:
    """Blocks of accounts as rows of a matrix, times all moves."""
    rows, block = len(book.bases), 1_000
    worst, breaches = np.empty(rows), np.empty(rows, np.int64)
    for first in range(0, rows, block):
        places = slice(first * POSITIONS, (first + block) * POSITIONS)
        dense = np.zeros((block, len(moves)))
        np.add.at(dense, (np.repeat(np.arange(block), POSITIONS), book.assets[places]), book.amounts[places])
        equity = book.bases[first : first + block, None] + dense @ moves
        worst[first : first + block], breaches[first : first + block] = equity.min(axis=1), (equity < 0).sum(axis=1)
    return worst, breaches


JOINED = """
SELECT min(equity) AS worst, count(*) FILTER (equity < 0) AS breaches FROM (
    SELECT p.account, m.scenario, first(p.base) + sum(p.amount * m.move) AS equity
    FROM positions AS p JOIN moves AS m ON m.asset = p.asset
    GROUP BY p.account, m.scenario
)
GROUP BY account ORDER BY account
"""


def table(book: Exposures) -> pa.Table:
    owners = np.repeat(np.arange(len(book.bases)), POSITIONS)
    return pa.table({"account": owners, "asset": book.assets, "amount": book.amounts, "base": book.bases[owners]})


def in_duckdb(book: Exposures, moves: Floats) -> Answer:
    assets, scenarios = np.indices(moves.shape)
    with duckdb.connect() as con:
        con.register("positions", table(book))
        con.register("moves", pa.table({"asset": assets.ravel(), "scenario": scenarios.ravel(), "move": moves.ravel()}))
        found = con.execute(JOINED).fetchnumpy()
    return np.asarray(found["worst"]), np.asarray(found["breaches"])


def in_polars(book: Exposures, moves: Floats) -> Answer:
    pl = import_module("polars")
    places = book.assets.reshape(-1, POSITIONS)
    frame = pl.DataFrame({"base": book.bases} | {f"amount{at}": book.amounts[at::POSITIONS] for at in range(POSITIONS)})
    worst, breaches = np.full(len(book.bases), np.inf), np.zeros(len(book.bases), np.int64)
    for scenario in moves.T:
        moved = frame.with_columns(pl.Series(f"move{at}", scenario[places[:, at]]) for at in range(POSITIONS))
        gained = pl.sum_horizontal(pl.col(f"amount{at}") * pl.col(f"move{at}") for at in range(POSITIONS))
        equity = moved.select(pl.col("base") + gained).to_series().to_numpy()
        worst, breaches = np.minimum(worst, equity), breaches + (equity < 0)
    return worst, breaches


def report(what: str, work: Callable[[], object], scale: float = 1.0) -> None:
    spent = []
    for _ in range(RUNS):
        clock, cpu = perf_counter(), process_time()
        work()
        spent.append((perf_counter() - clock, process_time() - cpu))
    clock, cpu = min(spent)
    scaled = "" if scale == 1 else f"   of all, scaled ×{scale:,.0f}: {clock * scale:.1f}"
    print(f"    {what:<46}{clock:>8.2f}{cpu:>8.2f}{scaled}", flush=True)
