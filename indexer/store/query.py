"""SQL that other people wrote: one plain SELECT, read-only, without a way out of the database, for a limited time.

Four guards, since each alone leaves a gap: the statement's type, the functions it names, a read-only transaction, and the settings of
`connection` (no file outside the allowed folders, no setting changed). What remains is memory: give strangers a process of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any

import duckdb
import pyarrow as pa

from indexer.store.connection import first_line
from indexer.store.errors import QueryRefused, QueryTimeout
from indexer.store.session import Con

BATCH_ROWS = 2048
ROWS_AT_ONCE = 256
EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(ANALYZE\b|\(\s*(ANALYZE|FORMAT)\b[\w\s,]*\))?\s*", re.IGNORECASE)

# Sources of rows that can be named in FROM: values, the schema with its comments, exported Parquet, and our own macros.
TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "fct_position_at",
        "fct_position_at_time",
        "generate_series",
        "json_each",
        "json_tree",
        "parquet_file_metadata",
        "parquet_kv_metadata",
        "parquet_metadata",
        "parquet_scan",
        "parquet_schema",
        "pragma_version",
        "range",
        "read_parquet",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    }
)
REFUSED_FUNCTIONS = frozenset({"current_setting", "getenv", "json_execute_serialized_sql", "write_log"})
"""Scalar functions that look out of the database or write beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """Rows of a query; `truncated`: there are more than were asked for. `types` are DuckDB's names."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTable:
    """The same as Arrow: `types` are DuckDB's names."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    table: pa.Table
    truncated: bool


def query(con: Con, sql: str, *, timeout_s: float, max_rows: int, public: bool = False) -> QueryResult:
    """Run one SELECT (or EXPLAIN of one) in the read transaction of `con`; raises `QueryRefused` or `QueryTimeout`.

    `public`: names without a schema are those of public views only.
    """
    with _timed(con, sql, timeout_s, public=public):
        found = con.execute(sql)
        rows = found.fetchmany(max_rows + 1)
        described = found.description or []
    return QueryResult(
        columns=tuple(str(column[0]) for column in described),
        types=tuple(str(column[1]) for column in described),
        rows=rows[:max_rows],
        truncated=len(rows) > max_rows,
    )


def query_table(con: Con, sql: str, *, timeout_s: float, max_rows: int, public: bool = False) -> QueryTable:
    """Run one likewise, for rows as Arrow; raises `QueryRefused` or `QueryTimeout`."""
    with _timed(con, sql, timeout_s, public=public):
        return table_of(con, sql, most_rows=max_rows)


def rows_of(con: Con, sql: str, *, most_rows: int, most_bytes: int) -> QueryResult:
    """Take the rows of a query that was checked likewise, as values; bytes are those of their text."""
    found = con.execute(sql)
    described = found.description or []
    rows: list[tuple[Any, ...]] = []
    size = 0
    while size <= most_bytes and len(rows) <= most_rows and (some := found.fetchmany(ROWS_AT_ONCE)):
        rows += some
        size += sum(len(str(value)) for row in some for value in row)
    return QueryResult(
        columns=tuple(str(column[0]) for column in described),
        types=tuple(str(column[1]) for column in described),
        rows=rows[:most_rows],
        truncated=len(rows) > most_rows or size > most_bytes,
    )


def table_of(con: Con, sql: str, *, most_rows: int, most_bytes: int | None = None) -> QueryTable:
    """Take the rows of a query that was checked as they come, until there are enough of them, or of their bytes in memory."""
    found = con.sql(sql)
    table, more = first_rows(found.to_arrow_reader(BATCH_ROWS), most_rows, most_bytes)
    return QueryTable(
        columns=tuple(map(str, found.columns)), types=tuple(map(str, found.types)), table=table, truncated=more
    )


def first_rows(reader: pa.RecordBatchReader, most: int, most_bytes: int | None = None) -> tuple[pa.Table, bool]:
    """Take rows as they come until there are enough of them, or of their bytes in memory; and whether there may be more."""
    batches, rows, size = [], 0, 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows > most or (most_bytes is not None and size > most_bytes):
            return pa.Table.from_batches(batches, schema=reader.schema).slice(0, most), True
    return pa.Table.from_batches(batches, schema=reader.schema), False


