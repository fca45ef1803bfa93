"""Scheduled snapshots over a store that is nothing but a chain: what is left is the ledger, the files and the clock.

`started([STORE, ROOM, BASE, RATE], program=PROGRAM, …)` makes what is due until it is killed, with a clock that runs `RATE` times as
fast from `BASE` on, up to `END`, and shares the store with others that do the same: whoever has it open makes a tick and closes it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from aggregator.gather import SOUND, Catalogue
from aggregator.margin.floor import ShortfallFloor
from chains.ports import Chain
from crossmargin.controls import Controls
from crossmargin.cuts import Cuts, Scene
from crossmargin.price_proofs import PriceProofs
from crossmargin.schedule import parse
from crossmargin.settings import SnapshotSettings
from crossmargin.snapshots import Snapshots
from indexer.store import SnapshotRow, Store, StoreLocked
from tests.unit.aggregator.builders import policy
from tests.unit.store.builders import CHAIN, append, batch, block, finalize

PROGRAM = "tests.support.snapshot_slots"
SCHEDULE = "every 5m"
STEP_S = 300
BEGIN, LAST = block(1).time, 250
END = block(LAST).time - STEP_S


def chain_in(path: Path) -> None:
    """Make a store of a chain whose blocks are all final."""
    with Store.open(path) as store:
        append(store, batch(1, LAST, reads=range(1, LAST + 1)))
        finalize(store, LAST)


def opened(path: Path, room: Path) -> Store:
    """Open a store that may read the snapshots of a room."""
    return Store.open(path, allowed=[room / "snapshots"])


class Office:
    """Makes the snapshots of a store by some clock."""

    def __init__(self, store: Store, room: Path, clock: Callable[[], float]) -> None:
        settings = SnapshotSettings(folder=room / "snapshots", schedule=SCHEDULE, keys=room / "keys")
        self._store = store
        self._snapshots = Snapshots(
            settings, store, clock, Controls(store, _no_chain, clock), PriceProofs(store, _no_chain, clock)
        )

    def tick(self) -> None:
        """Make what is due."""
        self._snapshots.make_due(self._scene, None)

    @contextmanager
    def _scene(self, moment: int) -> Iterator[Scene]:
        with self._store.reading() as reader:
            cuts = Cuts(self._store, reader, {CHAIN: "finalized"}, _no_chain).at(f"@{moment}", ())
            catalogue = Catalogue(venues=(), feeds=(), assets=(), policy=policy(), accounts=())
            yield Scene(reader=reader, cuts=cuts, condition=SOUND, catalogue=catalogue, floor=ShortfallFloor())


def slots(since: int, until: int) -> list[int]:
    """The moments of the schedule after one and up to another."""
    return list(parse(SCHEDULE).due(since, until))


def faults(store: Store, room: Path, wanted: list[int]) -> list[str]:
    """Say what is wrong with the ledger and the folders, where each of `wanted` moments must have one snapshot, in one chain."""
    rows = [row for row in store.snapshots() if row.slot_time <= wanted[-1]]
    found = [] if [row.slot_time for row in rows] == wanted else [f"slots {[row.slot_time for row in rows]}"]
    found += [f"{row.snapshot_id} is {row.state}: {row.detail}" for row in rows if row.state != "done"]
    made = sorted(rows, key=lambda row: row.sequence)
    manifests = [json.loads((Path(row.path) / "manifest.json").read_text()) for row in made if row.path]
    found += [f"{row.snapshot_id} has number {row.sequence}" for n, row in enumerate(made, 1) if row.sequence != n]
    found += [
        f"{m['slot_time']} has another number"
        for row, m in zip(made, manifests, strict=False)
        if m["sequence"] != row.sequence
    ]
    found += _unlinked(made, manifests)
    whole = {path.name for path in (room / "snapshots").iterdir() if not path.name.startswith(".aside-")}
    left = whole ^ {row.snapshot_id for row in store.snapshots() if row.path}
    return found + [f"{name} is in the folder or in the ledger alone" for name in sorted(left)]


def _unlinked(made: list[SnapshotRow], manifests: list[dict[str, object]]) -> Iterator[str]:
    for (before, after), manifest in zip(pairwise(made), manifests[1:], strict=False):
        if manifest["previous"] != before.manifest_hash:
            yield f"{after.snapshot_id} does not follow {before.snapshot_id}"


def _no_chain(chain_id: str) -> Chain:
    raise AssertionError(f"{chain_id} is not to be asked")


def main() -> None:
    path, room = map(Path, sys.argv[1:3])
    base, rate = map(float, sys.argv[3:])

    def clock() -> float:
        return min(BEGIN + (time.time() - base) * rate, END)

    while True:
        try:
            with opened(path, room) as store:
                Office(store, room, clock).tick()
        except StoreLocked:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
