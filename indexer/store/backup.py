"""Copies of a whole store: made while it is open, and put in its place again.

A backup is a folder with `store.duckdb` and `backup.json`, which names the file's hash, the rows of every table and the newest block of
every chain. It appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import duckdb

from chains.identifiers import format_hash
from indexer.store.connection import SETTINGS, first_line, forget, is_new
from indexer.store.errors import StoreBroken, StoreError
from indexer.store.migrate import applied
from indexer.store.session import Con, transaction
from indexer.store.statements import statement

FILE = "store.duckdb"
PAPER = "backup.json"
FORMAT = 1
COPY = "backup_copy"
"""The name of the copy while it is attached."""

DRAFTED = frozenset({FILE, f"{FILE}.wal", PAPER})


class BackupBroken(StoreBroken):
    """A folder that is no backup, or not the one that it says it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup says of itself. `made_at`: Unix seconds; `schema`: the newest migration; `tables`: rows by schema.table;
    `chains`: the newest block of each as {number, hash (as the chain writes it), finalized}.
    """

    format: int = FORMAT
    made_at: int
    schema: int
    tables: Mapping[str, int]
    chains: Mapping[str, Any]
    bytes: int
    sha256: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the paper of a folder; raises `BackupBroken`."""
        path = folder / PAPER
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            found = cls(**{**said, "made_at": int(said["made_at"]), "tables": dict(said["tables"])})
        except FileNotFoundError as error:
            raise BackupBroken(f"{folder}: is no backup, for it has no {PAPER}") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BackupBroken(f"{path}: is not the paper of a backup ({first_line(error)})") from error
        if found.format != FORMAT:
            raise BackupBroken(f"{path}: is of format {found.format}, this program knows {FORMAT}; upgrade the program")
        return found


def back_up(con: Con, source: str, folder: Path, made_at: int) -> Backup:
    """Copy all that one transaction sees into a new folder; writers go on meanwhile. Raises `StoreError`, and then leaves nothing.

    `con` is a connection of its own, `folder` within what the store may write to, `source` the store's path for messages.
    """
    if folder.exists():
        raise StoreError(f"{folder}: is there already; name another folder for the backup")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    remove_drafts(folder.parent)
    try:
        _emptied(draft)
        with _attached(con, draft / FILE, source):
            tables, chains = _copied(con, source)
            con.execute(f"CHECKPOINT {COPY}")
        made = Backup(
            made_at=made_at,
            schema=max(applied(con, source)),
            tables=tables,
            chains=chains,
            bytes=(draft / FILE).stat().st_size,
            sha256=digest(draft / FILE),
        )
        _written(draft / PAPER, json.dumps(asdict(made), indent=2, sort_keys=True) + "\n")
        _kept(draft / FILE)
        draft.rename(folder)
        _kept(folder.parent)
    except (OSError, duckdb.Error) as error:
        raise StoreError(
            f"{folder}: the backup could not be made ({first_line(error)}); nothing is left of it"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def verify(folder: Path) -> Backup:
    """Check that a backup is what its paper says: the file's hash, and the rows of every table; raises `BackupBroken`."""
    said = Backup.read(folder)
    file = folder / FILE
    if not file.is_file():
        raise BackupBroken(f"{folder}: its {FILE} is missing")
    if (size := file.stat().st_size) != said.bytes or digest(file) != said.sha256:
        raise BackupBroken(
            f"{file}: is not the file that {PAPER} names ({size} bytes, {said.bytes} expected); use another backup"
        )
    try:
        with duckdb.connect(str(file), read_only=True, config=SETTINGS) as con:
            found = _rows(con, con.execute("SELECT current_database()").fetchall()[0][0])
    except duckdb.Error as error:
        raise BackupBroken(f"{file}: cannot be opened ({first_line(error)}); use another backup") from error
    if found != dict(said.tables):
        wrong = sorted(name for name in found.keys() | said.tables.keys() if found.get(name) != said.tables.get(name))
        raise BackupBroken(f"{file}: has other rows than {PAPER} names in {', '.join(wrong)}; use another backup")
    return said


def restore(folder: Path, store: Path) -> Backup:
    """Put a backup in a store's place, where there is none; checked before and after. Raises `BackupBroken`, `StoreError`."""
    said = verify(folder)
    if not is_new(store):
        raise StoreError(f"{store}: there is a store here; move it away first, or name another one in [store] path")
    _no_log(store)
    draft = store.with_name(f".{store.name}.{os.getpid()}")
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / FILE, draft)
        if digest(draft) != said.sha256:
            raise BackupBroken(f"{folder}: changed while it was read; try again")
        _kept(draft)
        _placed(draft, store)
    except OSError as error:
        raise StoreError(
            f"{store}: the backup could not be put here ({error.strerror}); nothing was changed"
        ) from error
    finally:
        forget(draft)
    return said


