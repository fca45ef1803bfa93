"""A book's margin accounts and scenarios on DuckDB, DataFusion and Spark: seconds from Parquet to Parquet, by size.

`ENGINES_POSITIONS=N,N` chooses the sizes; five positions an account, files of 100,000, `SCENARIOS` scenarios. `ENGINES=spark,duckdb`
chooses engines, and `ENGINES_MASTER=local-cluster[2,1,2048]` Spark's cluster, of which then one worker is killed while it does parts.
Engines are compared: sums of whole numbers exactly, sums of doubles to 1e-12, and what parts come to, exactly.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import duckdb
import numpy as np
import pyarrow as pa

from aggregator.arrays.columns import HAS_DEBT
from aggregator.arrays.estimates import Case, Estimates
from aggregator.arrays.legs import Leg, Pair, Price, Weight
from aggregator.engines.dialects import definitions
from aggregator.engines.partitions import ACCOUNTS, UNITS, Asked, Task, parts_of, put_parts, put_task
from aggregator.engines.running import ENGINES, running
from aggregator.risk.scenarios import Applied, Rule, Scenario
from aggregator.risk.tallies import Tallies
from aggregator.stressing import Outline
from indexer.store import Store

SIZES = tuple(int(size) for size in os.environ.get("ENGINES_POSITIONS", "100000,1000000").split(","))
NAMES = tuple(os.environ.get("ENGINES", ",".join(ENGINES)).split(","))
MASTER = os.environ.get("ENGINES_MASTER")
EACH, LEGS, A_FILE = 5, 40, 100_000
SCENARIOS, VENUES, SEED = 10, 8, 1

BOOK = {
    "margin_snapshot": "SELECT 's' AS snapshot_id, 1700000000::BIGINT AS slot_time, 0.1::DOUBLE AS kappa",
    "margin_holder": """
        SELECT i::INTEGER AS account, 'account-' || i AS account_id, 0::DOUBLE AS collateral_usd, 0::DOUBLE AS initial_collateral_usd,
            0::DOUBLE AS maintenance_collateral_usd, 0::DOUBLE AS debt_usd, 0::DOUBLE AS initial_debt_usd,
            0::DOUBLE AS maintenance_debt_usd, TRUE AS has_debt, FALSE AS debt_unknown, FALSE AS apart, FALSE AS claimed
        FROM range({accounts}) AS r(i)""",
    "margin_leg": """
        SELECT i::INTEGER AS leg, i % 4 = 3 AS is_debt, 'i' || i // 4 AS identity, 'i' || i // 4 AS mark,
            CASE WHEN i % 4 = 3 THEN 1.05 ELSE 0.8 END::DOUBLE AS static_maintenance,
            CASE WHEN i % 4 = 3 THEN 1.1 ELSE 0.7 END::DOUBLE AS static_initial, 0.1::DOUBLE AS market_maintenance,
            0.15::DOUBLE AS market_initial, 0.95::DOUBLE AS others, 0.1::DOUBLE AS least, 1::DOUBLE AS sale, 0::DOUBLE AS slope
        FROM range({legs}) AS r(i)""",
    "margin_mark": """
        SELECT 'i' || i AS mark, 0.99 * (1 + i)::DOUBLE AS low_usd, (1 + i)::DOUBLE AS mid_usd, 1.01 * (1 + i)::DOUBLE AS high_usd,
            TRUE AS authorises
        FROM range({legs} // 4) AS r(i)""",
    "margin_correlation": """
        SELECT 'i' || a AS identity, 'i' || b AS other, CASE WHEN a = b THEN 1 ELSE 0.5 END::DOUBLE AS correlation
        FROM range({legs} // 4) AS r(a), range({legs} // 4) AS o(b)""",
    "margin_case": "SELECT 0::DOUBLE AS ones, 1::DOUBLE AS first, 0::DOUBLE AS third, 1::DOUBLE AS offset_share",
}
POSITION = """
    SELECT (i // {each})::INTEGER AS account, ((i * 7 + (i // {each}) * 3) % {legs})::INTEGER AS leg, 1 + (i * 7919 % 1000) / 10 AS amount
    FROM range({first}, {end}) AS r(i)"""
