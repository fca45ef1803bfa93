"""Answers that were given, with what they were computed from, and the ledger of snapshots."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from indexer.store.errors import StoreError
from indexer.store.session import Con


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


COLUMNS = ", ".join(column.name for column in fields(SnapshotRow))
VALUES = ", ".join("?" for _ in fields(SnapshotRow))


def save_input(con: Con, digest: str, account_id: str, document: str) -> None:
    """Keep a document under its digest, once."""
    con.execute(
        "INSERT INTO health_input SELECT $digest, $account_id, $document "
        "WHERE NOT EXISTS (SELECT 1 FROM health_input WHERE digest = $digest)",
        {"digest": digest, "account_id": account_id, "document": document},
    )


def load_input(con: Con, digest: str) -> str | None:
    """The document of a digest, if it was kept."""
    found = con.execute("SELECT document FROM health_input WHERE digest = $digest", {"digest": digest}).fetchall()
    return found[0][0] if found else None


def add_snapshot(con: Con, row: SnapshotRow) -> None:
    """Enter a snapshot; a schedule has one for every slot."""
    if any(held.snapshot_id == row.snapshot_id for held in snapshots(con)):
        raise StoreError(f"snapshot {row.snapshot_id} is in the ledger already; choose another id")
    if any(held.slot_time == row.slot_time for held in snapshots(con, row.schedule)):
        raise StoreError(f"the slot {row.slot_time} of schedule {row.schedule} is in the ledger already; update it")
    con.execute(f"INSERT INTO snapshot ({COLUMNS}) VALUES ({VALUES})", list(astuple(row)))


def update_snapshot(con: Con, row: SnapshotRow) -> None:
    """Replace the line of a snapshot."""
    if not any(held.snapshot_id == row.snapshot_id for held in snapshots(con)):
        raise StoreError(f"snapshot {row.snapshot_id} is not in the ledger")
    con.execute("DELETE FROM snapshot WHERE snapshot_id = $id", {"id": row.snapshot_id})
    con.execute(f"INSERT INTO snapshot ({COLUMNS}) VALUES ({VALUES})", list(astuple(row)))


def snapshots(con: Con, schedule: str | None = None) -> list[SnapshotRow]:
    """The ledger in slot order, of one schedule or of all."""
    found = con.execute(f"SELECT {COLUMNS} FROM snapshot ORDER BY slot_time, snapshot_id").fetchall()
    rows = [SnapshotRow(**dict(zip(COLUMNS.split(", "), row, strict=True))) for row in found]
    return [row for row in rows if schedule in (None, row.schedule)]
