"""New stores as copies of one whose schema was made once: the migrations take half a second of a processor, a copy a twentieth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from indexer.store import connection, migrate
from indexer.store import store as opening


class Made:
    """The schema that `Store.open` gives to what is empty, in a file that is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "made.duckdb"

    def stands_in(self, patch: pytest.MonkeyPatch) -> None:
        """Let stores of this process be copies."""
        patch.setattr(opening, "migrate", self._migrate)
        patch.setattr(opening, "connect", self._connect)

    def _connect(
        self, path: Path | str, *, read_only: bool, allowed: Sequence[Path], memory: str | None
    ) -> duckdb.DuckDBPyConnection:
        more = [self._folder] if str(path) == connection.MEMORY else []
        return connection.connect(path, read_only=read_only, allowed=[*allowed, *more], memory=memory)

    def _migrate(self, con: duckdb.DuckDBPyConnection, path: Path | str, *, read_only: bool) -> None:
        if not read_only and con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]:
            self._copy(con)
        migrate.migrate(con, path, read_only=read_only)

    def _copy(self, con: duckdb.DuckDBPyConnection) -> None:
        if not self._file.exists():
            with connection.made(self._file) as made:
                migrate.migrate(made, self._file, read_only=False)
        ((name,),) = con.execute("SELECT current_database()").fetchall()
        con.execute(f"ATTACH '{self._file}' AS made_once (READ_ONLY)")
        con.execute(f'COPY FROM DATABASE made_once TO "{name}"')
        con.execute("DETACH made_once")


def migrated(patch: pytest.MonkeyPatch) -> None:
    """Let stores of this process be made by the migrations, as everywhere outside of tests."""
    patch.setattr(opening, "migrate", migrate.migrate)
    patch.setattr(opening, "connect", connection.connect)
