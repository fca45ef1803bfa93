"""The slots of a schedule in the ledger of snapshots: entered before they come, none forgotten, none twice.

A schedule counts from the moment at which it was set, which the ledger keeps; what its slots are follows from that alone, whatever the
clock did meanwhile and whoever was stopped in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from aggregator.audit.snapshot import snapshot_id
from crossmargin.schedule import Schedule
from indexer.store import SnapshotLedger, SnapshotRow

MANUAL = "manual"
MOST_PER_TICK = 20
OPEN_STATES = ("waiting", "failed")
CHANGED = "the schedule was changed"


def enter_slots(ledger: SnapshotLedger, schedule: Schedule, now: int) -> None:
    """Enter every slot up to now, some at a time, and the next one; slots of another schedule that are still to come are cancelled."""
    since = _since(ledger, schedule, now)
    held = {row.slot_time: row for row in ledger.rows() if row.schedule != MANUAL}
    slot_time, entered = _last(held.values(), schedule, since), 0
    while slot_time <= now and entered < MOST_PER_TICK:
        slot_time = schedule.after(slot_time)
        entered += _enter(ledger, held.get(slot_time), new_entry(schedule.text, slot_time, snapshot_id(slot_time)))
    for row in ledger.rows():
        if row.schedule not in {MANUAL, schedule.text} and row.state in OPEN_STATES and row.slot_time > since:
            ledger.update(replace(row, state="cancelled", detail=CHANGED))


def open_slots(rows: Sequence[SnapshotRow], now: int) -> list[SnapshotRow]:
    """Return the slots that came and have no snapshot, of whatever schedule, oldest first."""
    due = [row for row in rows if row.schedule != MANUAL and row.state in OPEN_STATES and row.slot_time <= now]
    return due[:MOST_PER_TICK]


def new_entry(schedule: str, slot_time: int, name: str) -> SnapshotRow:
    """Return the line of a slot that is still to be made."""
    return SnapshotRow(
        snapshot_id=name,
        schedule=schedule,
        slot_time=slot_time,
        state="waiting",
        cut="{}",
        path="",
        manifest_hash="",
        created_at=0,
        detail="",
    )


def _since(ledger: SnapshotLedger, schedule: Schedule, now: int) -> int:
    """Return from when on the schedule counts; one that is new counts from now on."""
    in_force = ledger.in_force()
    if in_force is not None and in_force[0] == schedule.text:
        return in_force[1]
    own = [row.slot_time for row in ledger.rows() if row.schedule == schedule.text]
    since = min(own) - 1 if in_force is None and own else now
    ledger.set_schedule(schedule.text, since)
    return since


def _last(held: Iterable[SnapshotRow], schedule: Schedule, since: int) -> int:
    """Return the last slot that was entered since then, or the moment itself."""
    own = [row.slot_time for row in held if row.schedule == schedule.text and row.state != "cancelled"]
    return max((slot_time for slot_time in own if slot_time > since), default=since)


def _enter(ledger: SnapshotLedger, held: SnapshotRow | None, entry: SnapshotRow) -> bool:
    """Enter a slot, or take it over from another schedule where nothing was made of it; returns whether the ledger changed."""
    if held is None:
        ledger.add(entry)
    elif held.state == "cancelled":
        ledger.update(entry)
    elif held.state in OPEN_STATES:
        ledger.update(replace(held, schedule=entry.schedule))
    else:
        return False
    return True
