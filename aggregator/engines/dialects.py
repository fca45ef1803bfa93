"""The published definition of the margin model as other engines read it: the same text, changed only where a dialect forces it.

What is changed, and why: macros are written out and names of schemas left out (no other engine has DuckDB's), `MATERIALIZED` is left out
(a hint), microseconds become a time by each engine's own function, and `= ANY` of a query is `IN` where only that is known. sqlglot
spells the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from indexer.store.session import Con

VIEWS = ("margin_token", "margin_sale", "fct_margin_account")
"""In the order in which they rest on each other."""

ANSWER = VIEWS[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`sqlglot`: whose spelling; `from_micros`: what makes a timestamp of microseconds, where sqlglot does not know;
    `any_of_query`: whether `= ANY (SELECT …)` is understood.
    """

    sqlglot: str
    from_micros: str | None = None
    any_of_query: bool = True


DIALECTS = {
    "duckdb": Dialect(sqlglot="duckdb"),
    "datafusion": Dialect(sqlglot="duckdb", from_micros="to_timestamp_micros"),
    "spark": Dialect(sqlglot="spark", from_micros="timestamp_micros", any_of_query=False),
}

Macros = Mapping[str, tuple[list[str], exp.Expr]]


def definitions(con: Con, engine: str) -> dict[str, str]:
    """View → the query that defines it in a store, as `engine` reads it, in the order of `VIEWS`."""
    ask = "SELECT view_name, sql FROM duckdb_views() WHERE view_name IN (SELECT unnest($names))"
    texts = dict(con.execute(ask, {"names": list(VIEWS)}).fetchall())
    macros = _macros(con)
    return {name: _spelled(texts[name], macros, DIALECTS[engine]) for name in VIEWS}


def _macros(con: Con) -> Macros:
    ask = (
        "SELECT function_name, parameters, macro_definition FROM duckdb_functions() "
        "WHERE function_type = 'macro' AND schema_name = 'public' AND starts_with(function_name, 'margin_')"
    )
    return {
        name: (list(names), sqlglot.parse_one(text, read="duckdb")) for name, names, text in con.execute(ask).fetchall()
    }


def _spelled(text: str, macros: Macros, dialect: Dialect) -> str:
    query = sqlglot.parse_one(text, read="duckdb").expression
    query = _written_out(query, macros)
    for table in query.find_all(exp.Table):
        table.set("db", None)
    for common in query.find_all(exp.CTE):
        common.set("materialized", None)
    if dialect.from_micros is not None:
        query = query.transform(_timed, dialect.from_micros)
    if not dialect.any_of_query:
        query = query.transform(_within)
    return str(query.sql(dialect=dialect.sqlglot))


def _written_out(query: exp.Expr, macros: Macros) -> exp.Expr:
    """Put a macro's text in place of each call of it, innermost arguments first."""

    def written(node: exp.Expr) -> exp.Expr:
        called = node.expression if isinstance(node, exp.Dot) else None
        if not isinstance(called, exp.Anonymous) or called.name not in macros:
            return node
        names, body = macros[called.name]
        given = dict(zip(names, called.expressions, strict=True))
        filled = body.copy().transform(
            lambda part: exp.paren(given[part.name]) if isinstance(part, exp.Column) and part.name in given else part
        )
        return exp.paren(_written_out(filled, macros))

    return query.transform(written)


def _timed(node: exp.Expr, function: str) -> exp.Expr:
    """Exchange what makes a timestamp of microseconds."""
    return exp.Anonymous(this=function, expressions=[node.this]) if isinstance(node, exp.UnixToTime) else node


def _within(node: exp.Expr) -> exp.Expr:
    """Write `= ANY` of a query as `IN`."""
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        return exp.In(this=node.this, query=node.expression.this)
    return node
