"""Numbered changes of the schema, each in a transaction of its own."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import duckdb

from indexer.store.errors import StoreBroken, StoreNewer, StoreOlder


class Migration(NamedTuple):
    version: int
    name: str
    text: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration of this program, oldest first: `migrations/NNNN_name.sql`."""
    folder = files(__package__).joinpath("migrations")
    found = (
        Migration(int(entry.name[:4]), entry.name.removesuffix(".sql")[5:], entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    return tuple(sorted(found))


def newest_schema() -> int:
    """The number of the newest schema that this program knows."""
    return migrations()[-1].version


def migrate(con: duckdb.DuckDBPyConnection, path: Path | str, *, read_only: bool) -> None:
    """Bring the schema up to this program's; raises `StoreNewer`, `StoreOlder`, or `StoreBroken` for somebody else's file."""
    known, had = migrations(), applied(con, path)
    missing = [migration for migration in known if migration.version not in had]
    newest = known[-1].version
    if unknown := had - {migration.version for migration in known}:
        lacks = "" if max(unknown) > newest else f" without {max(unknown)}"
        raise StoreNewer(f"{path}: its schema is {max(had)}, this program knows {newest}{lacks}; upgrade the program")
    if missing and read_only:
        first = min(migration.version for migration in missing)
        version = max(had, default=0)
        lacks = f"{newest}" if first > version else f"{newest} with {first}"
        raise StoreOlder(
            f"{path}: its schema is {version}, this program needs {lacks}; run `crossmargin index` once: it brings it up to date"
        )
    for migration in missing:
        run(con, migration)


def applied(con: duckdb.DuckDBPyConnection, path: Path | str) -> frozenset[int]:
    """The migrations that the file has had, none for an empty file; they need not have come in the order of their numbers."""
    with suppress(duckdb.CatalogException):  # what is asked first costs a tenth of a list of all tables
        return frozenset(version for (version,) in con.execute("SELECT version FROM schema_version").fetchall())
    if tables := {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}:
        raise StoreBroken(
            f"{path}: a DuckDB file with other tables ({', '.join(sorted(tables)[:3])} …); name another file"
        )
    return frozenset()


def run(con: duckdb.DuckDBPyConnection, migration: Migration) -> None:
    """Apply one migration and record it, in one transaction."""
    con.begin()
    try:
        con.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        con.execute(migration.text)
        con.execute("INSERT INTO schema_version VALUES ($version)", {"version": migration.version})
        con.commit()
    except BaseException:
        con.rollback()
        raise
