"""Which queries are answered: one SELECT over the public views, with functions that neither look out nor write.

Two parsers must agree: DuckDB's own, whose tree is searched node by node, and sqlglot's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import sqlglot
from sqlglot import exp

from indexer.store import QueryRefused
from indexer.store.query import EXPLAIN, cte_names, nodes, only_statement, parsed
from indexer.store.session import Con

LONGEST_NAME = 60
LONGEST_QUERY = 64 * 1024
DEEPEST = 200
"""Brackets within brackets; a parser's own stack ends somewhere above."""

PLAIN = re.compile(r"[\w ]+")
PUBLIC = "public"
ROW_SOURCES = frozenset({"generate_series", "json_each", "json_tree", "range", "unnest"})
"""Functions of no table that may stand in FROM."""

LISTED: dict[str, list[str]] = tomllib.loads((files(__package__) / "functions.toml").read_text(encoding="utf-8"))
ALLOWED = frozenset(LISTED["allowed"] + LISTED["parsed"])
"""Functions that neither look out of the tables nor write beside them nor keep anything; whatever else there is, is refused."""

WRITING = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Copy,
    exp.Attach,
    exp.Detach,
    exp.Set,
    exp.Pragma,
    exp.Use,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Command,
    exp.Into,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What may be read: the public views, the macros that give rows, and the names that the system keeps for itself."""

    views: frozenset[str]
    macros: frozenset[str]
    reserved: frozenset[str]


def catalogue(con: Con) -> Catalogue:
    """Read it from an open database."""
    views = con.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'public' AND NOT internal").fetchall()
    macros = con.execute(
        "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'public' AND function_type IN ('table_macro', 'macro')"
    ).fetchall()
    reserved = con.execute(
        "SELECT view_name FROM duckdb_views() WHERE internal OR schema_name <> 'public' UNION SELECT table_name FROM duckdb_tables()"
    ).fetchall()
    return Catalogue(
        views=frozenset(str(name).lower() for (name,) in views),
        macros=frozenset(str(name).lower() for (name,) in macros),
        reserved=frozenset(str(name).lower() for (name,) in reserved) - {str(name).lower() for (name,) in views},
    )


def check(con: Con, sql: str, open_to: Catalogue) -> None:
    """Refuse whatever is not one harmless SELECT, or EXPLAIN of one; raises `QueryRefused`."""
    _check_size(sql)
    statement = only_statement(con, sql)
    inner = sql
    if statement.type.name == "EXPLAIN":
        inner = _explained(sql)
        statement = only_statement(con, inner)
    if statement.type.name != "SELECT":
        hint = "; write PIVOT with IN (…)" if statement.type.name == "MULTI" else ""
        raise QueryRefused(f"only SELECT and EXPLAIN are answered, not {statement.type.name}{hint}")
    tree = parsed(con, inner)
    for reason in _objections(tree, open_to):
        raise QueryRefused(reason)
    _second_opinion(inner, open_to)


def _check_size(sql: str) -> None:
    if len(sql.encode("utf-8", errors="replace")) > LONGEST_QUERY:
        raise QueryRefused(f"a query has {LONGEST_QUERY // 1024} kB at most; ask for less at once")
    if "\0" in sql:
        raise QueryRefused("a query has no zero bytes")
    depth = deepest = 0
    for char in sql:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise QueryRefused(f"brackets may stand {DEEPEST} deep, not {deepest}; ask in steps (WITH …)")


def _explained(sql: str) -> str:
    found = EXPLAIN.match(sql)
    if found is None:
        raise QueryRefused("begin with the word EXPLAIN, and give it one SELECT")
    if found[1] is not None:
        raise QueryRefused("only plain EXPLAIN is answered, without ANALYZE or a format")
    return sql[found.end() :]


def _objections(tree: object, open_to: Catalogue) -> Iterator[str]:
    """What speaks against a syntax tree of DuckDB's."""
    found = list(nodes(tree))
    ctes = {name for node in found for name in cte_names(node)}
    for name in sorted(ctes & open_to.reserved):
        yield f'a WITH may not be called "{name}", which is a name of the system; call it otherwise'
    for name in sorted(name for name in ctes if not PLAIN.fullmatch(name)):  # outside its scope it would name a file
        yield f'a WITH may not be called "{_shortened(name)}"; call it by letters, digits and underscores'
    for node in found:
        yield from _against_table(node, ctes, open_to)
        yield from _against_function(node, open_to)


def _against_table(node: dict[str, Any], ctes: set[str], open_to: Catalogue) -> Iterator[str]:
    kind, name = node.get("type"), str(node.get("table_name", "")).lower()
    schema, catalog = str(node.get("schema_name", "")).lower(), str(node.get("catalog_name", "")).lower()
    if kind == "BASE_TABLE":
        is_cte = name in ctes and not schema and not catalog
        if not is_cte and (name not in open_to.views or schema not in {"", PUBLIC} or catalog):
            yield f'there is no public view "{_shortened(str(node.get("table_name", "")))}"{near(name, open_to.views)}'
    elif kind == "SHOW_REF" and node.get("query") is None:
        yield "of what there is, only DESCRIBE of a public view is answered; the schema route names them all"
    elif kind in {"DELIM_GET", "COLUMN_DATA", "BOUND_TABLE_REF"}:
        yield "only plain SELECT is answered"


def _against_function(node: dict[str, Any], open_to: Catalogue) -> Iterator[str]:
    name = str(node.get("function_name", "")).lower()
    if node.get("type") == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in ROW_SOURCES | open_to.macros:
            yield f"the function {_shortened(name)} is not available here{near(name, ROW_SOURCES | open_to.macros)}"
    elif name and name not in open_to.macros | ALLOWED | ROW_SOURCES:
        yield f"the function {_shortened(name)} is not available here"


def _second_opinion(sql: str, open_to: Catalogue) -> None:
    """Ask sqlglot too: it must find one reading statement, and no table that is not public."""
    try:
        statements = [each for each in sqlglot.parse(sql, dialect="duckdb") if each is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise QueryRefused("this query cannot be checked; write it in plainer SQL") from error
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time is answered, not {len(statements)}")
    (tree,) = statements
    ctes = {each.alias_or_name.lower() for each in tree.find_all(exp.CTE)}
    for node in tree.walk():
        if isinstance(node, WRITING):
            raise QueryRefused(f"only SELECT and EXPLAIN are answered, not {type(node).__name__.upper()}")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            known = node.name.lower() in open_to.views | ctes
            if not known or node.db.lower() not in {"", PUBLIC} or node.catalog:
                raise QueryRefused(f'there is no public view "{_shortened(node.name)}"')
        if isinstance(node, exp.Anonymous) and node.name.lower() not in open_to.macros | ALLOWED | ROW_SOURCES:
            raise QueryRefused(f"the function {_shortened(node.name)} is not available here")


def near(name: str, known: frozenset[str]) -> str:
    """Return "; did you mean …?" where something known is called almost like that."""
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    found = get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return f'; did you mean "{found[0]}"?' if found else ""


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
