"""SQL that other people wrote: one plain SELECT, read-only, without a way out of the database, for a limited time.

Four guards, since each alone leaves a gap: the statement's type, the functions it names, a read-only transaction, and the settings of
`connection` (no file outside the allowed folders, no setting changed). What remains is memory: give strangers a process of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Timer
from typing import Any

import duckdb

from indexer.store.connection import first_line
from indexer.store.errors import QueryRefused, QueryTimeout
from indexer.store.session import Con

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


def query(con: Con, sql: str, *, timeout_s: float, max_rows: int) -> QueryResult:
    """Run one SELECT (or EXPLAIN of one) in the read transaction of `con`; raises `QueryRefused` or `QueryTimeout`."""
    check(con, sql)
    timer = Timer(timeout_s, con.interrupt)
    timer.start()
    try:
        found = con.execute(sql)
        rows = found.fetchmany(max_rows + 1)
        described = found.description or []
    except duckdb.InterruptException as error:
        raise QueryTimeout(
            f"the query took longer than {timeout_s:g} s and was stopped; ask for less at once"
        ) from error
    except (duckdb.Error, MemoryError) as error:
        raise QueryRefused(f"DuckDB cannot run this query: {first_line(error)}") from error
    finally:
        timer.cancel()
    return QueryResult(
        columns=tuple(str(column[0]) for column in described),
        types=tuple(str(column[1]) for column in described),
        rows=rows[:max_rows],
        truncated=len(rows) > max_rows,
    )


def check(con: Con, sql: str) -> None:
    """Refuse what is not one SELECT, or names a function that leads out of the database."""
    statement = only_statement(con, sql)
    if statement.type == duckdb.StatementType.EXPLAIN:
        inner, found = EXPLAIN.subn("", sql, count=1)
        if not EXPLAIN.match(sql) or not found:
            raise QueryRefused("begin with the word EXPLAIN, and give it one SELECT")
        statement = only_statement(con, inner)
        sql = inner
    if statement.type != duckdb.StatementType.SELECT:
        raise QueryRefused(f"only SELECT and EXPLAIN are answered, not {statement.type.name}")
    for name in sorted(refused_functions(parsed(con, sql))):
        raise QueryRefused(f"the function {name} is not available here")


def only_statement(con: Con, sql: str) -> duckdb.Statement:
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
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
