"""SQL that other people wrote reads everything and changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from time import monotonic

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chains.model import Rows
from indexer.store import MEMORY, QueryRefused, QueryResult, QueryTimeout, Store
from tests.unit.store.builders import CHAIN, append, batch, content, position

ENDLESS = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range + b.range) = 1"


def ask(store: Store, sql: str, *, timeout_s: float = 20, max_rows: int = 100) -> QueryResult:
    return store.query(sql, timeout_s=timeout_s, max_rows=max_rows)


def test_a_query_is_answered_with_names_types_and_values(store: Store) -> None:
    append(store, batch(1, 3, Rows(positions=[position(2, 10**38 - 1)])))

    found = ask(store, "SELECT block_number, amount_raw FROM position_change")

    assert found == QueryResult(
        columns=("block_number", "amount_raw"),
        types=("BIGINT", "DECIMAL(38,0)"),
        rows=[(2, Decimal(10**38 - 1))],
        truncated=False,
    )


def test_more_rows_than_wanted_are_cut_and_it_says_so(store: Store) -> None:
    assert ask(store, "FROM range(100000000000)", max_rows=2).rows == [(0,), (1,)]
    assert ask(store, "FROM range(3)", max_rows=2).truncated
    assert not ask(store, "FROM range(2)", max_rows=2).truncated


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "FROM public.dim_chain",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a;",
        "VALUES (1)",
        "DESCRIBE public.dim_chain",
        "SUMMARIZE public.fct_price",
        "SHOW ALL TABLES",
        "SELECT comment FROM duckdb_views() WHERE schema_name = 'public'",
        "FROM public.fct_position_at('eip155:1', 5)",
        "EXPLAIN SELECT 1",
        "explain analyze SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
        "SELECT unnest([1, 2])",
    ],
)
def test_whatever_only_reads_is_answered(store: Store, sql: str) -> None:
    assert ask(store, sql).columns


@pytest.mark.parametrize(
    "sql, why",
    [
        ("", "one statement at a time"),
        ("SELECT 1; SELECT 2", "one statement at a time is answered, not 2"),
        ("COMMIT; DELETE FROM cursor", "one statement at a time"),
        ("SELECT FROM", "cannot read this query: Parser Error"),
        ("SELECT * FROM nothing", "cannot run this query: Catalog Error: Table with name nothing does not exist"),
        ("DELETE FROM cursor", "only SELECT and EXPLAIN are answered, not DELETE"),
        ("CREATE TEMP TABLE t AS SELECT 1", "not CREATE"),
        ("SET threads = 1", "not SET"),
        ("BEGIN", "not TRANSACTION"),
        ("CALL pragma_version()", "not CALL"),
        ("PIVOT cursor ON chain_id USING max(block_number)", "not MULTI|one statement"),
        ("WITH gone AS (DELETE FROM cursor RETURNING *) SELECT * FROM gone", "read-only mode"),
        ("EXPLAIN ANALYZE DELETE FROM cursor", "not DELETE"),
        ("EXPLAIN ANALYZE COPY cursor TO '{folder}/x.parquet'", "not COPY"),
        ("COPY cursor TO '{folder}/x.parquet'", "not COPY"),
        ("ATTACH '{folder}/x.duckdb'", "not ATTACH"),
        ("SELECT * FROM query('SELECT 1')", "the function query is not available"),
        ("SELECT * FROM system.main.QUERY('SELECT 1')", "the function query is not available"),
        ("EXPLAIN SELECT * FROM query('SELECT 1')", "the function query is not available"),
        ("SELECT (SELECT count(*) FROM glob('/*'))", "the function glob is not available"),
        ("WITH a AS (FROM checkpoint()) FROM a", "the function checkpoint is not available"),
        ("SELECT 1 WHERE EXISTS (FROM duckdb_settings())", "the function duckdb_settings is not available"),
        ("SELECT current_setting('temp_directory')", "the function current_setting is not available"),
        ("SELECT * FROM arrow_scan(1, 2, 3)", "the function arrow_scan is not available"),
        ("SELECT * FROM read_text('/etc/passwd')", "the function read_text is not available"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "file system operations are disabled"),
        ("SELECT * FROM '/etc/passwd'", "cannot run this query"),
        ("SELECT * FROM '{folder}/../secret.parquet'", "cannot run this query"),
        ("/* hidden */ EXPLAIN SELECT 1", "begin with the word EXPLAIN"),
    ],
)
def test_whatever_else_is_refused_in_words_and_changes_nothing(tmp_path: Path, sql: str, why: str) -> None:
    with Store.open(MEMORY, allowed=[tmp_path]) as store:
        append(store, batch(1, 3))
        before = content(store)

        with pytest.raises(QueryRefused, match=why):
            ask(store, sql.replace("{folder}", str(tmp_path)))

        assert content(store) == before
        assert list(tmp_path.iterdir()) == []


def test_files_in_an_allowed_folder_can_be_read(tmp_path: Path) -> None:
    with Store.open(MEMORY, allowed=[tmp_path]) as store:
        pq.write_table(pa.table({"answer": [42]}), tmp_path / "rows.parquet")

        found = ask(store, "SELECT * FROM read_parquet('{folder}/rows.parquet')".replace("{folder}", str(tmp_path)))

    assert found.rows == [(42,)]


def test_a_query_that_takes_too_long_is_stopped(store: Store) -> None:
    began = monotonic()

    with pytest.raises(QueryTimeout, match=r"longer than 0.2 s and was stopped"):
        ask(store, ENDLESS, timeout_s=0.2)

    assert monotonic() - began < 10


def test_blocks_are_appended_while_a_query_runs(store: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, store, ENDLESS, timeout_s=1)
        for number in range(1, 6):
            append(store, batch(number, number))
        still_running = not running.done()

        assert isinstance(running.exception(), QueryTimeout)

    held = store.cursor(CHAIN)
    assert held is not None
    assert held.block.number == 5
    assert still_running


def test_a_refused_query_leaves_the_next_one_alone(store: Store) -> None:
    with pytest.raises(QueryRefused):
        ask(store, "SELECT * FROM nothing")

    assert ask(store, "SELECT 1").rows == [(1,)]
