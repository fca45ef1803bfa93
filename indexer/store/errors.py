"""What the store refuses, by what to do about it.

StoreError
├── StoreMissing   nothing at this path: index first
├── StoreLocked    another process owns the file: ask it, or stop it
├── StoreNewer     written by a newer program: upgrade this one
├── StoreOlder     written by an older program, opened for reading only: `crossmargin index` brings it up to date
├── StoreBroken    no DuckDB file, or not one of ours, or unreadable
├── StepRefused    the step does not fit what is stored; nothing was changed
├── ConfigRefused  the configuration contradicts what is stored; nothing was changed
├── QueryRefused   not one plain SELECT, or DuckDB cannot run it
└── QueryTimeout   the query took longer than it was given
"""

from __future__ import annotations


class StoreError(Exception):
    """Anything that the store may raise; the message says what, where and what to do."""


class StoreMissing(StoreError):
    """There is no file at the path, and it was opened for reading only."""


class StoreLocked(StoreError):
    """Another process, `pid` if known, has the file open."""

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreNewer(StoreError):
    """The schema of the file is newer than this program."""


class StoreOlder(StoreError):
    """The schema of the file is older than this program, and reading only cannot change it."""


class StoreBroken(StoreError):
    """The file is no store of this program, or cannot be read."""


class StepRefused(StoreError):
    """A step that does not fit the cursor, the finalised block or its own span."""


class ConfigRefused(StoreError):
    """A configuration under which what is stored would mean something else, or would be incomplete."""


class BlockUnknown(StoreError):
    """A block above the cursor, or one that the chain has left."""


class QueryRefused(StoreError):
    """A query that is not one plain SELECT, or that DuckDB cannot run."""


class QueryTimeout(StoreError):
    """A query that was stopped for taking too long."""
