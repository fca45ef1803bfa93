"""A snapshot's book in a lake, and what engines make of it, each with where it comes from.

    books/<id>/<table>/part-<n>.parquet        the book's tables; positions by ranges of accounts
    books/<id>/book.json                       which files, their rows, sizes and SHA-256; written last
    books/<id>/risk_…/part-<n>.parquet         of some: what scenarios and curves are made of (`partitions`)
    revaluations/<id>/part-*.parquet           `fct_margin_account` of a book
    revaluations/<id>/<table>/part-*.parquet   of a book with more: what parts came to, as tables
    revaluations/<id>/revaluation.json         of which book, by which engine, version and SQL; and its files

Both folders are filled under another name and take their own in one rename: whoever sees one sees all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq

from aggregator.engines.dialects import definitions
from aggregator.engines.partitions import Task, parts_of, task_of
from aggregator.engines.running import Run, running
from aggregator.risk.tallies import Tallies
from indexer.lake.sets import LakeBroken
from indexer.publish.segments import settled
from indexer.store import Store
from indexer.store.errors import StoreError
from indexer.store.margin import PARTED, TABLES
from indexer.store.migrate import newest_schema
from indexer.store.session import Con, table_of

BOOKS, REVALUATIONS = "books", "revaluations"
BOOK, REVALUATION = "book.json", "revaluation.json"
ACCOUNTS_A_FILE = 100_000
OF = ("lake_set", "premise", "policy", "methodology", "program")
"""What a book says that its revaluations say too: the set of the lake that it is, what else it rests on, and the program that made it."""

Said = dict[str, Any]
Besides = Callable[[Path], None]
"""Writes more tables below a folder."""

Told = Callable[[Task, Tallies, Path], None]
"""Writes what the parts of a book came to below a folder."""


class NoBook(StoreError):
    """The store has no snapshot's book yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What is asked of a book beside its margin accounts: `of`: what its cut is of; `put` writes its parts, `told` what they come to."""

    of: Said
    put: Besides | None = None
    told: Told | None = None


def revalue(store: Store, lake: Path, engine: str, *, master: str | None = None, more: More | None = None) -> Said:
    """Put the newest snapshot's book into a lake, run the views over it there, and return what `revaluation.json` says.

    `master` is the cluster of an engine that has one. What is there already, by the same engine, version and SQL, is not made again.
    Raises `NoBook`, `EngineMissing`, `EngineFailed` and `LakeBroken`.
    """
    with store.exporting() as con:
        book = put_book(con, lake, more)
        views = definitions(con, engine)
    return revalued(lake, book, engine, views, running(engine, master), told=None if more is None else more.told)


def put_book(con: Con, lake: Path, more: More | None = None) -> str:
    """Put the book that the store holds into the lake, and return its id; raises `NoBook`."""
    snapshot_id, slot_time = newest(con)
    with _drafted(lake / BOOKS) as (draft, name):
        for table in TABLES:
            _write(con, table, draft / table)
        if more is not None and more.put is not None:
            more.put(draft)
        of = {} if more is None else more.of
        said = {
            "snapshot_id": snapshot_id,
            "slot_time": slot_time,
            "made_by": newest_schema(),
            **of,
            "files": _files(draft),
        }
        name.append(f"{slot_time:012d}-{_digest(said)[:32]}")
        _put(draft / BOOK, said)
    return name[0]


def newest(con: Con) -> tuple[str, int]:
    """Return which snapshot's book a store holds, and of which slot in Unix seconds; raises `NoBook`."""
    found: list[tuple[str, int]] = con.execute("SELECT snapshot_id, slot_time FROM main.margin_snapshot").fetchall()
    if not found:
        raise NoBook("no snapshot was made yet, so there is no book to revalue; run `crossmargin snapshot create`")
    return found[0]


def revalued(
    lake: Path, book: str, engine: str, views: Mapping[str, str], run: Run, *, told: Told | None = None
) -> Said:
    """Run the views over a book of the lake, which is checked first, and its parts, if it has any; raises what `revalue` does."""
    held, place = read_book(lake, book), lake / BOOKS / book
    with _drafted(lake / REVALUATIONS) as (draft, name):
        ran = run(views, place, draft, parts_of(place))
        source = {"book": book, "engine": engine, "version": ran.version, "sql": _digest(dict(views))}
        for besides in [path for path in draft.iterdir() if path.suffix != ".parquet"]:
            besides.unlink()
        if told is not None:
            told(task_of(place), ran.tallies, draft)
        said = source | {key: held[key] for key in OF if key in held} | {"files": _files(draft)}
        name.append(f"{book[:29]}.{engine}-{_digest(source)[:16]}")
        _put(draft / REVALUATION, said)
    return {"id": name[0], **json.loads((lake / REVALUATIONS / name[0] / REVALUATION).read_bytes())}


def read_book(lake: Path, book: str) -> Said:
    """What a book says of itself, once every file of it was found as it says; raises `LakeBroken`."""
    place = lake / BOOKS / book
    try:
        said: Said = json.loads((place / BOOK).read_bytes())
        for file in said["files"]:
            if settled(place / file["path"]) != (file["sha256"], file["bytes"]):
                raise LakeBroken(f"{place / file['path']}: is not what was put there")
    except (OSError, ValueError, KeyError) as error:
        raise LakeBroken(f"{place}: cannot be read ({type(error).__name__})") from error
    listed = {file["path"] for file in said["files"]} | {BOOK}
    if {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} != listed:
        raise LakeBroken(f"{place}: holds files that it does not name, and engines read whole folders")
    return said


def _write(con: Con, table: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    if table != PARTED:
        pq.write_table(table_of(con, f"SELECT * FROM main.{table} ORDER BY ALL", {}), folder / "part-00000.parquet")  # noqa: S608 - our names
        return
    ((last,),) = con.execute(f"SELECT coalesce(max(account), 0) FROM main.{PARTED}").fetchall()  # noqa: S608 - our names
    ask = f"SELECT * FROM main.{PARTED} WHERE account >= $first AND account < $end ORDER BY account, leg"  # noqa: S608 - our names
    for number, first in enumerate(range(0, last + 1, ACCOUNTS_A_FILE)):
        rows = table_of(con, ask, {"first": first, "end": first + ACCOUNTS_A_FILE})
        pq.write_table(rows, folder / f"part-{number:05d}.parquet")


@contextmanager
def _drafted(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder to fill, and a list for the name that it takes then; what has that name already stays."""
    draft, name = folder / f".{uuid4().hex}", list[str]()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield draft, name
        if not (folder / name[0]).exists():
            os.rename(draft, folder / name[0])  # noqa: PTH104 - refuses a folder that holds something, where others would move into it
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files(folder: Path) -> list[Said]:
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        digest, size = settled(path)
        rows = pq.read_metadata(path).num_rows
        found.append({"path": str(path.relative_to(folder)), "rows": rows, "bytes": size, "sha256": digest})
    return found


def _digest(said: Said) -> str:
    return hashlib.sha256(_canonical(said)).hexdigest()


def _put(path: Path, said: Said) -> None:
    with path.open("xb") as file:
        file.write(_canonical(said))
        file.flush()
        os.fsync(file.fileno())


def _canonical(said: Said) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
