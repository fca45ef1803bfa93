"""Printing documents on stdout: as JSON, or for people, with every text from outside made harmless."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossmargin.cli.context import Context
from crossmargin.documents import Document, encode, harmless


def emit(context: Context, document: Document, show: Callable[[Console], None]) -> None:
    """Print a document: as JSON where that was asked for, else as `show` shows it."""
    if context.json:
        write_json(document)
    else:
        show(context.stdout())


def write_json(document: object) -> None:
    """Write the bytes that HTTP would answer; spread out where a person reads them."""
    body = encode(document)
    if sys.stdout.isatty():
        body = json.dumps(json.loads(body), indent=2).encode("ascii") + b"\n"
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def words(text: object, style: str = "") -> Text:
    """Text of any origin, without markup or control characters."""
    return Text(harmless(str(text)), style=style)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without a frame; `right`: the columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(
            column, justify="right" if column in right else "left", no_wrap=column in right, overflow="fold"
        )
    return made


def add_rows(made: Table, rows: Iterable[Sequence[object]]) -> Table:
    """Add rows of texts and of anything that can be written."""
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else words("" if cell is None else cell) for cell in row))
    return made


def facts(console: Console, document: Mapping[str, object], indent: int = 0) -> None:
    """Print a nested document as indented lines."""
    for key, value in document.items():
        pad = " " * indent
        if isinstance(value, Mapping):
            console.print(words(f"{pad}{key}", "bold"))
            facts(console, value, indent + 2)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for item in value:
                console.print(words(f"{pad}{key}", "bold"))
                facts(console, item, indent + 2)
        else:
            console.print(words(f"{pad}{key} = {_shown(value)}"), soft_wrap=True)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
