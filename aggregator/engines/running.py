"""One book on one engine: Parquet in, Parquet out, each engine reading and writing by itself so that no process has to hold all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from aggregator.engines import spark
from aggregator.engines.dialects import ANSWER
from aggregator.engines.extras import Ran, engine
from aggregator.engines.partitions import in_processes
from indexer.store.margin import TABLES

Run = Callable[[Mapping[str, str], Path, Path, Sequence[str]], Ran]
"""Queries by view, folder of the book (a folder of Parquet for each table), folder to write, and the book's files that come to tallies."""


def in_duckdb(views: Mapping[str, str], book: Path, target: Path, parts: Sequence[str] = ()) -> Ran:
    """Run in DuckDB, within this process; parts in processes beside it. What does not fit into memory goes where temporary files go."""
    with TemporaryDirectory(prefix="crossmargin-duckdb-") as spilled, duckdb.connect() as con:
        con.execute("SET temp_directory = $folder", {"folder": spilled})
        for table in TABLES:
            rows = con.read_parquet(str(book / table / "*.parquet"))
            rows.create_view(table)
        for name, query in views.items():
            con.execute(f"CREATE VIEW {name} AS {query}")
        con.table(ANSWER).write_parquet(str(_folder(target) / "part-0.parquet"))
    return Ran(version=str(duckdb.__version__), tallies=in_processes(book, parts))


def in_datafusion(views: Mapping[str, str], book: Path, target: Path, parts: Sequence[str] = ()) -> Ran:
    """Run in DataFusion, within this process, parts in processes beside it; raises `EngineMissing`."""
    datafusion = engine("datafusion", extra="datafusion")
    plain = datafusion.SessionConfig().set("datafusion.execution.parquet.schema_force_view_types", "false")
    context = datafusion.SessionContext(plain)  # text as text, which every reader of Parquet knows
    for table in TABLES:
        context.register_parquet(table, str(book / table))
    for name, query in views.items():
        context.sql(f"CREATE VIEW {name} AS {query}")
    context.table(ANSWER).write_parquet(str(_folder(target)))
    return Ran(version=str(datafusion.__version__), tallies=in_processes(book, parts))


ENGINES: Mapping[str, Run] = {
    "duckdb": in_duckdb,
    "datafusion": in_datafusion,
    "spark": partial(spark.in_spark, master=spark.LOCAL),
}


def running(name: str, master: str | None = None) -> Run:
    """What runs a book on an engine; `master` names a cluster, and is for Spark alone."""
    return partial(spark.in_spark, master=master) if name == "spark" and master else ENGINES[name]


def _folder(target: Path) -> Path:
    target.mkdir(parents=True)
    return target
