"""One DuckDB file: raw rows, journals, their tips and the cursor, changed together or not at all."""

from indexer.store.api_keys import ApiKeyLedger, ApiKeyRow
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
from indexer.store.events import AccountEvent, EventPlace
from indexer.store.histories import FeedDay, HistoryLedger, ImportedDay, ImportedLiquidity
from indexer.store.ledger import Answer, SnapshotLedger, SnapshotRow
from indexer.store.liabilities import LiabilityDocument, LiabilityLedger, LiabilityRow
from indexer.store.memberships import CheckRow, EvidenceRow, MembershipLedger
from indexer.store.policies import PolicyLedger, PolicyRow, Withdrawal
from indexer.store.query import QueryResult, QueryTable
from indexer.store.reader import LakeRevaluationRow, LakeSetRow, Reader
from indexer.store.rebuild import Rebuild
from indexer.store.register import AssetRow, MemberRow, Registry
from indexer.store.restate import Restatement
from indexer.store.store import Store
from indexer.store.told import EventEnds, EventLedger, EventRow, Telling
from indexer.store.transfers import DELIVERED, PROVEN, SENT, STATES, TransferLedger, TransferRow

__all__ = [
    "DELIVERED",
    "MEMORY",
    "NOTHING_FINAL",
    "PROVEN",
    "SENT",
    "STATES",
    "AccountEvent",
    "Answer",
    "ApiKeyLedger",
    "ApiKeyRow",
    "AssetRow",
    "BlockUnknown",
    "CheckRow",
    "ConfigRefused",
    "Cursor",
    "EventEnds",
    "EventLedger",
    "EventPlace",
    "EventRow",
    "EvidenceRow",
    "FeedDay",
    "HistoryLedger",
    "ImportedDay",
    "ImportedLiquidity",
    "LakeRevaluationRow",
    "LakeSetRow",
    "LiabilityDocument",
    "LiabilityLedger",
    "LiabilityRow",
    "MemberRow",
    "MembershipLedger",
    "PolicyLedger",
    "PolicyRow",
    "QueryRefused",
    "QueryResult",
    "QueryTable",
    "QueryTimeout",
    "Reader",
    "Rebuild",
    "Registry",
    "Restatement",
    "SnapshotLedger",
    "SnapshotRow",
    "StepRefused",
    "Store",
    "StoreBroken",
    "StoreError",
    "StoreLocked",
    "StoreMissing",
    "StoreNewer",
    "StoreOlder",
    "Telling",
    "TransferLedger",
    "TransferRow",
    "Withdrawal",
]
