"""A book's margin accounts on DuckDB, DataFusion and Spark: seconds from Parquet to Parquet, by size.

`ENGINES_POSITIONS=N,N` chooses the sizes; five positions an account, files of 100,000. Engines are compared: sums of whole numbers
exactly, sums of doubles to 1e-12.
"""

from __future__ import annotations

import os
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb
import numpy as np

from aggregator.engines.dialects import definitions
from aggregator.engines.running import ENGINES
from indexer.store import Store

SIZES = tuple(int(size) for size in os.environ.get("ENGINES_POSITIONS", "100000,1000000").split(","))
EACH, LEGS, A_FILE = 5, 40, 100_000

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
    engines = list(ENGINES)
    print(f"engines · {EACH} positions an account, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        with Store.open(root / "store.duckdb") as store, store.exporting() as con:
            views = {name: definitions(con, name) for name in engines}
        taken: dict[str, list[float]] = {name: [] for name in engines}
        for size in SIZES:
            book = made(root / f"book-{size}", size)
            sums = {}
            for name in engines:
                target = root / f"{name}-{size}"
                start = perf_counter()
                ENGINES[name](views[name], book, target)
                taken[name].append(perf_counter() - start)
                sums[name] = duckdb.execute(SUMS, {"files": f"{target}/*.parquet"}).fetchall()[0]
                print(f"    {size:>11,} positions  {name:<10} {taken[name][-1]:7.2f} s")
            compared(sums)
    for name, seconds in taken.items():
        if len(SIZES) > 1:
            slope, _ = np.polyfit([log(size) for size in SIZES], [log(each) for each in seconds], 1)
            print(f"    {name:<10} grows as rows^{slope:.2f}")


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
    return folder


def _written(query: str, path: Path) -> None:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def compared(sums: dict[str, tuple[float, ...]]) -> None:
    first = sums["duckdb"]
    for name, other in sums.items():
        assert other[:2] == first[:2], name
        np.testing.assert_allclose(other[2:], first[2:], rtol=1e-12, err_msg=name)


if __name__ == "__main__":
    main()
