"""Answers about snapshots: the ledger, what is in one, proofs, differences and checks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aggregator.margin.document import AsOf, PolicyView
from aggregator.margin.permits_document import ReasonView
from crossmargin.server.answers.controls import Rows
from crossmargin.server.answers.model import Answer


class SnapshotMade(Answer):
    """A slot of the ledger; `null` where nothing was made."""

    snapshot: str
    schedule: str
    slot_time: str
    state: str
    created_at: str | None
    late_seconds: int | None
    cut: dict[str, AsOf]
    path: str | None
    manifest_hash: str | None
    sequence: int | None
    detail: str | None


class SnapshotLine(SnapshotMade):
    """The same, and whether what it rests on was restated later."""

    restated: bool


class SnapshotList(Answer):
    """The ledger of snapshots, newest first."""

    snapshots: list[SnapshotLine]


class CutPlace(AsOf):
    """A block of a cut, with the hash of the one before."""

    parent: str


class FileFacts(Answer):
    """Size and hash of a file."""

    bytes: int
    sha256: str


class TableFacts(Answer):
    """What rows of a table have, and which columns tell them apart."""

    columns: list[str]
    key: list[str]
    rows: int


class SumNode(Answer):
    """A node of the Merkle-sum tree: its hash, and sums in raw units by asset and side."""

    hash: str
    sums: dict[str, str]


class RiskFacts(Answer):
    """The histories behind the estimates, and the regime that they made."""

    digest: str | None
    regime: str
    regime_reasons: list[str]


class ManifestContent(Answer):
    """A manifest as it is hashed and signed."""

    format: str
    slot_time: str
    methodology_version: str
    cut: dict[str, CutPlace]
    config_digest: str
    membership: dict[str, Any]
    """Of each account, what its wallets signed."""
    policy: PolicyView
    risk: RiskFacts
    stale_chains: list[ReasonView]
    gaps: list[ReasonView]
    skew_s: dict[str, int]
    files: dict[str, FileFacts]
    tables: dict[str, TableFacts]
    tree: SumNode
    sequence: int
    previous: str | None


class ManifestAnswer(Answer):
    """What a snapshot says of itself, and the hash that names it."""

    snapshot: str
    manifest_hash: str
    manifest: ManifestContent


class ProofStep(SumNode):
    """The node beside the way to the root, and on which side."""

    side: str


class UnitProof(Answer):
    """A unit and its positions as canonical JSON, and the way to the root."""

    unit: str
    positions: list[str]
    path: list[ProofStep]


class ProofAnswer(Answer):
    """The proof that an account is in a snapshot, as `verify.py --proof` takes it."""

    snapshot: str
    manifest_hash: str
    tree: SumNode
    account: dict[str, Any]
    """Its row of the table `accounts`."""
    units: list[UnitProof]


class SnapshotNamed(Answer):
    """Which snapshot."""

    snapshot: str
    slot_time: str
    manifest_hash: str
    sequence: int
    methodology_version: str


class CutMove(Answer):
    """Blocks of a chain in both."""

    chain: str
    before: CutPlace | None = Field(alias="from")
    after: CutPlace | None = Field(alias="to")


class SumMove(Answer):
    """A sum in both, raw units."""

    of: str
    side: str | None
    before: str = Field(alias="from")
    after: str = Field(alias="to")
    change: str


class Exceptions(Answer):
    """Doubts that came and went."""

    added: list[ReasonView]
    removed: list[ReasonView]


class PolicyMove(Answer):
    """Policies of both."""

    before: PolicyView = Field(alias="from")
    after: PolicyView = Field(alias="to")


class RowMove(Answer):
    """A row that was added, removed or changed; of each column what it was and is."""

    what: str
    key: dict[str, Any]
    columns: dict[str, list[Any]]


class TableMoves(Answer):
    """How rows of a table differ; `comparable`: both have it; `left_out`: so many are not told."""

    added: int
    removed: int
    changed: int
    differing: int
    rows: list[RowMove]
    left_out: int
    comparable: bool


class DifferenceAnswer(Answer):
    """What became otherwise from one snapshot to another, and why."""

    before: SnapshotNamed = Field(alias="from")
    after: SnapshotNamed = Field(alias="to")
    causes: list[ReasonView]
    cut: list[CutMove]
    sums: list[SumMove]
    exceptions: Exceptions
    policy: PolicyMove | None
    tables: dict[str, TableMoves]
    same: bool
    ledger_asked: bool


class VerifiedAnswer(Answer):
    """What a check of a snapshot found; `intact`: no faults."""

    snapshot: str
    manifest_hash: str | None
    faults: list[str]
    notes: list[str]
    recomputed: bool
    intact: bool


class PastRows(Rows):
    """Rows out of a snapshot, and the hash that names it."""

    snapshot: str
    manifest_hash: str
