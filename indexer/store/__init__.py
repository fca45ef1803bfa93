"""One DuckDB file: raw rows, journals, their tips and the cursor, changed together or not at all."""

from indexer.store.apply import NOTHING_FINAL, Cursor
from indexer.store.connection import MEMORY
from indexer.store.errors import (
    ConfigRefused,
    QueryRefused,
    QueryTimeout,
    StepRefused,
    StoreBroken,
    StoreError,
    StoreLocked,
    StoreMissing,
    StoreNewer,
    StoreOlder,
)
from indexer.store.reader import Reader
from indexer.store.store import Store

__all__ = [
    "MEMORY",
    "NOTHING_FINAL",
    "ConfigRefused",
    "Cursor",
    "QueryRefused",
    "QueryTimeout",
    "Reader",
    "StepRefused",
    "Store",
    "StoreBroken",
    "StoreError",
    "StoreLocked",
    "StoreMissing",
    "StoreNewer",
    "StoreOlder",
]
