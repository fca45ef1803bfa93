"""Snapshots and their ledger: one for every slot of the schedule, none forgotten, each as of its slot.

A slot is entered before it comes (`waiting`), so that a service that was off when it came still finds it. Its snapshot is made when
every chain has gone past it and what it is of is final, and is `done`, perhaps late; `failed` is tried again; `missed` is a slot
before anything was stored. For nodes that do not answer a slot waits a while; then the totals that they were asked for stay unanswered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aggregator.audit.manifest import Link
from aggregator.audit.members import Signed
from aggregator.audit.parts import written_down
from aggregator.audit.sightings import Sighting
from aggregator.audit.snapshot import SnapshotExists, snapshot_id, write_snapshot
from aggregator.book import Book, BookInputs, book_inputs, context_of
from aggregator.gather import Catalogue, UnitKey
from aggregator.in_flight import on_the_way
from aggregator.margin.inputs import Cut
from aggregator.membership.proof import Scheme
from aggregator.told import Told, untold
from chains.errors import ChainError
from chains.identifiers import SOLANA, Account, format_hash, namespace_of
from chains.model import AccountBytes
from chains.proving import sampled
from chains.registry import is_observed
from crossmargin.controls import Controls, doubting
from crossmargin.coverage import level_of
from crossmargin.cuts import Scene
from crossmargin.documents import Document, moment
from crossmargin.errors import UsageError
from crossmargin.keys import Keyring
from crossmargin.price_proofs import PriceProofs, doubts
from crossmargin.schedule import parse
from crossmargin.settings import SnapshotSettings
from crossmargin.slots import MANUAL, OPEN_STATES, enter_slots, new_entry, open_slots
from crossmargin.watch import Clock, Watch
from indexer.store import Reader, Store, StoreError
from indexer.store.ledger import SnapshotRow

LATE_S = 1800
"""How long after its slot a snapshot may be made: chains take a quarter of an hour until their blocks are final."""

FAILURES = (ChainError, OSError, SnapshotExists, StoreError, UsageError)
"""What is written down and tried again with the next tick."""


SceneAt = Callable[[int], AbstractContextManager[Scene]]
"""Opens the store at a Unix time."""


class Snapshots:
    """Makes snapshots and keeps the ledger."""

    def __init__(
        self, settings: SnapshotSettings, store: Store, clock: Clock, controls: Controls, prices: PriceProofs
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._controls = controls
        self._prices = prices
        self._keyring = Keyring(settings.keys)

    def listing(self) -> Document:
        """Return the ledger, newest slot first."""
        with self._store.reading() as reader:
            restated = reader.restated_snapshots()
            lines = [self._line(row) for row in reversed(reader.snapshots())]
        return {"snapshots": [{**line, "restated": line["snapshot"] in restated} for line in lines]}

    def create(self, scene: Scene, told: Told = untold) -> Document:
        """Make a snapshot on request, as of the moment up to which the cut is known; made again, it is the same one, or refused."""
        slot_time = max(cut.now for cut in scene.cuts.values())
        row = new_entry(MANUAL, slot_time, f"{snapshot_id(slot_time)}-{MANUAL}")
        done = self._written(row, scene, told)
        held = {held.snapshot_id: held for held in self._store.snapshots()}
        if row.snapshot_id not in held:
            with self._store.snapshot_ledger() as ledger:
                ledger.add(done)
                ledger.keep(done.snapshot_id, Path(done.path))
        return self._line(held.get(row.snapshot_id, done))

    def make_due(self, scene_at: SceneAt, watch: Watch | None) -> None:
        """Make what is due, oldest first, and enter the slots that come; one that fails holds up no other. Raises the last failure."""
        if self._settings.schedule is None:
            return
        now = int(self._clock())
        with self._store.snapshot_ledger() as ledger:
            enter_slots(ledger, parse(self._settings.schedule), now)
        failure: Exception | None = None
        for row in open_slots(self._store.snapshots(), now):
            try:
                self._make(row, scene_at, watch)
            except FAILURES as error:
                self._store.update_snapshot(replace(row, state="failed", detail=str(error)))
                failure = error
        if failure is not None:
            raise failure

    def _make(self, row: SnapshotRow, scene_at: SceneAt, watch: Watch | None) -> None:
        with scene_at(row.slot_time) as scene:
            if waits := [*_awaited(scene, row.slot_time, watch)] or [*_unsettled(scene)]:
                self._note(row, "; ".join(waits))
                return
            if not scene.cuts:
                self._store.update_snapshot(replace(row, state="missed", detail="nothing was stored at that time"))
                return
            done = self._written(row, scene)
        with self._store.snapshot_ledger() as ledger:
            ledger.update(done)
            ledger.keep(done.snapshot_id, Path(done.path))

    def _note(self, row: SnapshotRow, waits: str) -> None:
        """Write down what a slot waits for, where that is news."""
        if row.state == "waiting" and row.detail != waits:
            self._store.update_snapshot(replace(row, detail=waits))

    def _written(self, row: SnapshotRow, scene: Scene, told: Told = untold) -> SnapshotRow:
        reader, cuts, catalogue = scene.reader, scene.cuts, scene.catalogue
        insist = row.schedule != MANUAL and self._clock() < row.slot_time + LATE_S
        weighed = self._controls.weigh(reader, cuts, catalogue.venues, insist=insist)
        condition = doubting(scene.condition, weighed, reader, cuts)
        inputs = book_inputs(reader, cuts, catalogue, condition, risk=scene.risk)
        prices = self._prices.prove(reader, inputs)
        condition = replace(inputs.condition, gaps=(*inputs.condition.gaps, *doubts(prices)))
        inputs = replace(inputs, condition=condition)
        book = Book(
            inputs=inputs,
            context=context_of(inputs),
            units=(),
            accounts=(),
            controls={each.venue.id: each.found for each in weighed},
            levels={venue.id: level_of(reader, venue, cuts) for venue in catalogue.venues},
            prices=prices,
            messages=tuple(_messages(reader, catalogue)),
            sent=tuple(on_the_way(reader.transfers(), cuts)),
            account_bytes=dict(_bytes(reader, inputs, self._settings.proofs)),
            looks=dict(_looks(reader, catalogue, cuts)),
        )
        rows, margin_tables = written_down(book, told=told)
        ledger = self._store.snapshots()
        link = _link(ledger, row)
        folder, manifest = write_snapshot(
            self._settings.folder,
            book,
            name=row.snapshot_id,
            slot_time=row.slot_time,
            link=link,
            signer=self._keyring.signer(row.slot_time),
            recorded={held.manifest_hash for held in ledger},
            expected=next((held.manifest_hash for held in ledger if held.snapshot_id == row.snapshot_id), None),
            rows=rows,
            told=told,
        )
        self._store.replace_margin(row.slot_time, margin_tables(row.snapshot_id, row.slot_time))
        return replace(
            row,
            state="done",
            cut=json.dumps({chain_id: _place(chain_id, cut) for chain_id, cut in cuts.items()}),
            path=str(folder),
            manifest_hash=manifest.hash,
            created_at=int(self._clock()),
            detail="",
            sequence=link.sequence,
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
            "sequence": row.sequence or None,
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


def _awaited(scene: Scene, slot_time: int, watch: Watch | None) -> Iterator[str]:
    """Say of which chains a block at or before a time may still come: those without a later one that are not at a head seen after it.

    Those of venues, those of feeds, and all of which anything is stored. Of one second there may be several blocks.
    """
    venues, feeds = scene.catalogue.venues, scene.catalogue.feeds
    chains = {venue.chain_id for venue in venues} | {feed.chain_id for feed in feeds} | scene.cuts.keys()
    for chain_id in sorted(chains):
        cursor = scene.reader.cursor(chain_id)
        last = None if cursor is None else cursor.block
        passed = last is not None and last.time > slot_time
        if not passed and (watch is None or not watch.at_head_after(chain_id, slot_time, last)):
            where = (
                "of which nothing is stored"
                if last is None
                else f"whose last block is {last.number} of {moment(last.time)}"
            )
            doubt = None if watch is None else watch.doubt(chain_id, last)
            yield f"waits for {chain_id}, {where}" + ("" if doubt is None else f": {doubt.detail}")


def _unsettled(scene: Scene) -> Iterator[str]:
    """Say which blocks of the cut can be others later; one that a standing chain ends in is taken as it is, and says so."""
    for chain_id, cut in scene.cuts.items():
        cursor = scene.reader.cursor(chain_id)
        if cursor is None or (cut.block.number > cursor.finalized and cut.block != cursor.block):
            yield f"waits until block {cut.block.number} of {chain_id} is final"


def _link(ledger: Sequence[SnapshotRow], row: SnapshotRow) -> Link:
    """Return the place of a snapshot in the chain: after the last that was made, or where it is already."""
    made = {held.sequence: held.manifest_hash for held in ledger if held.sequence}
    own = [held.sequence for held in ledger if held.snapshot_id == row.snapshot_id and held.sequence]
    sequence = own[0] if own else max(made, default=0) + 1
    return Link(sequence=sequence, previous=made.get(sequence - 1))


def _bytes(reader: Reader, inputs: BookInputs, count: int | None) -> Iterator[tuple[UnitKey, AccountBytes]]:
    """Yield what the accounts of some units last held: of those that state proofs would be asked for, where there are none."""
    for venue in inputs.venues:
        spec, at = venue.snapshot.venue, venue.snapshot.at
        if namespace_of(spec.chain_id) == SOLANA:
            units = [unit.unit_id for unit in sampled(spec, at, venue.units, count)]
            for unit_id, account in reader.account_bytes(spec.chain_id, at.number, units).items():
                yield (spec.id, unit_id), account


def _looks(reader: Reader, catalogue: Catalogue, cuts: Mapping[str, Cut]) -> Iterator[tuple[str, Sighting]]:
    """Yield of each venue whose accounts are read when that was, as of the last look up to the cut."""
    for venue in catalogue.venues:
        cut = cuts.get(venue.chain_id)
        if cut is not None and is_observed(venue.protocol):
            at, look = cut.block, reader.look(venue.chain_id, cut.block.number, venue.id)
            if look is None:
                yield venue.id, Sighting(at.number)
            else:
                age = None if look.oldest_time is None else at.time - look.oldest_time
                yield venue.id, Sighting(at.number, look.slot, look.oldest, age)


def _messages(reader: Reader, catalogue: Catalogue) -> Iterator[Signed]:
    """Yield the messages by which wallets are members, or not any more; what the operator says himself without his words."""
    wanted = {(account.id, each.evidence) for account in catalogue.accounts for each in account.membership}
    for row in reader.membership_evidence():
        if (row.account_id, row.digest) in wanted:
            wallet = str(Account(row.chain_id, row.wallet))
            envelope = None if row.scheme == Scheme.OPERATOR else row.envelope
            yield Signed(row.account_id, row.digest, wallet, row.action, row.scheme, row.received_at, envelope)


def _place(chain_id: str, cut: Cut) -> dict[str, Any]:
    return {
        "block": cut.block.number,
        "hash": format_hash(chain_id, cut.block.hash),
        "time": moment(cut.block.time),
        "finality": cut.finality.value,
    }