@contextmanager
def _timed(con: Con, sql: str, timeout_s: float, *, public: bool) -> Iterator[None]:
    """Check a query, and stop it after a time; what DuckDB says of it is said in our words."""
    check(con, sql, public=public)
    timer = Timer(timeout_s, con.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryTimeout(
            f"the query took longer than {timeout_s:g} s and was stopped; ask for less at once"
        ) from error
    except (duckdb.Error, MemoryError) as error:
        raise QueryRefused(f"DuckDB cannot run this query: {said(error)}") from error
    finally:
        timer.cancel()


def check(con: Con, sql: str, *, public: bool = False) -> None:
    """Refuse what is not one SELECT, or names a function that leads out of the database.

    `public`: also what names a table that is no public view without its schema.
    """
    statement = only_statement(con, sql)
    if statement.type == duckdb.StatementType.EXPLAIN:
        inner, found = EXPLAIN.subn("", sql, count=1)
        if not EXPLAIN.match(sql) or not found:
            raise QueryRefused("begin with the word EXPLAIN, and give it one SELECT")
        statement = only_statement(con, inner)
        sql = inner
    if statement.type != duckdb.StatementType.SELECT:
        raise QueryRefused(f"only SELECT and EXPLAIN are answered, not {statement.type.name}")
    tree = parsed(con, sql)
    for name in sorted(refused_functions(tree)):
        raise QueryRefused(f"the function {name} is not available here")
    for name in sorted(without_schema(tree)) if public else ():
        if not _is_view(con, name):
            raise QueryRefused(
                f'there is no public view "{name}"; a table of the store is called by its schema: main.{name}'
            )


def _is_view(con: Con, name: str) -> bool:
    ask = "SELECT 1 FROM duckdb_views() WHERE schema_name = 'public' AND lower(view_name) = $name AND NOT internal"
    return bool(con.execute(ask, {"name": name}).fetchall())


def without_schema(tree: object) -> set[str]:
    """The tables of a syntax tree that are named without a schema, in lower case, apart from those that a WITH names."""
    found = list(nodes(tree))
    ctes = {name for node in found for name in cte_names(node)}
    tables = {
        str(node["table_name"]).lower()
        for node in found
        if node.get("type") == "BASE_TABLE" and not node.get("schema_name") and not node.get("catalog_name")
    }
    return tables - ctes


def cte_names(node: dict[str, Any]) -> Iterator[str]:
    """The names that a node of a syntax tree gives to queries, in lower case."""
    mapped = node.get("cte_map")
    for entry in mapped.get("map", ()) if isinstance(mapped, dict) else ():
        yield str(entry["key"]).lower()
    if node.get("type") == "RECURSIVE_CTE_NODE":
        yield str(node.get("cte_name", "")).lower()


def said(error: Exception) -> str:
    """What DuckDB says of a query, with the name that may have been meant, without its drawing of the query."""
    lines = str(error).splitlines()
    hints = [line for line in lines[1:3] if line.startswith(("Did you mean", "Candidate bindings"))]
    return " ".join([first_line(error), *hints])


def only_statement(con: Con, sql: str) -> duckdb.Statement:
    """Parse one statement; raises `QueryRefused` for none, several, or what DuckDB cannot read."""
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(f"DuckDB cannot read this query: {first_line(error)}") from error
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time is answered, not {len(statements)}")
    return statements[0]


def parsed(con: Con, sql: str) -> dict[str, object]:
    """The syntax tree of a SELECT."""
    (text,) = con.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0]
    tree: dict[str, object] = json.loads(text)
    if tree["error"]:
        raise QueryRefused(f"only plain SELECT is answered: {tree['error_message']}")
    return tree


def refused_functions(tree: object) -> Iterator[str]:
    """Every function of a syntax tree that is not open to strangers."""
    for node in nodes(tree):
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            if name not in TABLE_FUNCTIONS:
                yield name
        name = str(node.get("function_name", "")).lower()
        if name in REFUSED_FUNCTIONS:
            yield name


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every object within a JSON tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
