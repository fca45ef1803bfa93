"""A folder of published sets: each is made whole beside the one before, and one rename makes it the current one.

`current` is a link to `sets/N`, which holds `crossmargin.duckdb` and `manifest.json`; files under `segments/` are never changed, and named
after what they are made of. Whatever ends the work in between leaves the set of before, and what lies about then goes with the next one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import duckdb

from indexer.publish import manifest
from indexer.publish.manifest import EMPTY, Manifest
from indexer.publish.segments import SEGMENTS, Writer, settled
from indexer.publish.views import public_views, small_tables, write_database
from indexer.store import NOTHING_FINAL, Store, StoreError
from indexer.store.connection import first_line
from indexer.store.session import Con

CURRENT = "current"
DATABASE = "crossmargin.duckdb"
MANIFEST = "manifest.json"
SETS = "sets"
KEPT = 3
"""So many sets keep their files: a question that began with an older one can end with it."""

SEGMENT_ROWS = 1_000_000

Told = Callable[[str], None]
"""Is told of each step when it is done."""


class PublishRefused(StoreError):
    """There is nothing that could be published."""


class Publisher:
    """Publishes what is final in a store below `folder`; `told` hears of every step, in order. It has the store's views."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_rows: int = SEGMENT_ROWS,
        told: Told = lambda _step: None,
    ) -> None:
        self._folder = folder.resolve()
        self._rows = segment_rows
        self._told = told

    @property
    def database(self) -> Path:
        """The database of the current set."""
        return self._folder / CURRENT / DATABASE

    def current(self) -> Manifest | None:
        """The set that readers see, `None` before the first."""
        return manifest.read(self._folder / CURRENT / MANIFEST)

    def publish(self, store: Store, now: int) -> Manifest:
        """Publish everything up to the last final block of every chain; raises `StoreError`. Nobody waits for it.

        `now`: Unix seconds.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with store.exporting() as con:
                made, draft = self._drafted(con, now)
            self._exchange(draft, made)
        except (OSError, duckdb.Error) as error:
            raise StoreError(f"{self._folder}: cannot be published to ({first_line(error)})") from error
        self._tidy()
        return made

    def _drafted(self, con: Con, now: int) -> tuple[Manifest, Path]:
        """Write the files that lack and the database, under a name that nobody reads."""
        final = final_blocks(con)
        held = self.current() or EMPTY
        writer = Writer(con, self._folder, held, rows=self._rows)
        segments = []
        for chain_id, last in final.items():
            for segment in writer.of_chain(chain_id, last):
                segments.append(segment)
                self._told("segment")
        made = Manifest(number=self._next(), published_at=now, final=final, segments=tuple(segments))
        draft = self._folder / SETS / f".{made.number:06d}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_database(draft / DATABASE, self._folder, small_tables(con, final), made, views=public_views(con))
        settled(draft / DATABASE)
        self._told("database")
        manifest.write(made, draft / MANIFEST)
        settled(draft / MANIFEST)
        self._told("manifest")
        return made, draft

    def _next(self) -> int:
        """A number that no set has, finished or not."""
        there = [path.name for path in (self._folder / SETS).glob("[0-9]*")]
        return max([0, *(int(name) for name in there if name.isdigit())]) + 1

    def _exchange(self, draft: Path, made: Manifest) -> None:
        """Give the set its name, and let `current` be it."""
        place = self._folder / SETS / f"{made.number:06d}"
        draft.rename(place)
        self._told("set")
        link = self._folder / f".{CURRENT}.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(SETS, place.name), target_is_directory=True)
        link.rename(self._folder / CURRENT)
        self._told("current")
        _settle_folder(self._folder)

    def _tidy(self) -> None:
        """Remove sets that are not read any more, and files that no set names."""
        current = self.current()
        if current is None:
            return
        sets = self._folder / SETS
        numbers = sorted(int(path.name) for path in sets.iterdir() if path.name.isdigit())
        kept = {current.number, *[number for number in numbers if number <= current.number][-KEPT:]}
        for path in sets.iterdir():
            if not path.name.isdigit() or int(path.name) not in kept:
                shutil.rmtree(path, ignore_errors=True)
        read = [manifest.read(sets / f"{number:06d}" / MANIFEST) for number in kept]
        named = {segment.path for each in read if each is not None for segment in each.segments}
        for file in (self._folder / SEGMENTS).rglob("*.parquet*"):
            if str(file.relative_to(self._folder)) not in named:
                with suppress(OSError):
                    file.unlink()
        self._told("tidy")


def final_blocks(con: Con) -> Mapping[str, int]:
    """The last final block of every chain that has one; raises `PublishRefused` where none has."""
    rows = con.execute("SELECT chain_id, finalized_number FROM cursor ORDER BY chain_id").fetchall()
    final = {str(chain_id): int(last) for chain_id, last in rows if last > NOTHING_FINAL}
    if not final:
        raise PublishRefused("no chain has a final block in this store yet; index first, and publish then")
    return final


def _settle_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
