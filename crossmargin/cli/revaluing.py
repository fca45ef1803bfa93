"""`revalue`: the newest snapshot's book, or that of a lake's newest set, on an engine, into a lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from aggregator.engines.laying import laid
from aggregator.engines.revaluing import More, newest
from aggregator.engines.revaluing import revalue as revalued
from crossmargin.app import unlocked
from crossmargin.cli.context import Context
from crossmargin.cli.desks import local
from crossmargin.cli.output import emit, facts
from crossmargin.cli.progress import counted_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.from_lake import Following, begun, held_set, lake_at, reader_settings
from crossmargin.lakes import lake_settings
from crossmargin.local_desk import LocalDesk
from crossmargin.revaluations import asked_tables, more_of
from crossmargin.settings import Settings
from crossmargin.stress_documents import Wanted
from indexer.lake import Lake
from indexer.publish import Publisher
from indexer.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where to, of what, and which tables beside the margin accounts."""

    place: str
    of_set: bool
    tables: tuple[str, ...]
    wanted: Wanted


def revalue(
    context: Context,
    engine: str,
    *,
    lake: str | None,
    master: str | None,
    tables: str | None,
    of_set: bool,
    wanted: Wanted,
) -> None:
    """Run the margin model's views over the book, and what is asked for beside them, and print where the rows are and what made them."""
    place = lake or lake_settings(context.settings()).url
    if "://" in place:
        raise UsageError("engines read and write a lake that is a folder; give --lake FOLDER")
    if master is not None and engine != "spark":
        raise UsageError(f"--master names a cluster, and {engine} has none; leave it out, or give --engine spark")
    asked = Asked(place=place, of_set=of_set, tables=asked_tables(tables, wanted), wanted=wanted)
    with _booked(context, asked) as (store, more), counted_on(context, f"computing with {engine}"):
        said = revalued(store, Path(place).absolute(), engine, master=master, more=more)
    files = said["files"]
    document: Document = {
        **{name: said[name] for name in ("id", "book", "engine", "version", "sql")},
        "lake_set": said.get("lake_set"),
        "files": len(files),
        "rows": sum(file["rows"] for file in files if "/" not in file["path"]),
        "bytes": sum(file["bytes"] for file in files),
    }
    emit(context, document, lambda console: facts(console, document))


@contextmanager
def _booked(context: Context, asked: Asked) -> Iterator[tuple[Store, More | None]]:
    """A store that holds the book, and what is asked of it beside its margin accounts."""
    settings = context.settings()
    if asked.of_set:
        with TemporaryDirectory(prefix="crossmargin-") as folder:
            own = reader_settings(settings, lake_at(settings, asked.place), Path(folder))
            with unlocked(own) as store:
                yield store, _of_set(context, own, store, asked)
    elif asked.tables:
        with local(context, settings, writes=False) as desk:
            yield desk.store, _of_snapshot(desk, asked)
    else:
        with unlocked(settings, read_only=True) as store:
            yield store, None


def _of_set(context: Context, settings: Settings, store: Store, asked: Asked) -> More:
    """Take the newest set of the lake into a store, with the book that it comes to."""
    said, publisher = lake_settings(settings), Publisher(settings.publish.folder)
    _, desk = begun(settings, said, store, Following(Lake.at(said.url), store, publisher, said, time))
    desk.begin_policy(accept=context.accept_policy)
    inputs, known, premise = desk.whole()
    book = laid(inputs)
    with store.reading() as reader:
        made = held_set(reader)
    store.replace_margin(made.cut_at, book.tables(snapshot_id=made.set_id, slot_time=made.cut_at))
    return more_of(book, known.series, asked.wanted, asked.tables, premise)


def _of_snapshot(desk: LocalDesk, asked: Asked) -> More:
    with desk.store.exporting() as con:
        _, slot = newest(con)
    inputs, known = desk.inputs_and_known(f"@{slot}")
    return more_of(laid(inputs), known.series, asked.wanted, asked.tables, None)
