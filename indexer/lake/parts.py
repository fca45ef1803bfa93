"""Parts: what one chain is at one cut-off, put into a lake by the process that indexes the chain.

Cut-offs are the whole multiples of a period, so that processes that know nothing of each other make parts that fit together. A part is
made when a final block is later than its cut-off: nothing can be missing from it then, and it says the same whoever makes it, and when.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from chains.identifiers import format_hash
from chains.model import Block
from indexer.lake.contents import LEDGERS, OF_NO_CHAIN, STORED, facts_of, small
from indexer.lake.sets import ChainCut, LakeFile, LakeSet, written
from indexer.lake.storage import Lake
from indexer.publish import manifest
from indexer.publish.manifest import EMPTY, Manifest, Segment
from indexer.publish.segments import Writer
from indexer.store import NOTHING_FINAL, Store, StoreError
from indexer.store.connection import first_line
from indexer.store.migrate import newest_schema
from indexer.store.reader import Reader
from indexer.store.session import Con

PARTS = "parts"
FILES = "files"
SEGMENT_ROWS = 1_000_000
MOST_AT_ONCE = 8
"""Of the cut-offs that a chain passed since its last part so many are made up for, the newest: others may not have the last one yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A part before it is in the lake: `made` names its files, `held` remembers what they were made of, `small` are those of few rows."""

    made: LakeSet
    held: Manifest
    small: Mapping[str, bytes]


class Parts:
    """Puts parts of a store's chains into a lake; `work` is a folder of this process, which remembers what is in the lake already.

    `period_s`: between two cut-offs. Whatever ends the work in between leaves files that no part names.
    """

    def __init__(self, lake: Lake, work: Path, *, period_s: int, segment_rows: int = SEGMENT_ROWS) -> None:
        self._lake = lake
        self._work = work
        self._period_s = period_s
        self._rows = segment_rows

    def publish(self, store: Store, chain_id: str) -> list[LakeSet]:
        """Publish the parts of a chain that are due, oldest first; none where no cut-off has passed since. Raises `StoreError`."""
        return [self._published(store, chain_id, cut_at) for cut_at in self._due(store, chain_id)]

    def _due(self, store: Store, chain_id: str) -> list[int]:
        with store.reading() as reader:
            newest = final_block(reader, chain_id)
            if newest is None:
                return []
            last = (newest.time - 1) // self._period_s * self._period_s
            known = self._held(chain_id).published_at
            first = max(known + self._period_s, last - (MOST_AT_ONCE - 1) * self._period_s)
            due = range(first, last + 1, self._period_s)
            return [cut_at for cut_at in due if reader.block_at_time(chain_id, cut_at) is not None]

    def _published(self, store: Store, chain_id: str, cut_at: int) -> LakeSet:
        self._work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._work, prefix=".part") as folder:
            try:
                with store.exporting() as con:
                    draft = self._drafted(con, Path(folder), chain_id, cut_at)
            except (OSError, duckdb.Error) as error:
                raise StoreError(f"{self._work}: a part cannot be made here ({first_line(error)})") from error
            put_part(self._lake, draft.made, contents(draft, Path(folder)))
        manifest.write(draft.held, self._memory(chain_id))
        return draft.made

    def _drafted(self, con: Con, folder: Path, chain_id: str, cut_at: int) -> Draft:
        block = cut_block(Reader(con), chain_id, cut_at)
        writer = Writer(
            con, folder, self._held(chain_id), rows=self._rows, facts=facts_of(chain_id), keeps=self._is_there
        )
        segments = tuple(writer.of_chain(chain_id, block.number))
        tables: dict[str, list[LakeFile]] = {}
        for segment in segments:
            tables.setdefault(segment.view, []).append(file_of(segment))
        few = dict(_small(con, chain_id, block.number))
        tables |= {name: [file_of_rows(name, chain_id, block.number, rows)] for name, rows in few.items()}
        cut = ChainCut(block=block.number, hash=format_hash(chain_id, block.hash), time=block.time)
        return Draft(
            made=LakeSet(
                cut_at=cut_at,
                made_by=newest_schema(),
                cut={chain_id: cut},
                tables={name: tuple(files) for name, files in sorted(tables.items())},
            ),
            held=Manifest(number=1, published_at=cut_at, final={chain_id: block.number}, segments=segments),
            small={name: parquet(rows) for name, rows in few.items()},
        )

    def _is_there(self, segment: Segment) -> bool:
        return not self._lake.missing([file_of(segment)])

    def _held(self, chain_id: str) -> Manifest:
        return manifest.read(self._memory(chain_id)) or EMPTY

    def _memory(self, chain_id: str) -> Path:
        return self._work / f"{folder_of(chain_id)}.json"


def final_block(reader: Reader, chain_id: str) -> Block | None:
    """The newest final block of a chain, `None` before the first."""
    cursor = reader.cursor(chain_id)
    if cursor is None or cursor.finalized == NOTHING_FINAL:
        return None
    return reader.block(chain_id, cursor.finalized)


def cut_block(reader: Reader, chain_id: str, cut_at: int) -> Block:
    """The last block with rows that is not later than a cut-off; raises `StoreError`."""
    block, newest = reader.block_at_time(chain_id, cut_at), final_block(reader, chain_id)
    if block is None or newest is None or newest.time <= cut_at:
        raise StoreError(f"{chain_id}: what was so at {cut_at} is not final yet; publish later")
    return block


def put_part(lake: Lake, part: LakeSet, contents: Mapping[str, bytes] | Iterator[tuple[str, bytes]]) -> None:
    """Put the files of a part (path → bytes) into a lake, and then its name; raises `StoreError`."""
    for path, said in contents.items() if isinstance(contents, Mapping) else contents:
        lake.put(path, said)
    (chain_id,) = part.cut
    lake.put(f"{PARTS}/{folder_of(chain_id)}/{part.id}.json", written(part))


def contents(draft: Draft, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a draft that are not in the lake yet, one after the other."""
    for segment in draft.held.segments:
        place = folder / segment.path
        if place.exists():
            yield file_of(segment).path, place.read_bytes()
    for name, said in draft.small.items():
        (file,) = draft.made.tables[name]
        yield file.path, said


