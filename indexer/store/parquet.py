"""Parquet files of other people's making as tables: a database in memory that can read these files and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from indexer.store.connection import MEMORY, connect, first_line
from indexer.store.errors import StoreError
from indexer.store.query import QueryResult, QueryTable, query, query_table
from indexer.store.session import Con, transaction

Row = tuple[Any, ...]


class ParquetViews:
    """Files as views, each under its name; valid within `parquet_views`."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def query(self, sql: str, *, timeout_s: float, max_rows: int) -> QueryResult:
        """Answer one SELECT that somebody else wrote; raises `QueryRefused` or `QueryTimeout`."""
        return query(self._con, sql, timeout_s=timeout_s, max_rows=max_rows)

    def query_table(self, sql: str, *, timeout_s: float, max_rows: int) -> QueryTable:
        """Answer one likewise, with rows as Arrow."""
        return query_table(self._con, sql, timeout_s=timeout_s, max_rows=max_rows)

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a statement of our own; raises `StoreError`."""
        try:
            return self._con.execute(sql).fetchall()
        except duckdb.Error as error:
            raise StoreError(f"the files cannot be compared: {first_line(error)}") from error


@contextmanager
def parquet_views(files: Mapping[str, Path], *, memory: str | None = None) -> Iterator[ParquetViews]:
    """Show files as views: `units` in the main schema, `before.units` in one of its own. Raises `StoreError`.

    What is read is what the files hold when they are read: whoever relies on their hashes checks them first.
    """
    folders = sorted({path.resolve().parent for path in files.values()})
    con = connect(MEMORY, read_only=False, allowed=folders, memory=memory)
    try:
        for schema in sorted({name.rpartition(".")[0] for name in files} - {""}):
            con.execute(f"CREATE SCHEMA {schema}")
        for name, path in files.items():
            con.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{_quoted(path.resolve())}')")  # noqa: S608 - quoted
        with transaction(con, what="the files cannot be read", read_only=True):
            yield ParquetViews(con)
    except duckdb.Error as error:
        raise StoreError(f"{', '.join(map(str, folders))}: cannot be read ({first_line(error)})") from error
    finally:
        con.close()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
