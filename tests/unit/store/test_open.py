"""Opening a store: what is made, what is refused, and in which words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from indexer.store import MEMORY, Store, StoreBroken, StoreError, StoreLocked, StoreMissing, StoreNewer, StoreOlder
from indexer.store import migrate as migrating
from indexer.store.blank import blank
from indexer.store.connection import SETTINGS
from indexer.store.migrate import Migration, migrate, migrations
from indexer.store.migrate import run as apply
from tests.support.new_stores import Made
from tests.unit.store.builders import CHAIN, append, batch, block

HOLD = "import sys; from indexer.store import Store; s = Store.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


SCHEMA = {
    "tables": "SELECT schema_name, table_name, comment, sql FROM duckdb_tables() ORDER BY ALL",
    "views": "SELECT schema_name, view_name, comment, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
    "columns": "SELECT schema_name, table_name, column_name, comment, data_type, column_default, is_nullable"
    " FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
    "constraints": "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
    "macros": "SELECT schema_name, function_name, parameters, macro_definition, comment"
    " FROM duckdb_functions() WHERE NOT internal ORDER BY ALL",
    "others": "SELECT sequence_name FROM duckdb_sequences() UNION ALL SELECT index_name FROM duckdb_indexes()"
    " UNION ALL SELECT schema_name FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL",
    "versions": "SELECT version FROM main.schema_version ORDER BY ALL",
}


@contextmanager
def held_by_another_process(path: Path) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield holder.pid
        holder.communicate()


@pytest.mark.usefixtures("by_migrations")
def test_a_new_store_is_made_with_its_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "deep" / "store.duckdb"

    Store.open(path).close()

    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("by_migrations")
def test_a_store_that_was_not_finished_under_the_same_process_id_is_forgotten(tmp_path: Path) -> None:
    for name in (f".store.duckdb.{os.getpid()}", f".store.duckdb.{os.getpid()}.wal"):
        (tmp_path / name).write_bytes(b"half")

    Store.open(tmp_path / "store.duckdb").close()

    assert [path.name for path in tmp_path.iterdir()] == ["store.duckdb"]


def test_what_was_stored_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        append(store, batch(1, 3))

    with Store.open(path) as store:
        held = store.cursor(CHAIN)

    assert held is not None
    assert held.block == block(3)


@pytest.mark.usefixtures("by_migrations")
def test_every_migration_is_recorded_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    Store.open(path).close()

    with duckdb.connect(path) as con:
        recorded = con.execute("SELECT * FROM schema_version ORDER BY ALL").fetchall()

    assert recorded == [(migration.version,) for migration in migrations()]


@pytest.mark.parametrize("made_as", ["store", "in memory, by a test", "published"])
def test_what_new_stores_begin_as_is_what_the_migrations_make(
    made_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**SETTINGS, "storage_compatibility_version": "v1.4.0"} if made_as == "published" else SETTINGS
    with duckdb.connect(tmp_path / "migrated.duckdb", config=config) as con:
        migrate(con, tmp_path / "migrated.duckdb", read_only=False)
    with duckdb.connect(tmp_path / "migrated.duckdb") as con:
        by_migrations = schema(con)

    if made_as == "published":
        (tmp_path / "published.duckdb").write_bytes(blank("v1.4.0"))
        with duckdb.connect(tmp_path / "published.duckdb") as con:
            found = schema(con)
    else:
        Made(tmp_path).stands_in(monkeypatch)
        with Store.open(tmp_path / "store.duckdb" if made_as == "store" else MEMORY) as store:
            found = schema(store._root)

    assert found == by_migrations
    assert (tmp_path / "made.duckdb").exists() == (made_as == "in memory, by a test")
    assert [len(by_migrations[about]) > 20 for about in ("tables", "views", "constraints")] == [True] * 3


def schema(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    found = {about: con.execute(question).fetchall() for about, question in SCHEMA.items()}
    rows = {name: con.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in ("event_head", "schema_version")}
    return rows | {about: [tuple(map(in_order, row)) for row in told] for about, told in found.items()}


@pytest.mark.usefixtures("by_migrations")
def test_the_second_new_store_of_a_process_is_made_without_the_migrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []

    def noted(con: duckdb.DuckDBPyConnection, migration: Migration) -> None:
        run.append(migration.name)
        apply(con, migration)

    monkeypatch.setattr(migrating, "run", noted)
    blank.cache_clear()

    counts = []
    for name in ("first.duckdb", "second.duckdb"):
        Store.open(tmp_path / name).close()
        counts.append(len(run))

    assert counts == [len(migrations())] * 2


def in_order(value: object) -> object:
    """A text without the chance order in which DuckDB writes the columns that a view leaves out."""
    if not isinstance(value, str):
        return value
    return re.sub(r"EXCLUDE \(([^()]*)\)", lambda found: f"EXCLUDE ({sorted(found[1].split(', '))})", value)


def test_migrations_are_numbered_and_no_number_is_given_twice() -> None:
    numbers = [migration.version for migration in migrations()]

    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


def test_a_migration_that_was_merged_later_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    with duckdb.connect(path) as con:
        con.execute("DROP TABLE found_start")
        con.execute("DELETE FROM schema_version WHERE version = 9")

    with pytest.raises(StoreOlder, match=f"its schema is {migrations()[-1].version}, this program needs [0-9]+ with 9"):
        Store.open(path, read_only=True)
    Store.open(path).close()

    with duckdb.connect(path) as con:
        recorded = {version for (version,) in con.execute("SELECT version FROM schema_version").fetchall()}
        assert con.execute("SELECT count(*) FROM found_start").fetchall() == [(0,)]
    assert recorded == {migration.version for migration in migrations()}


def test_a_store_with_a_migration_in_between_that_this_program_does_not_know_is_of_another(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    with duckdb.connect(path) as con:
        con.execute("INSERT INTO schema_version VALUES (0)")

    for read_only in (False, True):
        with pytest.raises(StoreNewer, match=r"this program knows \d+ without 0; upgrade the program"):
            Store.open(path, read_only=read_only)


def test_a_migration_that_fails_leaves_the_schema_before_it(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1)")

    with pytest.raises(StoreBroken, match="its schema cannot be read or changed"):
        Store.open(path)

    with duckdb.connect(path) as con:
        assert con.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert con.execute("SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'public'").fetchall() == [(0,)]


def test_a_store_that_another_process_has_open_is_refused_with_its_process_id(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"

    with (
        held_by_another_process(path) as pid,
        pytest.raises(StoreLocked, match=f"{path}: process {pid} has") as refused,
    ):
        Store.open(path)

    assert refused.value.pid == pid
    Store.open(path).close()


def test_a_reader_is_refused_too_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"

    with held_by_another_process(path) as pid, pytest.raises(StoreLocked) as refused:
        Store.open(path, read_only=True)

    assert refused.value.pid == pid


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_that_this_process_has_open_is_refused(tmp_path: Path, *, read_only: bool) -> None:
    path = tmp_path / "store.duckdb"

    with Store.open(path) as store:
        append(store, batch(1, 1))
        with pytest.raises(StoreLocked, match="this process has this store open already"):
            Store.open(path, read_only=read_only)

    with Store.open(path, read_only=read_only) as store:
        assert store.block(CHAIN, 1) == block(1)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    newest = migrations()[-1].version
    with duckdb.connect(path) as con:
        con.execute("INSERT INTO schema_version VALUES (9999)")
    before = path.read_bytes()

    with pytest.raises(StoreNewer, match=f"its schema is 9999, this program knows {newest}; upgrade"):
        Store.open(path)

    assert path.read_bytes() == before


def test_an_older_schema_is_not_changed_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    newest = migrations()[-1].version
    with duckdb.connect(path) as con:
        con.execute("DELETE FROM schema_version WHERE version = $newest", {"newest": newest})

    with pytest.raises(StoreOlder, match=f"this program needs {newest}; run `crossmargin index` once"):
        Store.open(path, read_only=True)


@pytest.mark.parametrize("content", [b"", b"hello\n" * 4000, bytes(8192)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.duckdb"
    path.write_bytes(content)

    with pytest.raises(StoreBroken, match=f"{path}: cannot be opened as a store"):
        Store.open(path)

    assert path.read_bytes() == content


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE customers (name VARCHAR)")

    with pytest.raises(StoreBroken, match="other tables \\(customers …\\); name another file"):
        Store.open(path)


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:12_288] + bytes(len(whole) - 12_288))

    with pytest.raises(StoreBroken, match=str(path)):
        Store.open(path)


def test_reading_a_store_that_does_not_exist_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.duckdb"

    with pytest.raises(StoreMissing, match="there is no store here; index something first"):
        Store.open(path, read_only=True)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreBroken, match="its folder cannot be made"):
        Store.open(tmp_path / "file" / "store.duckdb")


def test_a_store_that_is_only_read_refuses_every_step(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()

    with Store.open(path, read_only=True) as store, pytest.raises(StoreError, match=r"cannot be written: .*read-only"):
        append(store, batch(1, 1))


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store.duckdb")
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.cursor(CHAIN)
    with pytest.raises(StoreError, match="cannot be written"):
        store.save_sent({"digest": ("acme", "{}")}, ())
