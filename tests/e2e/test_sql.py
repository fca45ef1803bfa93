"""SQL over the demonstration's store: what analysts ask, in which forms, and what strangers are refused."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmargin.service_file import running
from crossmargin.sql.schema import rules
from tests.e2e.conftest import Indexed
from tests.support import hostile
from tests.support.recorded import CONFIGURATION, crossmargin, service

QUERIES = sorted((Path(__file__).parents[2] / "docs" / "queries").glob("*.sql"))
NOBODY = {"paid-for-by-others"}
"""Questions whose answer is nobody: in the demonstration everybody repays on his own."""

LIMITS = '\n[sql]\nanonymous = true\ntimeout = "2s"\nrows = 500\nbytes = 200_000\n'


@dataclass(frozen=True, slots=True)
class Served:
    """A service over an indexed store with a snapshot and a published set."""

    url: str
    folder: Path

    def ask(self, sql: str, *, accept: str = "application/json", owner: bool = False, **more: object) -> Reply:
        body = json.dumps({"query": sql, **more}).encode()
        request = urllib.request.Request(f"{self.url}/v1/sql", body, {"Accept": accept})  # noqa: S310 - our own loopback address
        if owner:
            found = running(self.folder / "crossmargin.duckdb")
            assert found is not None
            request.add_header("Authorization", f"Bearer {found.token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - ditto
                return Reply(reply.status, reply.read(), dict(reply.headers))
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read(), dict(error.headers))

    def published(self) -> duckdb.DuckDBPyConnection:
        folder = self.folder / "published"
        con = duckdb.connect(str(folder / "current" / "crossmargin.duckdb"), read_only=True)
        con.execute("SET file_search_path = $folder", {"folder": str(folder)})
        return con


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@pytest.fixture(scope="module")
def served(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sql") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with (folder / CONFIGURATION).open("a", encoding="utf-8") as file:
        file.write(LIMITS)
    for command in ("snapshot create", "publish"):
        done = crossmargin(folder, *command.split())
        assert done.returncode == 0, done.stderr
    with service(folder, "serve") as (url, _):
        yield Served(url, folder)


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_example_is_answered_from_the_store_and_from_what_is_published(served: Served, path: Path) -> None:
    sql = path.read_text(encoding="utf-8")
    assert sql.startswith("-- ")
    assert sql.splitlines()[0].endswith("?")

    live = served.ask(sql, owner=True).document
    published = served.ask(sql)

    assert bool(live["rows"]) is (path.stem not in NOBODY)
    assert published.status == 200, published.body
    assert published.document["columns"] == live["columns"] or path.stem == "position-at-a-block"


def test_there_are_thirty_examples() -> None:
    assert len(QUERIES) >= 30


@pytest.mark.parametrize("view", sorted(rules()))
def test_rows_keep_the_rules_of_their_view(served: Served, view: str) -> None:
    with served.published() as con:
        for rule, sql in rules()[view].broken(view):
            assert con.sql(sql).fetchall() == [], f"published: {rule}"
            assert served.ask(sql, owner=True).document["rows"] == [], f"store: {rule}"


def test_the_schema_names_every_view_with_its_columns_comments_and_rules(served: Served) -> None:
    with urllib.request.urlopen(f"{served.url}/v1/schema", timeout=30) as reply:  # noqa: S310 - our own loopback address
        schema = json.load(reply)
    views = {view["name"]: view for view in schema["views"]}
    with served.published() as con:
        names = {
            name for (name,) in con.sql("SELECT view_name FROM duckdb_views() WHERE schema_name = 'public'").fetchall()
        }

    assert set(views) == names >= set(rules())
    assert all(view["comment"] and all(column["comment"] for column in view["columns"]) for view in views.values())
    columns = {name: {column["name"] for column in view["columns"]} for name, view in views.items()}
    for name, rule in rules().items():
        assert {
            *rule.not_null,
            *(c for keys in rule.unique for c in keys),
            *(c for c, _, _ in rule.references),
        } <= columns[name]
    assert {"fct_position_at", "fct_position_at_time"} <= {function["name"] for function in schema["functions"]}


def test_the_same_rows_come_in_every_form(served: Served) -> None:
    sql = "SELECT venue_id, side, count(*) AS positions, sum(protocol_raw) AS raw FROM fct_position GROUP BY ALL ORDER BY ALL"
    document = served.ask(sql).document
    arrow = pa.ipc.open_stream(served.ask(sql, accept="application/vnd.apache.arrow.stream").body).read_all()
    parquet = pq.read_table(io.BytesIO(served.ask(sql, accept="application/vnd.apache.parquet").body))
    text = served.ask(sql, accept="text/csv")

    expected = [[row["venue_id"], row["side"], row["positions"], f"{row['raw']:f}"] for row in arrow.to_pylist()]
    assert document["rows"] == expected
    assert len(expected) == 4
    assert parquet.to_pylist() == arrow.to_pylist()
    assert text.headers["Content-Type"].startswith("text/csv")
    assert [line.split(",") for line in text.body.decode().splitlines()[1:]] == [
        list(map(str, row)) for row in expected
    ]
    assert (text.headers["X-Rows"], text.headers["X-Truncated"]) == ("4", "false")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 340282366920938463463374607431768211455::UHUGEINT",
        "SELECT (10::BIGNUM)",
        "SELECT 170141183460469231731687303715884105727::HUGEINT",
    ],
)
def test_what_arrow_cannot_hold_is_refused_and_text_says_it_exactly(served: Served, sql: str) -> None:
    refused = served.ask(sql, accept="application/vnd.apache.arrow.stream")

    assert refused.status == 400
    assert "CAST it to VARCHAR" in refused.document["detail"]
    assert served.ask(sql).document["rows"][0][0] in {
        "340282366920938463463374607431768211455",
        "10",
        "170141183460469231731687303715884105727",
    }


def test_text_that_a_spreadsheet_would_compute_is_quoted_unless_asked_for(served: Served) -> None:
    sql = "SELECT '=1+1' AS a, '-5' AS b"

    assert served.ask(sql, accept="text/csv").body == b"a,b\n'=1+1,-5\n"
    assert served.ask(sql, accept="text/csv", formulas=True).body == b"a,b\n=1+1,-5\n"


def test_more_than_an_answer_may_hold_is_cut_and_says_so(served: Served) -> None:
    rows = served.ask("FROM range(100000)").document
    wide = served.ask("SELECT repeat('x', 10000) FROM range(100)")
    exact = served.ask("FROM range(500)").document

    assert (len(rows["rows"]), rows["truncated"]) == (500, True)
    assert (len(exact["rows"]), exact["truncated"]) == (500, False)
    assert wide.document["truncated"] is True
    assert 1 <= len(wide.document["rows"]) < 20
    assert len(wide.body) <= 200_000
    assert served.ask("SELECT repeat('x', 300000)").status == 400


def test_a_misspelt_name_is_answered_with_the_nearest(served: Served) -> None:
    assert 'did you mean "fct_position"?' in served.ask("FROM fct_positoin").document["detail"]
    assert 'Candidate bindings: "name"' in served.ask("SELECT nam FROM dim_chain").document["detail"]


def test_strangers_are_kept_from_the_store_itself(served: Served) -> None:
    assert served.ask("SELECT 1", source="live").status == 403
    assert served.ask("SELECT 1", source="elsewhere").status == 400
    assert served.ask("SELECT count(*) FROM main.evm_log", owner=True).status == 200
    assert served.ask("SELECT count(*) FROM main.evm_log", owner=True, source="published").status == 400


def test_names_without_a_schema_are_those_of_public_views_in_the_store_too(served: Served) -> None:
    whose = "SELECT count(token_address) FROM lending_event"  # a column of the view; the journal behind it calls it otherwise

    assert served.ask(whose, owner=True).status == 200
    assert served.ask("SELECT count(asset) FROM lending_event", owner=True).status == 400
    assert served.ask("SELECT count(asset) FROM main.lending_event", owner=True).status == 200
    assert served.ask("WITH mine AS (SELECT 1) SELECT * FROM mine", owner=True).status == 200
    refused = served.ask("SELECT count(*) FROM evm_log", owner=True)
    assert (refused.status, "main.evm_log" in refused.document["detail"]) == (400, True)


def no_path(reply: Reply, folder: Path, sql: str) -> None:
    said = reply.body.decode()
    for secret in (
        str(folder),
        folder.parent.name,
        f"{Path(tempfile.gettempdir())}/",
        "/root",
        "/usr",
        "/home",
        ".parquet",
        "Traceback",
    ):
        assert secret in sql or secret not in said, f"{sql[:80]}: {said[:300]}"


def test_two_hundred_hostile_statements_are_refused_and_the_service_stays(served: Served) -> None:
    statements = list(hostile.refused())
    assert len(statements) + len(hostile.BOMBS) >= 200

    answered = []
    for sql in statements:
        reply = served.ask(sql)
        no_path(reply, served.folder, sql)
        if reply.status not in {400, 413}:
            answered.append((reply.status, sql[:120], reply.body[:200]))

    assert answered == []
    assert served.ask("SELECT count(*) FROM dim_chain").document["rows"] == [[2]]


@pytest.mark.parametrize("sql", hostile.BOMBS)
def test_bombs_of_memory_and_time_are_contained(served: Served, sql: str) -> None:
    reply = served.ask(sql)

    assert reply.status in {200, 400, 408}, reply.body
    assert len(reply.body) <= 200_000
    no_path(reply, served.folder, sql)
    assert served.ask("SELECT count(*) FROM dim_chain").document["rows"] == [[2]]


def test_harmless_questions_of_every_shape_are_answered(served: Served) -> None:
    for sql in (
        "SELECT 1;",
        "FROM dim_chain",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b -- done",
        "DESCRIBE dim_chain",
        "SUMMARIZE public.dim_market",
        "EXPLAIN SELECT * FROM lending_event WHERE amount > 1",
        "FROM fct_position_at('eip155:31337', 100) LIMIT 1",
        "PIVOT (SELECT venue_id, side FROM fct_position) ON side IN ('supply', 'borrow') USING count(*) GROUP BY venue_id",
        "SELECT unnest([1, 2]), list_transform([1], lambda x: x + 1), {'a': 1}, MAP {'k': 1}, DATE '2025-01-01' + INTERVAL 1 DAY",
        "SELECT venue_id, row_number() OVER (ORDER BY venue_id) FROM dim_venue QUALIFY row_number() OVER (ORDER BY venue_id) = 1",
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t WHERE x < 9) SELECT max(x) FROM t",
        "SELECT * FROM lending_event AS e ASOF JOIN fct_price AS p USING (block_number) LIMIT 1",
        "SELECT extra ->> '$.to', json_extract(extra, '$') FROM lending_event LIMIT 1",
    ):
        reply = served.ask(sql)
        assert reply.status == 200, (sql, reply.body)
        no_path(reply, served.folder, sql)


def test_every_question_leaves_a_line_in_the_log_without_its_text(served: Served) -> None:
    served.ask("SELECT 'a secret question'")

    log = (served.folder / "service.log").read_text(encoding="utf-8")
    (line,) = [each for each in log.splitlines() if "3f8c" in each or "sql_asked" in each][-1:]
    assert "a secret question" not in log
    assert re.search(r"sql_sha256", line)
    assert "anonymous" in line


def test_a_new_set_is_answered_from_the_next_question_on(served: Served) -> None:
    before = served.ask("SELECT count(*) FROM snapshot").document["rows"]
    published = crossmargin(served.folder, "publish", "--json")

    assert json.loads(published.stdout)["files_new"] == 0
    assert served.ask("SELECT count(*) FROM snapshot").document["rows"] == before


def test_the_command_writes_every_form(served: Served, tmp_path: Path) -> None:
    sql = "SELECT chain_id, name FROM public.dim_chain ORDER BY name"
    for form in ("csv", "json", "parquet", "arrow"):
        target = tmp_path / f"rows.{form}"
        done = crossmargin(served.folder, "sql", sql, "--format", form, "--output", str(target))
        assert done.returncode == 0, done.stderr
    alone = crossmargin(served.folder, "sql", sql, "--format", "table", "-o", str(tmp_path / "x"))

    names = ["north", "south"]
    assert [line.split(",")[1] for line in (tmp_path / "rows.csv").read_text().splitlines()] == ["name", *names]
    assert [row[1] for row in json.loads((tmp_path / "rows.json").read_text())["rows"]] == names
    assert pq.read_table(tmp_path / "rows.parquet")["name"].to_pylist() == names
    assert pa.ipc.open_stream((tmp_path / "rows.arrow").read_bytes()).read_all()["name"].to_pylist() == names
    assert (alone.returncode, "needs a form" in alone.stderr) == (2, True)


def console(served: Served, query: str, site: str = "same-origin", **more: str) -> Reply:
    address = f"{served.url}/ui/sql?{urlencode({'query': query, **more})}"
    request = urllib.request.Request(address, headers={"Sec-Fetch-Site": site})  # noqa: S310 - our own loopback address
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - ditto
            return Reply(reply.status, reply.read(), dict(reply.headers))
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read(), dict(error.headers))


def test_the_console_shows_rows_as_text_and_gives_them_as_csv(served: Served) -> None:
    sql = "SELECT name, '<b>=1+1</b>' AS said, NULL AS nothing FROM public.dim_chain WHERE name = 'north'"
    page, file = console(served, sql), console(served, sql, csv="true")

    assert page.status == 200
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert "<td>north</td><td>&lt;b&gt;=1+1&lt;/b&gt;</td><td>–</td>" in page.body.decode()
    assert file.body == served.ask(sql, accept="text/csv").body
    assert file.headers["Content-Disposition"] == 'attachment; filename="rows.csv"'


def test_the_console_says_why_it_does_not_answer_and_keeps_the_query(served: Served) -> None:
    closing = console(served, "SELECT '</textarea><script>' FROM nowhere")
    led_here = console(served, "SELECT 1 AS one", site="cross-site")

    assert b'role="alert"' in closing.body
    assert b"&lt;/textarea&gt;&lt;script&gt;" in closing.body
    assert closing.body.count(b"<script") == 1  # the page's own
    assert b"a page of another site led here" in led_here.body
    assert b"<td>1</td>" not in led_here.body
    assert console(served, "SELECT 1 AS one", site="cross-site", csv="true").status == 403
    assert console(served, "DROP TABLE x", csv="true").status == 400