def ledgers(store: Store) -> dict[LakeFile, bytes]:
    """What people and other systems said, as files of no chain."""
    found = {}
    with store.exporting() as con:
        for table in LEDGERS:
            rows = con.sql(f"SELECT * FROM main.{table} ORDER BY ALL").to_arrow_table()  # noqa: S608 - our own names
            found[file_of_rows(f"{STORED}{table}", OF_NO_CHAIN, 0, rows)] = parquet(rows)
    return found


def file_of(segment: Segment) -> LakeFile:
    """A segment as a file of the lake: its name there is made of what it holds."""
    return LakeFile(
        path=path_of(segment.view, segment.chain_id, segment.sha256),
        chain_id=segment.chain_id,
        first=segment.first,
        last=segment.last,
        rows=segment.rows,
        bytes=segment.bytes,
        sha256=segment.sha256,
    )


def file_of_rows(name: str, chain_id: str, last: int, rows: pa.Table) -> LakeFile:
    """A small table as a file of the lake."""
    said = parquet(rows)
    digest = hashlib.sha256(said).hexdigest()
    return LakeFile(
        path=path_of(name, chain_id, digest),
        chain_id=chain_id,
        first=0,
        last=last,
        rows=rows.num_rows,
        bytes=len(said),
        sha256=digest,
    )


def path_of(table: str, chain_id: str, digest: str) -> str:
    """Where a file lies in a lake."""
    return f"{FILES}/{table}/{folder_of(chain_id) or 'all'}/{digest}.parquet"


def folder_of(chain_id: str) -> str:
    """A chain's id as a name that every storage takes."""
    return chain_id.replace(":", "-")


def parquet(rows: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    out = io.BytesIO()
    pq.write_table(rows, out, compression="zstd")
    return out.getvalue()


def _small(con: Con, chain_id: str, last: int) -> Iterator[tuple[str, pa.Table]]:
    for table, question in small().items():
        values = {"chain_id": chain_id} | ({"last": last} if "$last" in question else {})
        rows = con.sql(f"SELECT * FROM (\n{question}\n) ORDER BY ALL", params=values).to_arrow_table()  # noqa: S608 - ditto
        yield f"{STORED}{table}", rows
