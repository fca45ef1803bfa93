"""Answers that were given, with what they were computed from, and the ledger of snapshots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import pyarrow as pa

from indexer.store.errors import StoreError
from indexer.store.session import Con, insert, staged
from indexer.store.statements import statement

INPUTS_KEPT = 20_000
"""How many answers can be computed again; some 13 kB each."""

PRUNED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """One line of the ledger: `slot_time` is when the snapshot was due, `created_at` when it was made (Unix seconds).

    `sequence`: its number in the chain of all that were made; 0: not made, or before there was a chain.
    """

    snapshot_id: str
    schedule: str
    slot_time: int
    state: str
    cut: str
    path: str
    manifest_hash: str
    created_at: int
    detail: str
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A health document (JSON text) as it was given about an account at `served_at` (Unix seconds), of the inputs `digest`."""

    account_id: str
    served_at: int
    digest: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was kept at once: documents under their digests (digest → account and text), and answers."""

    inputs: Mapping[str, tuple[str, str]]
    answers: Sequence[Answer]


class SnapshotLedger:
    """The ledger of snapshots within a transaction: what is asked and what is entered are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def rows(self) -> list[SnapshotRow]:
        """Return every line, in slot order."""
        return snapshots(self._con)

    def in_force(self) -> tuple[str, int] | None:
        """Return the schedule that was set last, and the moment from which it counts (Unix seconds)."""
        found = self._con.execute(statement("schedules")).fetchall()
        return found[-1] if found else None

    def set_schedule(self, schedule: str, since: int) -> None:
        """Let a schedule count from a moment on."""
        number = len(self._con.execute(statement("schedules")).fetchall()) + 1
        insert(self._con, "snapshot_schedule", (number, schedule, since))

    def add(self, row: SnapshotRow) -> None:
        """Enter a snapshot; raises `StoreError`, see `add_snapshot`."""
        add_snapshot(self._con, row)

    def update(self, row: SnapshotRow) -> None:
        """Replace the line of a snapshot; raises `StoreError`, see `update_snapshot`."""
        update_snapshot(self._con, row)

    def keep(self, snapshot_id: str, folder: Path) -> None:
        """Let the public views say what a made snapshot says, see `keep_snapshot`."""
        keep_snapshot(self._con, snapshot_id, folder)


def save_answers(con: Con, answers: Sequence[Answer]) -> None:
    """Keep what was answered, each where it is not the last answer about its account again; of more than `INPUTS_KEPT` the oldest go."""
    with staged(con, pa.Table.from_pylist([asdict(answer) for answer in answers])):
        con.execute(statement("answers_save"))
    ((held,),) = con.execute("SELECT count(*) FROM health_answer").fetchall()
    if held > INPUTS_KEPT + PRUNED_AT_ONCE:
        con.execute(statement("answer_prune"), {"kept": INPUTS_KEPT})


def save_sent(con: Con, sent: Sequence[Sent]) -> None:
    """Keep what was sent, in its order; what is kept already changes nothing."""
    inputs = {digest: document for each in sent for digest, document in each.inputs.items()}
    if inputs:
        save_inputs(con, inputs)
    staged_once: dict[str, Answer] = {}
    for answer in (answer for each in sent for answer in each.answers):
        if answer.account_id in staged_once:
            save_answers(con, list(staged_once.values()))
            staged_once = {}
        staged_once[answer.account_id] = answer
    if staged_once:
        save_answers(con, list(staged_once.values()))


def answer_known(con: Con, account_id: str, until: int) -> Answer | None:
    """Return the last answer about an account up to a moment (Unix seconds), `None` where none is kept."""
    found = con.execute(statement("answer_last"), {"account_id": account_id, "until": until}).fetchall()
    if not found:
        return None
    served_at, digest, document = found[0]
    return Answer(account_id=account_id, served_at=served_at, digest=digest, document=document)


def save_inputs(con: Con, inputs: Mapping[str, tuple[str, str]]) -> None:
    """Keep documents (digest → account and text) under their digests, once; of more than `INPUTS_KEPT` the oldest make room."""
    accounts, documents = zip(*inputs.values(), strict=True)
    with staged(con, pa.table({"digest": list(inputs), "account_id": list(accounts), "document": list(documents)})):
        con.execute(statement("inputs_save"))
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


def keep_snapshot(con: Con, snapshot_id: str, folder: Path) -> None:
    """Let the public views say what a made snapshot says: its marks, and its units where it is the newest."""
    marks, units = (str((folder / name).resolve()) for name in ("marks.parquet", "units.parquet"))
    con.execute("DELETE FROM snapshot_mark WHERE snapshot_id = $id", {"id": snapshot_id})
    con.execute(statement("snapshot_marks"), {"snapshot_id": snapshot_id, "path": marks})
    if con.execute(statement("snapshot_newest")).fetchall() == [(snapshot_id,)]:
        con.execute("DELETE FROM snapshot_unit")
        con.execute(statement("snapshot_units"), {"snapshot_id": snapshot_id, "path": units})
