"""`sql` and `publish`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words, write_json
from crossmargin.cli.progress import counted_on
from crossmargin.documents import Document, harmless, symbol
from crossmargin.errors import UsageError
from crossmargin.sql.answers import Answer, Form

BINARY = (Form.PARQUET.value, Form.ARROW.value)
FORMS = ("table", *(form.value for form in Form))


class Asked(Protocol):
    """Whoever answers a SELECT: a desk, or a snapshot."""

    def sql(self, query: str) -> Document:
        """Return the rows of one SELECT."""
        ...

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        """Return the rows of one SELECT as bytes of some form."""
        ...


def sql(
    context: Context,
    query: str | None,
    *,
    form: str,
    output: Path | None,
    formulas: bool,
    snapshot: Path | None = None,
) -> None:
    """Print the rows of one SELECT, from the argument or stdin; on a terminal without either, of one after the other.

    Where a `snapshot` is named, its tables are asked, and its hash is told.
    """
    _check_form(form, output)
    if snapshot is not None:
        ask(context, _tables_of(context, snapshot), _given(query), form=form, output=output, formulas=formulas)
        return
    if query is None and sys.stdin.isatty():
        if output is not None:
            raise UsageError("give the query as an argument or on stdin where rows go to a file")
        from crossmargin.cli.repl import Repl

        with desk_of(context) as desk:
            Repl(context, desk, form=form, formulas=formulas).run()
        return
    text = query if query is not None else sys.stdin.read()
    with desk_of(context) as desk:
        ask(context, desk, text, form=form, output=output, formulas=formulas)


def _given(query: str | None) -> str:
    if query is None and sys.stdin.isatty():
        raise UsageError('give the query as an argument or on stdin: crossmargin sql --snapshot ID "SELECT …"')
    return sys.stdin.read() if query is None else query


def _tables_of(context: Context, snapshot: Path) -> Asked:
    from crossmargin.archive import SnapshotTables
    from crossmargin.cli.snapshots import archive_of

    archive = archive_of(context, snapshot)
    pack = archive.opened(snapshot)
    context.stderr().print(words(f"snapshot {pack.name} · {pack.hash}"), soft_wrap=True)
    return SnapshotTables(archive, snapshot)


def publish(context: Context) -> None:
    """Publish, and say what."""
    with desk_of(context, writes=True) as desk, counted_on(context, "publishing"):
        document = desk.publish()
    emit(context, document, lambda console: facts(console, document))


def ask(context: Context, desk: Asked, query: str, *, form: str, output: Path | None, formulas: bool) -> None:
    """Ask one query, and print its rows or write them to a file."""
    count, truncated = _asked(desk, query, form, output, formulas=formulas, console=context.stdout)
    if truncated and form != Form.JSON.value:
        context.stderr().print(f"there are more rows; the first {count:,} are shown", soft_wrap=True)


def _asked(
    desk: Asked, query: str, form: str, output: Path | None, *, formulas: bool, console: Callable[[], Console]
) -> tuple[int, bool]:
    if form == "table" or (form == Form.JSON.value and output is None):
        document = desk.sql(query)
        if form == "table":
            show_rows(console(), document)
        else:
            write_json(document)
        return len(document["rows"]), bool(document["truncated"])
    answer = desk.rows(query, Form(form), formulas=formulas)
    if output is None:
        sys.stdout.buffer.write(answer.body)
        sys.stdout.buffer.flush()
    else:
        _write(output, answer.body)
    return answer.rows, answer.truncated


def _check_form(form: str, output: Path | None) -> None:
    if form in BINARY and output is None and sys.stdout.isatty():
        raise UsageError(f"{form} is not for terminals; name a file with --output FILE, or pipe it")
    if form == "table" and output is not None:
        raise UsageError("a file needs a form: --format csv, json, parquet or arrow")


def _write(path: Path, body: bytes) -> None:
    try:
        path.write_bytes(body)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def show_rows(console: Console, document: Document) -> None:
    """Rows are as wide as they are: a pager or a narrower query helps, cut values do not."""
    names = [symbol(column["name"]) for column in document["columns"]]
    made = table(*names)
    for column in made.columns:
        column.no_wrap = True
        column.overflow = "ignore"
    shown = [[harmless(str(value)) if value is not None else "" for value in row] for row in document["rows"]]
    widths = [max([len(name), *(len(row[i]) for row in shown)]) for i, name in enumerate(names)]
    console.width = max(console.width, sum(widths) + 2 * len(widths))
    console.print(add_rows(made, shown), soft_wrap=True)
