"""Public views that give rows which were written, in place of what their definition computes.

Such a view reads the table of its name with `_row` behind it, which keeps the view's columns and comments while the view is away.
"""

from __future__ import annotations

import pyarrow as pa

from indexer.store.session import Con, staged

ROWS = "_row"


def put_away(con: Con, view: str) -> None:
    """Let a view be no more, and its table, without rows, keep what it was."""
    con.execute(f"CREATE TABLE main.{view}{ROWS} AS SELECT * FROM public.{view} LIMIT 0")  # noqa: S608 - a view's own name
    _comment(con, ("public", view), f"TABLE main.{view}{ROWS}", f"main.{view}{ROWS}")
    con.execute(f"DROP VIEW public.{view}")


def written(con: Con, view: str, rows: pa.Table) -> None:
    """Let a view that was put away give these rows; raises `duckdb.Error` for others than its columns have."""
    empty(con, view)
    with staged(con, rows):
        con.execute(f"INSERT INTO main.{view}{ROWS} BY NAME SELECT * FROM staged")  # noqa: S608 - ditto
    show(con, view)
    _comment(con, ("main", f"{view}{ROWS}"), f"VIEW public.{view}", f"public.{view}")


def show(con: Con, view: str) -> None:
    """Let a view read its table."""
    con.execute(f"CREATE OR REPLACE VIEW public.{view} AS SELECT * FROM main.{view}{ROWS}")  # noqa: S608 - ditto


def empty(con: Con, view: str) -> None:
    """Put such a view away again."""
    con.execute(f"DROP VIEW IF EXISTS public.{view}")
    con.execute(f"DELETE FROM main.{view}{ROWS}")  # noqa: S608 - ditto


def is_put_away(con: Con, view: str) -> bool:
    """Whether rows of a view are to be written, or are."""
    ask = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = $name"
    return bool(con.execute(ask, {"name": f"{view}{ROWS}"}).fetchall())


def columns(con: Con, view: str) -> pa.Schema:
    """The columns of a view that was put away, with their types."""
    return con.sql(f"SELECT * FROM main.{view}{ROWS} LIMIT 0").to_arrow_table().schema  # noqa: S608 - ditto


def _comment(con: Con, source: tuple[str, str], target: str, columns_of: str) -> None:
    """Write the comments of one view or table, and of its columns, on another."""
    named = {"schema": source[0], "name": source[1]}
    ask = (
        "SELECT comment FROM (SELECT schema_name, view_name AS name, comment FROM duckdb_views() "
        "UNION ALL SELECT schema_name, table_name, comment FROM duckdb_tables()) "
        "WHERE schema_name = $schema AND name = $name AND comment IS NOT NULL"
    )
    for (said,) in con.execute(ask, named).fetchall():
        con.execute(f"COMMENT ON {target} IS {quoted(said)}")
    ask = (
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE schema_name = $schema AND table_name = $name AND comment IS NOT NULL"
    )
    for column, said in con.execute(ask, named).fetchall():
        con.execute(f"COMMENT ON COLUMN {columns_of}.{column} IS {quoted(said)}")


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
