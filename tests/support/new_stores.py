"""New stores in memory as copies of one: the migrations take most of a second of a processor, a copy a fiftieth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from indexer.store import blank, connection, migrate
from indexer.store import store as opening


class Made:
    """The schema that `Store.open` gives to what is empty, in a file that is written when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "made.duckdb"
        self._filled: list[str] = []

    def stands_in(self, patch: pytest.MonkeyPatch) -> None:
        """Let stores of this process that have no file be copies; those with one are copies everywhere."""
        patch.setattr(opening, "migrate", self._migrate)
        patch.setattr(opening, "connect", self._connect)

    def _connect(
        self, path: Path | str, *, read_only: bool, allowed: Sequence[Path], memory: str | None
    ) -> duckdb.DuckDBPyConnection:
        more = [self._folder] if str(path) == connection.MEMORY else []
        return connection.connect(path, read_only=read_only, allowed=[*allowed, *more], memory=memory)

    def _migrate(self, con: duckdb.DuckDBPyConnection, path: Path | str, *, read_only: bool) -> None:
        if str(path) == connection.MEMORY:
            self._copy(con)
        migrate.migrate(con, path, read_only=read_only)

    def _copy(self, con: duckdb.DuckDBPyConnection) -> None:
        if not self._file.exists():
            self._write()
        con.execute(f"ATTACH '{self._file}' AS made_once (READ_ONLY)")
        con.execute("COPY FROM DATABASE made_once TO memory (SCHEMA)")
        for table in self._filled:  # a copy of all tables with their rows takes five times as long
            con.execute(f"INSERT INTO {table} SELECT * FROM made_once.{table}")  # noqa: S608 - a name that DuckDB told
        con.execute("DETACH made_once")

    def _write(self) -> None:
        self._file.write_bytes(blank.blank())
        with duckdb.connect(self._file, read_only=True) as con:
            tables = con.execute("SELECT concat_ws('.', schema_name, table_name) FROM duckdb_tables()").fetchall()
            self._filled = [name for (name,) in tables if con.execute(f"FROM {name} LIMIT 1").fetchone() is not None]


def migrated(patch: pytest.MonkeyPatch) -> None:
    """Let stores of this process be made by the migrations, as everywhere outside of tests."""
    patch.setattr(opening, "migrate", migrate.migrate)
    patch.setattr(opening, "connect", connection.connect)
