"""What DuckDB alone takes for the rows of a million logs, beside all that `crossmargin index` takes for them, in one run on one core.

The rows are those that the index just stored: raw logs, history, journal and current amounts, appended in as large transactions with the
same settings, and checkpointed. Nothing is fetched, decoded, folded or checked: no indexer over DuckDB with these tables can be faster.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.sync import sources
from bench.sync.ours import STORE, Crossmargin
from bench.sync.task import Run
from chains.evm.chain import WORTH_LOGS
from crossmargin.cli.indexing import MEMORY
from indexer.store.connection import SETTINGS
from indexer.store.journals import POSITIONS
from indexer.store.statements import statement
from indexer.store.tips import match

CACHE = sources.ROOT / ".bench" / "chains"
LOGS = 1_000_000
BLOCKS = WORTH_LOGS // 100
TABLES = ("evm_log", "lending_event", "position_change")
TIP = "position_current"


def main() -> None:
    chain = sources.generated(CACHE, "escrow", seed=1, logs=LOGS, logs_per_block=100)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with sources.served(chain, frozenset({(os.cpu_count() or 1) - 1})) as task:
            whole: Run = Crossmargin().run(task, folder, frozenset({0}))
        seconds = alone(folder / STORE, folder / "alone.duckdb", f"eip155:{task.chain_id}")
    print(f"store · {LOGS:,} logs of an escrow, one core, CPU µs/event")
    print(f"  crossmargin index, all of it {whole.cpu_s / LOGS * 1e6:>8.1f}")
    print(f"  DuckDB, the same rows        {seconds / LOGS * 1e6:>8.1f}")
    print(f"  ratio                        {whole.cpu_s / seconds:>8.1f} ×")


def alone(stored: Path, path: Path, chain_id: str) -> float:
    """Append the rows of a store to an empty one, batch by batch; returns seconds of CPU."""
    with duckdb.connect(str(stored), read_only=True) as con:
        names = ", ".join(f"'{name}'" for name in (*TABLES, TIP))
        shapes = f"SELECT sql FROM duckdb_tables() WHERE schema_name = 'main' AND table_name IN ({names})"  # noqa: S608 - our own names
        ddl = [text for (text,) in con.execute(shapes).fetchall()]
        parts = list(batches(con))
    began = time.process_time()
    with duckdb.connect(str(path), config={**SETTINGS, "memory_limit": MEMORY, "threads": 1}) as con:
        for text in ddl:
            con.execute(text)
        for part in parts:
            con.execute("BEGIN")
            for name in (*TABLES, TIP):
                con.register("staged", part[name])
                if name == TIP:
                    con.execute(
                        statement("tip_forget", tip=TIP, match=match(POSITIONS, "t", "s")), {"chain_id": chain_id}
                    )
                con.execute(f"INSERT INTO {name} SELECT * FROM staged")  # noqa: S608 - our own names
            con.execute("COMMIT")
    return time.process_time() - began


def batches(con: duckdb.DuckDBPyConnection) -> Iterator[dict[str, pa.Table]]:
    """Read rows by spans of blocks, in chain order, with the last amount of each holding in the span."""
    (last,) = con.execute("SELECT max(block_number) FROM evm_log").fetchall()[0]
    for first in range(0, last + 1, BLOCKS):
        span = f"WHERE block_number BETWEEN {first} AND {first + BLOCKS - 1}"
        part = {name: con.sql(f"SELECT * FROM {name} {span}").to_arrow_table() for name in TABLES}  # noqa: S608
        newest = "QUALIFY row_number() OVER (PARTITION BY unit_id, market ORDER BY block_number DESC, ordinal DESC) = 1"
        part[TIP] = con.sql(f"SELECT * FROM position_change {span} {newest}").to_arrow_table()  # noqa: S608
        yield part
