"""Which names a query of strangers may have: those that a WITH gives, within their query only, and functions that were read through."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from crossmargin.sql.check import ALLOWED, LISTED, catalogue, check
from indexer.store import QueryRefused


@pytest.fixture
def con(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(str(tmp_path / "published.duckdb"))
    made.execute("CREATE SCHEMA public; CREATE VIEW public.accounts AS SELECT 1 AS id")
    made.execute("CREATE TABLE main.hidden AS SELECT 7 AS secret")
    made.execute("CREATE SCHEMA inner_; CREATE VIEW inner_.raw AS SELECT 8 AS secret")
    return made


@pytest.mark.parametrize("name", ["hidden", "HIDDEN", "raw", "segments/1.parquet", "/etc/passwd.csv", "a.json"])
def test_a_name_given_in_one_query_opens_nothing_in_another(con: duckdb.DuckDBPyConnection, name: str) -> None:
    asked = f'SELECT * FROM (WITH "{name}" AS (SELECT 1) SELECT 2) AS inside, "{name}"'  # noqa: S608 - it is refused
    with pytest.raises(QueryRefused, match="a WITH may not be called"):
        check(con, asked, catalogue(con))


@pytest.mark.parametrize("name", ["mine", "accounts", "two words", "märkte"])
def test_other_names_are_given_as_before(con: duckdb.DuckDBPyConnection, name: str) -> None:
    check(con, f'WITH "{name}" AS (SELECT 1 AS id) SELECT * FROM "{name}"', catalogue(con))  # noqa: S608 - our own names


def test_every_function_of_this_release_was_read_through(con: duckdb.DuckDBPyConnection) -> None:
    ask = "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro')"
    there = {name for (name,) in con.execute(ask).fetchall()}

    assert there - set(LISTED["allowed"]) - set(LISTED["refused"]) == set()
    assert {*LISTED["allowed"], *LISTED["refused"]} - there == set()
    assert set(LISTED["allowed"]) & set(LISTED["refused"]) == set()


@pytest.mark.parametrize(
    "name", ["getenv", "read_text", "write_log", "nextval", "current_setting", "sleep_ms", "query", "nobody_knows"]
)
def test_whatever_is_not_allowed_is_refused(con: duckdb.DuckDBPyConnection, name: str) -> None:
    assert name not in ALLOWED
    with pytest.raises(QueryRefused, match=f"the function {name} is not available here"):
        check(con, f"SELECT {name}('a')", catalogue(con))
    with pytest.raises(QueryRefused, match=f"the function {name} is not available here"):
        check(con, f"SELECT * FROM range(3) AS r(x) WHERE x = {name}(x)", catalogue(con))  # noqa: S608 - ditto


@pytest.mark.parametrize(
    "expression",
    [
        "lag(id) OVER (ORDER BY id)",
        "list_transform([1, 2], lambda x: x + id)",
        "CASE WHEN id BETWEEN 1 AND 2 THEN id::VARCHAR || 'a' ELSE coalesce(NULL, 'b') END",
        "[1, 2][1] + {'a': 1}.a + MAP {'k': 1}['k']",
        "extract('year' FROM now()) - DATE '2024-01-01' + INTERVAL 1 DAY",
        "json_extract('{}', '$.a') ->> 'b' LIKE 'c%' AND 'x' GLOB 'y*' AND 'a' SIMILAR TO 'b+' AND 'A' ILIKE 'a'",
        "count(*) FILTER (WHERE id > 0) + sum(DISTINCT id) + quantile_cont(id, 0.5) + approx_count_distinct(id)",
        "string_agg(id::VARCHAR, ',' ORDER BY id)",
        "EXISTS (SELECT 1 FROM range(3)) AND id IN (SELECT unnest([1, 2])) AND id IS DISTINCT FROM 3",
        "7 // 2 % 2 ^ 2 << 1 & 3 | 4 <> -id",
        "TRY_CAST('1' AS INTEGER) + CAST('0x' || hex('a'::BLOB) AS VARCHAR).length()",
        "substring('abc' FROM 2 FOR 1) || trim(BOTH 'a' FROM 'aba') || position('a' IN 'ba') || overlay('a' PLACING 'b' FROM 1)",
    ],
)
def test_what_sql_is_written_with_is_allowed(con: duckdb.DuckDBPyConnection, expression: str) -> None:
    check(con, f"SELECT {expression} FROM accounts", catalogue(con))  # noqa: S608 - our own text
