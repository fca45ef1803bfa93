"""The prompt of `crossmargin sql`: queries over several lines, commands, completion and errors that help."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document as Typed
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from crossmargin.cli.context import Context
from crossmargin.cli.repl import Names, Repl
from crossmargin.documents import Document
from crossmargin.rows import rows_document
from crossmargin.sql.answers import Answer, Form
from crossmargin.sql.formats import text_answer
from crossmargin.sql.schema import ASKED, MACROS, schema_document
from indexer.store import MEMORY, Store


class Asked:
    """A desk that answers SQL from a store, and nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sql(self, query: str) -> Document:
        return rows_document(self._store.query(query, timeout_s=20, max_rows=100))

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        found = self._store.query(query, timeout_s=20, max_rows=100)
        return text_answer(found, form, formulas=formulas, most_bytes=100_000)

    def schema(self) -> Document:
        return schema_document(
            *(self._store.query(text, timeout_s=20, max_rows=9_999).rows for text in (ASKED, MACROS))
        )


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def told(typed: str, capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    with Store.open(MEMORY) as store, create_pipe_input() as source:
        source.send_text(typed)
        repl = Repl(Context(), Asked(store), form="table", formulas=False, source=source, target=DummyOutput())  # type: ignore[arg-type]
        repl.run()
    out, err = capfd.readouterr()
    return out, err


def test_a_query_over_several_lines_is_asked_as_one(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = told("SELECT 41\n + 1 AS answer;\n.quit\n", capfd)

    assert out.split() == ["answer", "42"]
    history = tmp_path / "crossmargin" / "sql_history"
    assert "SELECT 41" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_what_is_refused_ends_one_query_only_and_names_what_was_meant(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = told(
        "FROM public.fct_positon;\n.schema dim_chian\n.tabels\n.format xml\n.format csv\nSELECT 1 AS a;\n.quit\n", capfd
    )

    assert 'Did you mean "fct_position"?' in " ".join(err.split()), err
    assert '"dim_chian" is not a public view; did you mean "dim_chain"?' in err
    assert 'did you mean ".tables"?' in err
    assert '"xml" is not a form; there are: table, json, csv' in err
    assert out == "a\n1\n"


def test_commands_show_views_and_columns_with_what_they_mean(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = told(".tables\n.schema public.dim_chain\n.help\n.quit\n", capfd)

    assert "Every configured chain, and how far it is indexed." in " ".join(out.split())
    assert "CAIP-2 id, as eip155:1" in out
    assert ".schema VIEW" in out


def test_the_end_of_the_input_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert told("\x04", capfd)[0] == ""


@pytest.mark.parametrize(
    "typed, found",
    [("SELECT * FROM dim_ch", "dim_chain"), ("SELECT chain_", "chain_id"), (".sch", ".schema"), ("sel", "SELECT")],
)
def test_names_are_completed(typed: str, found: str) -> None:
    with Store.open(MEMORY) as store:
        names = Names(Asked(store).schema()["views"])

    assert found in [each.text for each in names.get_completions(Typed(typed), CompleteEvent())]
