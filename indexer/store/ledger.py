"""Answers that were given, with what they were computed from, and the ledger of snapshots."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from indexer.store.errors import StoreError
from indexer.store.session import Con, insert
from indexer.store.statements import statement

INPUTS_KEPT = 20_000
"""How many answers can be computed again; some 13 kB each."""

PRUNED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """One line of the ledger: `slot_time` is when the snapshot was due, `created_at` when it was made (Unix seconds)."""

    snapshot_id: str
    schedule: str
    slot_time: int
    state: str
    cut: str
    path: str
    manifest_hash: str
    created_at: int
    detail: str


def save_input(con: Con, digest: str, account_id: str, document: str) -> None:
    """Keep a document under its digest, once; of more than `INPUTS_KEPT` the oldest make room."""
    con.execute(statement("input_save"), {"digest": digest, "account_id": account_id, "document": document})
    ((held,),) = con.execute("SELECT count(*) FROM health_input").fetchall()
    if held > INPUTS_KEPT + PRUNED_AT_ONCE:
        con.execute(statement("input_prune"), {"kept": INPUTS_KEPT})


def load_input(con: Con, digest: str) -> str | None:
    """The document of a digest, if it was kept."""
    found = con.execute("SELECT document FROM health_input WHERE digest = $digest", {"digest": digest}).fetchall()
    return found[0][0] if found else None


def add_snapshot(con: Con, row: SnapshotRow) -> None:
    """Enter a snapshot; raises `StoreError` for an id, or a slot of a schedule, that is there already."""
    for held in snapshots(con):
        if held.snapshot_id == row.snapshot_id:
            raise StoreError(f"snapshot {row.snapshot_id} is in the ledger already; choose another id")
        if (held.schedule, held.slot_time) == (row.schedule, row.slot_time):
            raise StoreError(f"slot {row.slot_time} of schedule {row.schedule} is in the ledger already; update it")
    insert(con, "snapshot", astuple(row))


def update_snapshot(con: Con, row: SnapshotRow) -> None:
    """Replace the line of a snapshot; raises `StoreError` if there is none."""
    if not any(held.snapshot_id == row.snapshot_id for held in snapshots(con)):
        raise StoreError(f"snapshot {row.snapshot_id} is not in the ledger; add it first")
    con.execute("DELETE FROM snapshot WHERE snapshot_id = $id", {"id": row.snapshot_id})
    insert(con, "snapshot", astuple(row))


def snapshots(con: Con, schedule: str | None = None) -> list[SnapshotRow]:
    """The ledger in slot order, of one schedule or of all."""
    names = [column.name for column in fields(SnapshotRow)]
    found = con.execute(statement("snapshots")).fetchall()
    rows = [SnapshotRow(**dict(zip(names, row, strict=True))) for row in found]
    return [row for row in rows if schedule in (None, row.schedule)]
