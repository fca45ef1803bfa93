"""`transfers import|list`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.documents import Document

STYLES = {"sent": "yellow", "proven": "cyan", "delivered": "green"}


def take_in(context: Context, path: Path, *, source: str | None) -> None:
    """Take in the messages of a file, all or none."""
    from crossmargin.import_files import transfer_document

    said = transfer_document(path, source=source)
    with desk_of(context, writes=True) as desk:
        document = desk.import_transfers(said)
    emit(context, document, lambda console: facts(console, document))


def listing(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.transfers()
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    columns = ("message", "state", "asset", "raw amount", "from", "to", "sent at", "told by", "evidence")
    rows = [
        (
            f"{row['protocol']}:{row['message']}",
            words(row["state"], STYLES[row["state"]]),
            row["asset"],
            row["amount_raw"],
            row["sender"],
            row["recipient"],
            row["sent_at"],
            row["source"],
            row["evidence"],
        )
        for row in document["transfers"]
    ]
    console.print(add_rows(table(*columns, right=("raw amount",)), rows))
