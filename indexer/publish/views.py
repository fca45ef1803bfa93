"""The small database of a published set: the public views, some over Parquet files, with the comments of the store's own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from indexer.publish.facts import ALERTS, FACTS, LEFT_OUT, POSITIONS
from indexer.publish.manifest import Manifest
from indexer.store.blank import blank
from indexer.store.connection import SETTINGS
from indexer.store.session import Con, staged
from indexer.store.statements import statement
from indexer.store.written_views import ROWS, quoted, show

OLDEST_READER = "v1.4.0"
"""The oldest DuckDB that can open a published database: those of other people's tools are not the newest."""

CUT = ("market_current", "cursor", "coverage")
"""Tables of which the state after the final block is asked for in their own words."""

FINAL = "chain_id = $chain_id AND block_number <= $last"

PUBLISHED = (*(fact.view for fact in FACTS), POSITIONS)


def small_tables(con: Con, final: Mapping[str, int]) -> dict[str, pa.Table]:
    """What a published database holds itself, each table up to the final block of each chain."""
    found = {name: _rows(con, name, columns, final) for name, columns in _tables(con).items()}
    alerts = _of_chains(con, f"SELECT * FROM public.{ALERTS} WHERE {FINAL}", final)  # noqa: S608 - our own names
    return found | {f"{ALERTS}{ROWS}": alerts}


def public_views(con: Con) -> frozenset[str]:
    """The public views that there are."""
    return frozenset(view for view, _ in _views(con))


def write_database(
    path: Path, folder: Path, tables: Mapping[str, pa.Table], manifest: Manifest, *, views: Collection[str]
) -> None:
    """Make the database of a set, with these public views; paths of files start at `folder`, the published one."""
    path.write_bytes(blank(OLDEST_READER))
    with duckdb.connect(str(path), config={**SETTINGS, "file_search_path": str(folder)}) as con:
        con.begin()
        for view in public_views(con) - set(views):
            con.execute(f"DROP VIEW public.{view}")
        comments = list(_comments(con))
        for name, rows in tables.items():
            _fill(con, name, rows)
        for view in PUBLISHED:
            _over_files(con, view, [each.path for each in manifest.segments if each.view == view])
        con.execute(statement("publish_market_row"))
        con.execute(statement("publish_position_at"))
        kept = [text for view, text in _views(con) if not _written_out(con, view, text)] + _macros(con)
        con.execute(statement("publish_block"))
        for text in comments:
            con.execute(text)
        _drop_others(con, " ".join(kept))
        con.commit()
        con.execute("CHECKPOINT")


def _views(con: Con) -> list[tuple[str, str]]:
    ask = "SELECT view_name, sql FROM duckdb_views() WHERE schema_name = 'public' AND NOT internal ORDER BY view_name"
    return [(str(view), str(text)) for view, text in con.execute(ask).fetchall()]


def _macros(con: Con) -> list[str]:
    ask = "SELECT macro_definition FROM duckdb_functions() WHERE schema_name = 'public' AND NOT internal"
    return [str(text) for (text,) in con.execute(ask).fetchall()]


def _written_out(con: Con, view: str, text: str) -> bool:
    """Keep the rows of a view as they are now; not of one over files, which are its rows, nor of one that is made of such."""
    if any(_mentions(text, name) for name in (f"{view}{ROWS}", *PUBLISHED)):
        return False
    con.execute(f"CREATE TABLE main.{view}{ROWS} AS SELECT * FROM public.{view}")  # noqa: S608 - a view's own name
    show(con, view)
    return True


def _drop_others(con: Con, kept: str) -> None:
    """Drop what no view needs any more: nobody is to read it here."""
    asked = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT ends_with(table_name, $rows)"
    for (name,) in con.execute(asked, {"rows": ROWS}).fetchall():
        if name != "schema_version" and (name in LEFT_OUT or not _mentions(kept, str(name))):
            con.execute(f"DROP TABLE main.{name}")
    for (name,) in con.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
    ).fetchall():
        if not _mentions(kept, str(name)):
            con.execute(f"DROP VIEW main.{name}")


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def _tables(con: Con) -> dict[str, list[str]]:
    ask = (
        "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) GROUP BY 1"
    )
    needed = " ".join(
        str(text) for (text,) in con.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
    )
    found = con.execute(ask).fetchall()
    return {name: columns for name, columns in found if name not in LEFT_OUT and _mentions(needed, name)}


def _rows(con: Con, name: str, columns: list[str], final: Mapping[str, int]) -> pa.Table:
    if name in CUT:
        asked = {"market_current": "publish_markets", "cursor": "publish_cursor", "coverage": "publish_coverage"}
        return _of_chains(con, statement(asked[name]), final)
    if name == "snapshot":
        return con.sql(statement("publish_snapshots")).to_arrow_table()
    if {"chain_id", "block_number"} <= set(columns):
        return _of_chains(con, f"SELECT * FROM main.{name} WHERE {FINAL}", final)  # noqa: S608 - a table's own name
    return con.sql(f"SELECT * FROM main.{name}").to_arrow_table()  # noqa: S608 - ditto


def _of_chains(con: Con, text: str, final: Mapping[str, int]) -> pa.Table:
    """The rows of a question about one chain, of every chain that has a final block."""
    asked = [{"chain_id": chain_id, "last": last} for chain_id, last in final.items()]
    return pa.concat_tables([con.sql(text, params=values).to_arrow_table() for values in asked])


def _fill(con: Con, name: str, rows: pa.Table) -> None:
    with staged(con, rows):
        if name.endswith(ROWS):
            con.execute(f"CREATE TABLE main.{name} AS SELECT * FROM staged")  # noqa: S608 - a table's own name
            show(con, name.removesuffix(ROWS))
            return
        con.execute(f"INSERT INTO main.{name} BY NAME SELECT * FROM staged")  # noqa: S608 - ditto


def _over_files(con: Con, view: str, paths: Iterable[str]) -> None:
    """Let a view read files; without any, it has its columns and no row."""
    listed = ", ".join(f"'{path}'" for path in paths)
    if not listed:
        return
    con.execute(f"CREATE OR REPLACE VIEW public.{view} AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608 - paths of our own making


def _comments(con: Con) -> Iterable[str]:
    """The statements that comment the public views as they are commented now: a view that is replaced loses its comments."""
    for view, comment in con.execute(
        "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'public' AND comment IS NOT NULL"
    ).fetchall():
        yield f"COMMENT ON VIEW public.{view} IS {quoted(comment)}"
    for view, column, comment in con.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'public' AND comment IS NOT NULL"
    ).fetchall():
        yield f"COMMENT ON COLUMN public.{view}.{column} IS {quoted(comment)}"
    for name, comment in con.execute(
        "SELECT function_name, comment FROM duckdb_functions() "
        "WHERE schema_name = 'public' AND comment IS NOT NULL AND function_type = 'table_macro'"
    ).fetchall():
        yield f"COMMENT ON MACRO TABLE public.{name} IS {quoted(comment)}"
