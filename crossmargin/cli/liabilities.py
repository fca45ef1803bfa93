"""`liabilities import|list|sign|key`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words, write_json
from crossmargin.cli.reading import read_text
from crossmargin.documents import Document

STYLES = {"known": "green", "unknown": "bold magenta"}


def take_in(context: Context, source: str) -> None:
    """Take in a signed document; raises `Forged` and the other refusals of `crossmargin.liabilities`."""
    text = _read(source)
    with desk_of(context, writes=True) as desk:
        document = desk.import_liabilities(text)
    emit(context, document, lambda console: facts(console, document))


def listing(context: Context, *, venue: str | None) -> None:
    with desk_of(context) as desk:
        document = desk.liabilities(venue)
    emit(context, document, lambda console: _show(console, document))


def sign(context: Context, source: str, *, key: Path) -> None:
    """Print the envelope of a document, for `import` or HTTP; needs no configuration."""
    from crossmargin import liabilities

    del context
    write_json(liabilities.sign(_read(source), key))


def make_key(context: Context, path: Path) -> None:
    """Write a private key and print its public one; needs no configuration."""
    from crossmargin import liabilities

    document = {"path": str(path), "key": liabilities.make_key(path)}
    emit(context, document, lambda console: console.print(document["key"]))


def _show(console: Console, document: Document) -> None:
    columns = ("venue", "account", "state", "as of", "age", "initial USD", "maintenance USD", "PnL USD")
    rows = [
        (
            row["venue"],
            row["account"],
            words(row["state"], STYLES[row["state"]]),
            row["as_of"],
            figures.age(row["age_s"]),
            figures.usd_up(row["initial_requirement_usd"]),
            figures.usd_up(row["maintenance_requirement_usd"]),
            figures.usd_down(row["pnl_usd"]),
        )
        for row in document["liabilities"]
    ]
    console.print(add_rows(table(*columns, right=("age", *columns[5:])), rows))


def _read(source: str) -> str:
    from aggregator.margin.liabilities import LARGEST_ENVELOPE

    return read_text(source, most=LARGEST_ENVELOPE, instead="; send the accounts in several documents")