def thin_out(folder: Path, keep: int, *, newest: str) -> list[Path]:
    """Remove all but `keep` backups of a folder, and return which: `newest`, whatever its time, and the youngest others.

    What is no backup stays. A backup loses its name before its files, so that none that is kept can be half there. Raises `StoreError`.
    """
    made: list[tuple[int, Path]] = []
    for each in folder.iterdir():
        with suppress(BackupBroken):
            if each.is_dir() and not each.is_symlink() and not each.name.startswith(".") and each.name != newest:
                made.append((Backup.read(each).made_at, each))
    old = [each for _, each in sorted(made)[: max(0, len(made) - keep + 1)]]
    for each in old:
        gone = each.with_name(f".{each.name}.{os.getpid()}")
        try:
            each.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise StoreError(
                f"{each}: an old backup could not be removed ({error.strerror}); the new one is whole"
            ) from error
    return old


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes left of backups in a folder.

    It is under the name of a process that is no more, and holds a backup's files and no other.
    """
    for path in folder.glob(".*.*") if folder.is_dir() else ():
        _, _, pid = path.name.rpartition(".")
        if not pid.isdigit() or not path.is_dir() or path.is_symlink() or _runs(int(pid)):
            continue
        if all(each.is_file() and each.name in DRAFTED for each in path.iterdir()):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    """Whether there is such a process; one that is somebody else's counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _attached(con: Con, path: Path, source: str) -> Iterator[None]:
    try:
        con.execute(f"ATTACH '{str(path).replace(chr(39), 2 * chr(39))}' AS {COPY}")
    except duckdb.Error as error:
        raise StoreError(f"{source}: cannot write a backup to {path.parent} ({first_line(error)})") from error
    try:
        yield
    finally:
        with suppress(duckdb.Error):
            con.execute(f"DETACH {COPY}")


def _copied(con: Con, source: str) -> tuple[dict[str, int], dict[str, Any]]:
    with transaction(con, what=f"{source}: cannot be backed up"):
        (name,) = con.execute("SELECT current_database()").fetchall()[0]
        con.execute(f'COPY FROM DATABASE "{name}" TO {COPY}')
        tables, copied = _rows(con, name), _rows(con, COPY)
        if tables != copied:
            raise StoreError(f"{source}: the copy has other rows than the store; try again, and look after the disk")
        heads = con.execute(statement("heads")).fetchall()
    chains = {
        chain: {"number": number, "hash": format_hash(chain, hashed), "finalized": final}
        for chain, number, hashed, final in heads
    }
    return tables, chains


def _rows(con: Con, database: str) -> dict[str, int]:
    """Count every table of a database."""
    names = con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $database AND NOT internal ORDER BY ALL",
        {"database": database},
    ).fetchall()
    return {
        f"{schema}.{table}": con.execute(
            statement("count_table", database=database, schema=schema, table=table)
        ).fetchall()[0][0]
        for schema, table in names
    }


def _emptied(draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)


def _written(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _kept(path)


def _kept(path: Path) -> None:
    """Wait until the disk has it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_log(store: Path) -> None:
    """Refuse where the log of another store is left: DuckDB would not open the restored file beside it."""
    log = store.with_name(f"{store.name}.wal")
    if log.exists():
        raise StoreError(
            f"{log}: is the log of the store that was here; move it to where that store is, then restore again"
        )


def _placed(draft: Path, store: Path) -> None:
    """Give a file its name, unless somebody else took it meanwhile."""
    if not is_new(store):
        raise StoreError(f"{store}: a store was made here meanwhile; nothing was changed")
    _no_log(store)
    draft.rename(store)
    _kept(store.parent)
