"""`crossmargin sql` on a terminal: one query after the other, with completion and a history."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document as Typed
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from chains.errors import ChainError
from crossmargin.cli.context import Context
from crossmargin.cli.output import add_rows, table, words
from crossmargin.cli.sql import FORMS, ask
from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.errors import DeskError, NoSuchThing, UsageError
from indexer.store import StoreError

PROMPT, MORE = "sql> ", "...> "
HELP = """\
A query ends with a semicolon or an empty line. Commands:
.tables            the public views
.schema VIEW       the columns of one, with what they mean
.format FORM       how rows are printed: table, csv or json
.help              this
.quit              leave (or end of input)"""
COMMANDS = (".tables", ".schema", ".format", ".help", ".quit")
PRINTED = tuple(form for form in FORMS if form in {"table", "csv", "json"})
KEYWORDS = (
    *(
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "JOIN",
        "LEFT JOIN",
        "USING",
        "ON",
        "AND",
        "OR",
        "NOT",
    ),
    *("IS NULL", "IN", "AS", "WITH", "HAVING", "QUALIFY", "DESC", "DISTINCT", "CASE", "WHEN", "THEN", "ELSE", "END"),
    *("DESCRIBE", "SUMMARIZE", "EXPLAIN", "count", "sum", "avg", "max", "min", "date_trunc", "arg_max"),
)


class Repl:
    """Reads queries until the input ends. `source` and `target`: the terminal, where it is not this process's own."""

    def __init__(
        self,
        context: Context,
        desk: Desk,
        *,
        form: str,
        formulas: bool,
        source: Input | None = None,
        target: Output | None = None,
    ) -> None:
        self._context = context
        self._desk = desk
        self._form = form if form in PRINTED else "table"
        self._formulas = formulas
        self._views = {view["name"]: view for view in desk.schema()["views"]}
        self._session: PromptSession[str] = PromptSession(
            history=history(), completer=Names(self._views.values()), input=source, output=target
        )

    def run(self) -> None:
        """Read and answer until `.quit` or the end of the input; what is refused ends one query only."""
        self._context.stderr().print("one SELECT at a time over the public views; .help says more", soft_wrap=True)
        for text in self._texts():
            try:
                if not self._do(text):
                    return
            except (DeskError, StoreError, ChainError) as error:
                self._context.stderr().print(words(str(error), "red"), soft_wrap=True)

    def _texts(self) -> Iterator[str]:
        """Yield commands and whole queries."""
        lines: list[str] = []
        while True:
            try:
                line = self._session.prompt(MORE if lines else PROMPT)
            except KeyboardInterrupt:
                lines.clear()
                continue
            except EOFError:
                return
            lines.append(line)
            whole = "\n".join(lines).strip()
            if whole and (whole.startswith(".") or whole.endswith(";") or not line.strip()):
                lines.clear()
                yield whole
            elif not whole:
                lines.clear()

    def _do(self, text: str) -> bool:
        """Do one thing; gives whether to go on."""
        if not text.startswith("."):
            ask(self._context, self._desk, text, form=self._form, output=None, formulas=self._formulas)
            return True
        command, _, rest = text.partition(" ")
        match command, rest.strip().removeprefix("public."):
            case ".quit" | ".exit", _:
                return False
            case ".tables", _:
                self._show(("view", "what it is"), ((view["name"], view["comment"]) for view in self._views.values()))
            case ".schema", name:
                self._schema(name)
            case ".format", form:
                self._form = _known(form, PRINTED, "a form")
            case ".help", _:
                self._context.stdout().print(HELP)
            case _:
                _known(command, COMMANDS, "a command")
        return True

    def _schema(self, name: str) -> None:
        view = self._views[_known(name, tuple(self._views), "a public view")]
        columns = ((column["name"], column["type"], column["comment"]) for column in view["columns"])
        self._show(("column", "type", "what it is"), columns)

    def _show(self, names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        self._context.stdout().print(add_rows(table(*names), rows))


class Names(Completer):
    """Completes views, their columns, commands and words of SQL."""

    def __init__(self, views: Iterable[Document]) -> None:
        found = [view["name"] for view in views]
        columns = {column["name"] for view in views for column in view["columns"]}
        self._words = [*found, *sorted(columns), *KEYWORDS]

    def get_completions(self, document: Typed, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002 - prompt_toolkit's
        """Yield what the word before the cursor may become."""
        if document.text.startswith(".") and " " not in document.text:
            yield from (Completion(each, -len(document.text)) for each in COMMANDS if each.startswith(document.text))
            return
        typed = document.get_word_before_cursor()
        if typed:
            lowered = typed.lower()
            yield from (Completion(word, -len(typed)) for word in self._words if word.lower().startswith(lowered))


def _known(said: str, known: tuple[str, ...], what: str) -> str:
    if said in known:
        return said
    close = get_close_matches(said, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(known)}"
    raise (NoSuchThing if said else UsageError)(f'"{said}" is not {what}; {hint}')


def history() -> History:
    """What was asked before, for its owner's eyes only; without a home folder, for this session alone."""
    place = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "crossmargin" / "sql_history"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.touch(mode=0o600)
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return FileHistory(str(place))
