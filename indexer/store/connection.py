"""Opening the DuckDB file: its settings, and what its refusals mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from indexer.store.errors import StoreBroken, StoreError, StoreLocked, StoreMissing

MEMORY = ":memory:"
"""The path of a store without a file."""

# Built-in functions only, nothing from the network, no Python variable read by its name. The write-ahead log may grow to this
# size before a checkpoint: checkpoints dominate ingest, and replaying the log is what a killed process costs at the next start.
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "checkpoint_threshold": "256MB",
    "python_enable_replacements": False,
}

LOCK_HELD = re.compile(r"Conflicting lock is held.*?\(PID (\d+)\)", re.DOTALL)
OTHER_SETTINGS = ("different configuration", "configuration has been locked")


def connect(
    path: Path | str, *, read_only: bool, allowed: Sequence[Path], memory: str | None
) -> duckdb.DuckDBPyConnection:
    """Open the file with access to itself and the `allowed` folders only; raises `StoreError`.

    `memory`: how much DuckDB may hold in buffers, such as 192MB; without it, most of what the machine has.
    """
    prepare(path, read_only=read_only)
    try:
        config = SETTINGS if memory is None else {**SETTINGS, "memory_limit": memory}
        con = duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        raise refusal(path, error) from error
    try:
        con.execute("SET allowed_directories = $folders", {"folders": [str(folder.resolve()) for folder in allowed]})
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        con.close()
        raise refusal(path, error) from error
    return con


def prepare(path: Path | str, *, read_only: bool) -> None:
    """Make the folder of a new file, or say that there is nothing to read."""
    if str(path) == MEMORY:
        return
    if read_only and not Path(path).exists():
        raise StoreMissing(f"{path}: there is no store here; index something first, or check [store] path")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreBroken(f"{path}: its folder cannot be made ({error.strerror}); check [store] path") from error


def is_new(path: Path | str) -> bool:
    """Whether a file would be made by opening it."""
    return str(path) != MEMORY and not Path(path).exists()


@contextmanager
def made(path: Path | str) -> Iterator[Path]:
    """Let a file be written under another name, which is given; it appears at `path` when the context ends well, and only whole."""
    prepare(path, read_only=False)
    place = Path(path)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    forget(unfinished)
    try:
        yield unfinished
        if not place.exists():
            unfinished.rename(place)
    except (OSError, duckdb.Error) as error:
        raise StoreBroken(f"{path}: cannot be made ({first_line(error)}); check [store] path") from error
    finally:
        forget(unfinished)


def written(path: Path, content: bytes) -> None:
    """Write a file, and have it on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def forget(unfinished: Path) -> None:
    """Remove a file that was not finished, and its log: in a container, the next process has the same id."""
    for path in (unfinished, unfinished.with_name(f"{unfinished.name}.wal")):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def refusal(path: Path | str, error: duckdb.Error) -> StoreError:
    """What DuckDB's own error at opening means here."""
    text = str(error)
    if held := LOCK_HELD.search(text):
        pid = int(held.group(1))
        return StoreLocked(f"{path}: process {pid} has this store open; ask that process, or stop it first", pid=pid)
    if any(words in text for words in OTHER_SETTINGS):
        return StoreLocked(f"{path}: this process has this store open already; use that one")
    if "Could not set lock" in text:
        return StoreLocked(f"{path}: another process has this store open; stop it first")
    return StoreBroken(
        f"{path}: cannot be opened as a store ({first_line(error)}); restore a backup or name another file"
    )


def first_line(error: Exception) -> str:
    """The first line of an error's text: DuckDB adds hints and a drawing of the query below it."""
    return str(error).partition("\n")[0]
