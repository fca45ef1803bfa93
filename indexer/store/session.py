"""What every statement needs: a transaction that ends, Arrow rows that DuckDB can see, and errors in our own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import duckdb
import pyarrow as pa

from indexer.store.connection import first_line
from indexer.store.errors import StoreError
from indexer.store.statements import statement

Con = duckdb.DuckDBPyConnection

Reading = Callable[[], AbstractContextManager[Con]]
"""Opens a connection in a read transaction, for as long as the context lasts."""

STAGED = "staged"
"""The name under which SQL sees the Arrow rows of the moment."""


@contextmanager
def staged(con: Con, rows: pa.Table, name: str = STAGED) -> Iterator[None]:
    """Let statements of this connection see `rows` as the table `staged`, or by another name."""
    con.register(name, rows)
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            con.unregister(name)


@contextmanager
def transaction(con: Con, *, what: str, read_only: bool = False) -> Iterator[Con]:
    """All or nothing; an error of DuckDB's becomes a `StoreError` that begins with `what`."""
    try:
        con.execute("BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN TRANSACTION")
        yield con
        con.execute("COMMIT")
    except duckdb.Error as error:
        roll_back(con)
        raise StoreError(f"{what}: {first_line(error)}") from error
    except BaseException:
        roll_back(con)
        raise


def roll_back(con: Con) -> None:
    """End a transaction without it; what broke it may have ended it, or the connection, already."""
    with suppress(duckdb.Error):
        con.execute("ROLLBACK")


def table_of(con: Con, text: str, values: Mapping[str, Any]) -> pa.Table:
    """The rows of a query as an Arrow table."""
    return con.sql(text, params=dict(values)).to_arrow_table()


def insert(con: Con, table: str, row: Sequence[Any]) -> None:
    """Add one row of values in column order."""
    con.execute(statement("insert_row", table=table, values=", ".join("?" for _ in row)), list(row))
