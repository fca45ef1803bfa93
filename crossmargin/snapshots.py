"""Snapshots and their ledger: one for every slot of the schedule, none forgotten, each as of its slot.

A slot is entered before it comes (`waiting`), so that a service that was off when it came still finds it. Its snapshot is
made when every chain has gone past it, and is `done`, perhaps late; `failed` is tried again; `missed` is a slot before
anything was stored. For nodes that do not answer a slot waits a while; then the totals that they were asked for stay unanswered in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from aggregator.audit.snapshot import SnapshotExists, snapshot_id, write_snapshot
from aggregator.book import assess_book
from aggregator.gather import Catalogue, Condition
from aggregator.margin.inputs import Cut
from chains.errors import ChainError
from chains.identifiers import format_hash
from crossmargin.controls import Controls, doubting
from crossmargin.cuts import Scene
from crossmargin.documents import Document, moment
from crossmargin.schedule import Schedule, parse
from crossmargin.settings import SnapshotSettings
from crossmargin.watch import Clock, Watch
from indexer.store import Reader, Store, StoreError
from indexer.store.ledger import SnapshotRow

MANUAL = "manual"
LATE_S = 300
MOST_PER_TICK = 20
OPEN_STATES = ("waiting", "failed")


SceneAt = Callable[[int], AbstractContextManager[Scene]]
"""Opens the store at a Unix time."""


class Snapshots:
    """Makes snapshots and keeps the ledger."""

    def __init__(self, settings: SnapshotSettings, store: Store, clock: Clock, controls: Controls) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._controls = controls

    def listing(self) -> Document:
        """Return the ledger, newest slot first."""
        with self._store.reading() as reader:
            restated = reader.restated_snapshots()
            lines = [self._line(row) for row in reversed(reader.snapshots())]
        return {"snapshots": [{**line, "restated": line["snapshot"] in restated} for line in lines]}

    def create(self, reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue, condition: Condition) -> Document:
        """Make a snapshot on request, as of the newest block of the cut; made again, it is the same one."""
        slot_time = max(cut.block.time for cut in cuts.values())
        row = self._entry(MANUAL, slot_time, f"{snapshot_id(slot_time)}-{MANUAL}")
        done = self._written(row, reader, cuts, catalogue, condition)
        held = {held.snapshot_id: held for held in self._store.snapshots()}
        if row.snapshot_id not in held:
            self._store.add_snapshot(done)
        return self._line(held.get(row.snapshot_id, done))

    def make_due(self, scene_at: SceneAt, catalogue: Catalogue, watch: Watch | None) -> None:
        """Make what is due, oldest first, and enter the slots that come; raises the last failure."""
        if self._settings.schedule is None:
            return
        schedule = parse(self._settings.schedule)
        self._enter_slots(schedule)
        due = [row for row in self._store.snapshots(schedule.text) if row.state in OPEN_STATES]
        now = self._clock()
        for row in [row for row in due if row.slot_time <= now][:MOST_PER_TICK]:
            self._make(row, scene_at, catalogue, watch)

    def _make(self, row: SnapshotRow, scene_at: SceneAt, catalogue: Catalogue, watch: Watch | None) -> None:
        try:
            with scene_at(row.slot_time) as scene:
                if not self._reached(scene.reader, row.slot_time, catalogue, watch):
                    return
                if not scene.cuts:
                    self._store.update_snapshot(replace(row, state="missed", detail="nothing was stored at that time"))
                    return
                done = self._written(row, scene.reader, scene.cuts, catalogue, scene.condition)
        except (ChainError, OSError, SnapshotExists, StoreError) as error:
            self._store.update_snapshot(replace(row, state="failed", detail=str(error)))
            raise
        self._store.update_snapshot(done)

    def _reached(self, reader: Reader, slot_time: int, catalogue: Catalogue, watch: Watch | None) -> bool:
        """Whether no block at or before a time can still come: every chain is past it, or at a head seen after it."""
        chains = {venue.chain_id for venue in catalogue.venues}
        cursors = {chain_id: reader.cursor(chain_id) for chain_id in chains}
        return all(
            (cursor is not None and cursor.block.time >= slot_time)
            or (watch is not None and watch.at_head_after(chain_id, slot_time, cursor.block if cursor else None))
            for chain_id, cursor in cursors.items()
        )

    def _enter_slots(self, schedule: Schedule) -> None:
        """Enter every slot up to now and the next one; a schedule begins with the first slot after it was set."""
        for row in self._store.snapshots():
            if row.schedule not in {MANUAL, schedule.text} and row.state in OPEN_STATES:
                self._store.update_snapshot(replace(row, state="cancelled", detail="the schedule was changed"))
        rows = self._store.snapshots(schedule.text)
        now = int(self._clock())
        last = max((row.slot_time for row in rows), default=None)
        for slot_time in _slots(schedule, last, now):
            self._store.add_snapshot(self._entry(schedule.text, slot_time, snapshot_id(slot_time)))

    def _written(
        self,
        row: SnapshotRow,
        reader: Reader,
        cuts: Mapping[str, Cut],
        catalogue: Catalogue,
        condition: Condition,
    ) -> SnapshotRow:
        insist = row.schedule != MANUAL and self._clock() < row.slot_time + LATE_S
        weighed = self._controls.weigh(reader, cuts, catalogue.venues, insist=insist)
        condition = doubting(condition, weighed, reader, cuts)
        book = assess_book(reader, cuts, catalogue, condition)
        book = replace(book, controls={each.venue.id: each.found for each in weighed})
        previous = _previous(reader.snapshots(), row.slot_time)
        folder, manifest = write_snapshot(self._settings.folder, book, slot_time=row.slot_time, previous=previous)
        return replace(
            row,
            state="done",
            cut=json.dumps({chain_id: _place(chain_id, cut) for chain_id, cut in cuts.items()}),
            path=str(folder),
            manifest_hash=manifest.hash,
            created_at=int(self._clock()),
            detail="",
        )

    def _entry(self, schedule: str, slot_time: int, name: str) -> SnapshotRow:
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

    def _line(self, row: SnapshotRow) -> dict[str, Any]:
        return {
            "snapshot": row.snapshot_id,
            "schedule": row.schedule,
            "slot_time": moment(row.slot_time),
            "state": self._state(row),
            "created_at": moment(row.created_at) if row.created_at else None,
            "late_seconds": self._late(row),
            "cut": json.loads(row.cut),
            "path": row.path or None,
            "manifest_hash": row.manifest_hash or None,
            "detail": row.detail or None,
        }

    def _state(self, row: SnapshotRow) -> str:
        if row.state == "waiting" and row.slot_time + LATE_S < self._clock():
            return "overdue"
        return "late" if row.state == "done" and self._late(row) else row.state

    def _late(self, row: SnapshotRow) -> int:
        """Seconds after its slot, of a scheduled one; 0 within a grace that finality and a tick may take."""
        if row.schedule == MANUAL or row.state not in {"done", *OPEN_STATES}:
            return 0
        made = row.created_at or int(self._clock())
        late = made - row.slot_time
        return late if late > LATE_S else 0


def _slots(schedule: Schedule, last: int | None, now: int) -> Iterator[int]:
    """The slots to enter: those after the last one up to now, some at a time, and then the next one."""
    if last is None:
        yield schedule.after(now)
        return
    slot = last
    for _ in range(MOST_PER_TICK):
        if slot > now:
            return
        slot = schedule.after(slot)
        yield slot


def _previous(rows: Sequence[SnapshotRow], slot_time: int) -> str | None:
    """The hash of the last snapshot before a slot."""
    before = [row for row in rows if row.manifest_hash and row.slot_time < slot_time]
    return max(before, key=lambda row: row.slot_time).manifest_hash if before else None


def _place(chain_id: str, cut: Cut) -> dict[str, Any]:
    return {
        "block": cut.block.number,
        "hash": format_hash(chain_id, cut.block.hash),
        "time": moment(cut.block.time),
        "finality": cut.finality.value,
    }
