"""Write the book at one cut into a folder, all of it or nothing, and check such a folder.

The same store, configuration and cut give the same bytes in every file, whenever and wherever they are written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aggregator.audit.manifest import MANIFEST, FileEntry, Manifest, manifest, read_files, sha256, sha256_of
from aggregator.audit.tables import tables
from aggregator.book import Book

ROWS_PER_GROUP = 65_536


class SnapshotExists(Exception):
    """A snapshot of this slot is there already, and it is another one; the message says which."""


def snapshot_id(slot_time: int) -> str:
    """Name a snapshot after the moment at which it was due: 20260131T000000Z."""
    return datetime.fromtimestamp(slot_time, UTC).strftime("%Y%m%dT%H%M%SZ")


def write_snapshot(root: Path, book: Book, *, slot_time: int, previous: str | None) -> tuple[Path, Manifest]:
    """Write a snapshot below `root` and return its folder and its manifest.

    `previous`: the hash of the manifest before this one. Written anew, the same snapshot stays as it is; another one in
    its place raises `SnapshotExists`.
    """
    root.mkdir(parents=True, exist_ok=True)
    target = root / snapshot_id(slot_time)
    partial = Path(tempfile.mkdtemp(dir=root, prefix=f".{target.name}-"))
    try:
        written = _write_files(partial, book, slot_time=slot_time, previous=previous)
        _settle(partial, target, written)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target, written


def verify(folder: Path, *, expected: str | None = None) -> list[str]:
    """Compare a snapshot with its manifest and return what differs, one sentence each; nothing: it is intact.

    `expected`: the hash that the manifest itself must have, as a ledger or another snapshot names it.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        files = read_files(raw.decode("utf-8"))
    except (OSError, ValueError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    found = sha256(raw)
    forged = [] if expected in {None, found} else [f"{MANIFEST} has the hash {found}, expected was {expected}"]
    present = {item.name for item in folder.iterdir()} - {MANIFEST}
    strange = [f"{name} is not in the manifest" for name in sorted(present - files.keys())]
    return [
        *forged,
        *(fault for name, entry in sorted(files.items()) for fault in _check(folder / name, entry)),
        *strange,
    ]


def manifest_hash(folder: Path) -> str:
    """Return the hash that names a snapshot."""
    return sha256((folder / MANIFEST).read_bytes())


def _write_files(folder: Path, book: Book, *, slot_time: int, previous: str | None) -> Manifest:
    files: dict[str, FileEntry] = {}
    for name, table in tables(book).items():
        path = folder / f"{name}.parquet"
        _write_parquet(table, path)
        files[path.name] = FileEntry(sha256=sha256_of(path), bytes=path.stat().st_size, rows=table.num_rows)
    written = manifest(
        slot_time=slot_time,
        cuts=book.cuts,
        catalogue=book.catalogue,
        condition=book.condition,
        files=files,
        previous=previous,
    )
    (folder / MANIFEST).write_text(written.text, encoding="utf-8")
    return written


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write with every choice fixed, so that equal tables are equal files."""
    pq.write_table(
        table,
        path,
        row_group_size=ROWS_PER_GROUP,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        store_schema=False,
    )


def _settle(partial: Path, target: Path, written: Manifest) -> None:
    """Give a complete folder its name in one step, and let it outlive a power cut."""
    if target.exists():
        held = manifest_hash(target) if (target / MANIFEST).exists() else "no manifest"
        if held != written.hash:
            raise SnapshotExists(f"{target} holds another snapshot ({held}, not {written.hash}); move it away first")
        return
    for path in (*partial.iterdir(), partial):
        _sync(path)
    partial.chmod(0o755)
    partial.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(path: Path, entry: FileEntry) -> list[str]:
    if not path.is_file():
        return [f"{path.name} is missing"]
    found = sha256_of(path)
    return [] if found == entry.sha256 else [f"{path.name} has the hash {found}, the manifest says {entry.sha256}"]
