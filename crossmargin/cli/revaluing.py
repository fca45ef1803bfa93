"""`revalue`: the newest snapshot's book on an engine, into a lake."""

from __future__ import annotations

from pathlib import Path

from aggregator.engines.revaluing import revalue as revalued
from crossmargin.app import unlocked
from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, facts
from crossmargin.cli.progress import counted_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.lakes import lake_settings


def revalue(context: Context, engine: str, *, lake: str | None, master: str | None) -> None:
    """Run the margin model's views over the book, and print where the rows are and what made them."""
    settings = context.settings()
    place = lake or lake_settings(settings).url
    if "://" in place:
        raise UsageError("engines read and write a lake that is a folder; give --lake FOLDER")
    if master is not None and engine != "spark":
        raise UsageError(f"--master names a cluster, and {engine} has none; leave it out, or give --engine spark")
    with unlocked(settings, read_only=True) as store, counted_on(context, f"computing with {engine}"):
        said = revalued(store, Path(place).absolute(), engine, master=master)
    files = said["files"]
    document: Document = {
        **{name: said[name] for name in ("id", "book", "engine", "version", "sql")},
        "files": len(files),
        "rows": sum(file["rows"] for file in files),
        "bytes": sum(file["bytes"] for file in files),
    }
    emit(context, document, lambda console: facts(console, document))
