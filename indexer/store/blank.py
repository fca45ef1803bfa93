"""A file with the schema of this program and nothing in it, which new stores and published databases begin as."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from indexer.store.connection import SETTINGS
from indexer.store.migrate import migrate


@cache
def blank(storage_version: str | None = None) -> bytes:
    """The bytes of such a file, made once in a process: the migrations take most of a second, a copy a thousandth.

    `storage_version`: that of the oldest DuckDB that is to open it, such as v1.4.0; without it, what this one writes.
    Raises `OSError` or `duckdb.Error` where it cannot be made.
    """
    with TemporaryDirectory(prefix="crossmargin-") as folder:
        path = Path(folder, "blank.duckdb")
        if storage_version is None:
            with duckdb.connect(str(path), config=SETTINGS) as con:
                migrate(con, path, read_only=False)
                con.execute("CHECKPOINT")
        else:
            _copied(Path(folder), path, storage_version)
        return path.read_bytes()


def _copied(folder: Path, path: Path, storage_version: str) -> None:
    source = folder / "source.duckdb"
    source.write_bytes(blank())
    with duckdb.connect(str(path), config={**SETTINGS, "storage_compatibility_version": storage_version}) as con:
        ((name,),) = con.execute("SELECT current_database()").fetchall()
        con.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
        con.execute(f'COPY FROM DATABASE source TO "{name}"')
        con.execute("CHECKPOINT")
