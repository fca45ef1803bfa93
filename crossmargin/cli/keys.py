"""`keys create|rotate|list`: who signs snapshots."""

from __future__ import annotations

import time

from rich.console import Console

from crossmargin.cli.context import Context
from crossmargin.cli.output import add_rows, emit, table
from crossmargin.documents import Document
from crossmargin.keys import Keyring


def create(context: Context) -> None:
    """Make the first key."""
    _emit(context, _keyring(context).create(0))


def rotate(context: Context) -> None:
    """Let a new key sign from now on."""
    _emit(context, _keyring(context).rotate(int(time.time())))


def listing(context: Context) -> None:
    """Print all keys, oldest first."""
    _emit(context, _keyring(context).history())


def _keyring(context: Context) -> Keyring:
    return Keyring(context.settings().snapshot.keys)


def _emit(context: Context, history: tuple[Document, ...]) -> None:
    document: Document = {"keys": [{"key": entry["key"], "from": entry["from"]} for entry in history]}
    emit(context, document, lambda console: _show(console, document))


def _show(console: Console, document: Document) -> None:
    console.print(add_rows(table("key", "signs from"), [(item["key"], item["from"]) for item in document["keys"]]))