SUMS = """
    SELECT count(*), sum(length(account_id)), sum(collateral_usd), sum(debt_usd), sum(health_factor), sum(maintenance_excess_usd)
    FROM read_parquet($files)"""


def main() -> None:
    print(f"engines · {EACH} positions an account, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        with Store.open(root / "store.duckdb") as store, store.exporting() as con:
            views = {name: definitions(con, name) for name in NAMES}
        taken: dict[str, list[float]] = {name: [] for name in NAMES}
        for size in SIZES:
            book = made(root / f"book-{size}", size)
            sums, tallies = {}, {}
            for name in NAMES:
                target, start, spent = root / f"{name}-{size}", perf_counter(), cpu()
                run = running(name, MASTER if name == "spark" else None)
                with one_worker_killed(enabled=name == "spark" and MASTER is not None):
                    tallies[name] = run(views[name], book, target, parts_of(book)).tallies
                taken[name].append(cpu() - spent)
                clock = perf_counter() - start
                sums[name] = duckdb.execute(SUMS, {"files": f"{target}/*.parquet"}).fetchall()[0]
                print(
                    f"    {size:>11,} positions  {name:<10} {clock:7.1f} s, {taken[name][-1]:7.1f} s of CPU", flush=True
                )
            compared(sums, tallies)
            print(f"    {size:>11,} positions  agree; most memory of one process {memory():.1f} GiB", flush=True)
    for name, seconds in taken.items():
        if len(SIZES) > 1:
            slope, _ = np.polyfit([log(size) for size in SIZES], [log(each) for each in seconds], 1)
            print(f"    {name:<10} grows as rows^{slope:.2f}")


def cpu() -> float:
    """Seconds of CPU of this process and of all below it that ended."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in found)


def memory() -> float:
    found = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(found) / 2**20


@contextmanager
def one_worker_killed(*, enabled: bool) -> Iterator[None]:
    """Kill one of Spark's workers below this process as soon as Python does parts below it."""
    stop, killed = Event(), list[int]()
    thread = Thread(target=_kill, args=(stop, killed))
    if enabled:
        thread.start()
    yield
    stop.set()
    if enabled:
        thread.join()
        assert killed, "no worker was killed: the run was over before Python did parts"
        print(f"                           killed a worker, process {killed[0]}")


def _kill(stop: Event, killed: list[int]) -> None:
    while not killed and not stop.wait(0.2):
        parents, commands = dict[int, int](), dict[int, bytes]()
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                with suppress(OSError):
                    commands[int(place.name)] = (place / "cmdline").read_bytes()
                    parents[int(place.name)] = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
        for pid in (pid for pid, words in commands.items() if b"pyspark.daemon" in words):
            above = list(_above(pid, parents))
            worker = [each for each in above if b"CoarseGrainedExecutorBackend" in commands.get(each, b"")]
            if worker and os.getpid() in above and not killed:
                os.kill(worker[0], signal.SIGKILL)
                killed.append(worker[0])


def _above(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


def made(folder: Path, positions: int) -> Path:
    """Write a book of so many positions."""
    for table, query in BOOK.items():
        text = query.format(accounts=positions // EACH, legs=LEGS)
        (folder / table).mkdir(parents=True)
        _written(text, folder / table / "part.parquet")
    (folder / "margin_position").mkdir()
    for first in range(0, positions, A_FILE):
        text = POSITION.format(each=EACH, legs=LEGS, first=first, end=min(first + A_FILE, positions))
        _written(text, folder / "margin_position" / f"part-{first:011d}.parquet")
    put_task(task(positions // EACH), folder)
    for name, rows in ((UNITS, units), (ACCOUNTS, accounts)):
        put_parts(folder / name, (rows(first, min(first + A_FILE, positions)) for first in range(0, positions, A_FILE)))
    return folder


def task(accounts: int) -> Task:
    """The same legs, marks and correlations as the tables have, and random scenarios."""
    chance, identities = np.random.default_rng(SEED), [f"i{number}" for number in range(LEGS // 4)]
    legs = [
        Leg(
            is_debt=number % 4 == 3,
            identity=f"i{number // 4}",
            mark=f"i{number // 4}",
            weight=Weight(
                static=Pair(1.05, 1.1) if number % 4 == 3 else Pair(0.8, 0.7),
                market=Pair(0.1, 0.15),
                others=0.95,
                least=0.1,
            ),
        )
        for number in range(LEGS)
    ]
    scenarios = tuple(
        Scenario(
            id=f"s{number}",
            name=f"s{number}",
            moves=tuple(
                Applied(asset=name, move=float(max(chance.normal(-0.1, 0.2), -1)), rule=Rule.SAID)
                for name in identities
            ),
        )
        for number in range(SCENARIOS)
    )
    correlation = [[1.0 if one == other else 0.5 for other in identities] for one in identities]
    cases = (Case(ones=0.0, first=1.0, third=0.0, offset=1.0),)
    return Task(
        asked=Asked(library="", scenarios=scenarios, curves=False, said={}),
        outline=Outline(accounts=accounts, units=accounts, venues=tuple(f"v{n}" for n in range(VENUES)), left_out=()),
        held=(),
        assets=tuple(identities),
        legs=tuple(legs),
        marks={
            f"i{n}": (f"i{n}", Price(0.99 * (1 + n), 1.0 + n, 1.01 * (1 + n), authorises=True))
            for n in range(LEGS // 4)
        },
        estimates=Estimates(kappa=0.1, identities=tuple(identities), correlation=correlation, cases=cases),
    )


def _held(first: int, end: int) -> tuple[list[int], pa.Array, np.ndarray, np.ndarray]:
    """Accounts, where each one's positions begin, and legs and amounts as `POSITION` has them."""
    place = np.arange(first, end)
    legs = ((place * 7 + place // EACH * 3) % LEGS).astype(np.int32)
    starts = pa.array(np.arange(0, end - first + 1, EACH), pa.int32())
    return list(range(first // EACH, end // EACH)), starts, legs, 1 + (place * 7919 % 1000) / 10


def accounts(first: int, end: int) -> pa.Table:
    numbers, starts, legs, amounts = _held(first, end)
    return pa.table(
        {
            "name": [f"account-{number}" for number in numbers],
            "said": pa.array([HAS_DEBT] * len(numbers), pa.uint8()),
            "besides": pa.array([[0.0] * 6] * len(numbers), pa.list_(pa.float64())),
            "legs": pa.ListArray.from_arrays(starts, pa.array(legs)),
            "amounts": pa.ListArray.from_arrays(starts, pa.array(amounts)),
        }
    )


def units(first: int, end: int) -> pa.Table:
    numbers, starts, legs, amounts = _held(first, end)
    worth, owed = amounts * (1 + legs // 4), legs % 4 == 3
    counted, whole = np.where(owed, -worth, 0.8 * worth), np.where(owed, -worth, worth)
    return pa.table(
        {
            "name": [f"unit-{number}" for number in numbers],
            "owner": [f"owner-{number}" for number in numbers],
            "venue": [f"v{number % VENUES}" for number in numbers],
            "assets": pa.ListArray.from_arrays(starts, pa.array(legs // 4)),
            "counted": pa.ListArray.from_arrays(starts, pa.array(counted)),
            "whole": pa.ListArray.from_arrays(starts, pa.array(whole)),
            "counted_base": counted.reshape(-1, EACH).sum(axis=1),
            "whole_base": whole.reshape(-1, EACH).sum(axis=1),
        }
    )


def _written(query: str, path: Path) -> None:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def compared(sums: dict[str, tuple[float, ...]], tallies: dict[str, Tallies]) -> None:
    first, *others = sums
    for name in others:
        assert sums[name][:2] == sums[first][:2], name
        np.testing.assert_allclose(sums[name][2:], sums[first][2:], rtol=1e-12, err_msg=name)
        assert tallies[name] == tallies[first], name
        assert tallies[name], "parts came to nothing"


if __name__ == "__main__":
    main()
