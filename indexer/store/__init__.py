"""One DuckDB file: raw rows, journals, their tips and the cursor, changed together or not at all."""

from indexer.store.apply import NOTHING_FINAL, Cursor
from indexer.store.connection import MEMORY
from indexer.store.errors import (
    BlockUnknown,
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
from indexer.store.ledger import SnapshotRow
from indexer.store.liabilities import LiabilityDocument, LiabilityLedger, LiabilityRow
from indexer.store.query import QueryResult
from indexer.store.reader import Reader
from indexer.store.rebuild import Rebuild
from indexer.store.register import AssetRow, MemberRow, Registry
from indexer.store.restate import Restatement
from indexer.store.store import Store

__all__ = [
    "MEMORY",
    "NOTHING_FINAL",
    "AssetRow",
    "BlockUnknown",
    "ConfigRefused",
    "Cursor",
    "LiabilityDocument",
    "LiabilityLedger",
    "LiabilityRow",
    "MemberRow",
    "QueryRefused",
    "QueryResult",
    "QueryTimeout",
    "Reader",
    "Rebuild",
    "Registry",
    "Restatement",
    "SnapshotRow",
    "StepRefused",
    "Store",
    "StoreBroken",
    "StoreError",
    "StoreLocked",
    "StoreMissing",
    "StoreNewer",
    "StoreOlder",
]
