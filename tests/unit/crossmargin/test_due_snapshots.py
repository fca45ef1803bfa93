"""When a slot is made: not before nothing of its second, or before it, can come any more, on whichever chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.gather import SOUND, Catalogue
from aggregator.margin.floor import ShortfallFloor
from chains.ports import Chain
from crossmargin.controls import Controls
from crossmargin.cuts import Cuts, Scene
from crossmargin.price_proofs import PriceProofs
from crossmargin.settings import SnapshotSettings
from crossmargin.snapshots import Snapshots
from indexer.store import Store
from tests.unit.aggregator.builders import policy
from tests.unit.store.builders import CHAIN, append, batch, block, blocks_table, finalize

OTHER = "eip155:999"
SLOT = 3_600


class Office:
    """Makes the snapshots of two chains, as every hour of a clock that stands some minutes after the slot."""

    def __init__(self, folder: Path, *chains: str) -> None:
        self.store = Store.open(folder / "store.duckdb", allowed=[folder / "snapshots"])
        self._now = float(SLOT - 10)
        self._rules = dict.fromkeys(chains, "finalized")
        settings = SnapshotSettings(folder=folder / "snapshots", schedule="every 1h", keys=folder / "keys")
        ports = (self.store, _no_chain, lambda: self._now)
        self._snapshots = Snapshots(
            settings, self.store, lambda: self._now, controls=Controls(*ports), prices=PriceProofs(*ports)
        )
        self.tick()
        self._now = float(SLOT + 300)

    def tick(self) -> None:
        self._snapshots.make_due(self._scene, None)

    def grow(self, number: int, time: int, chain_id: str = CHAIN) -> None:
        """Append one block, of any time."""
        made = replace(block(number), time=time)
        given = batch(number, number, chain_id=chain_id)
        append(self.store, replace(given, last=made, raw={**given.raw, "evm_block": blocks_table([made])}))

    def made(self) -> dict[str, int] | None:
        """The block of each chain that the slot's snapshot is of, `None` while there is none."""
        row = next(row for row in self.store.snapshots() if row.slot_time == SLOT)
        return {chain: at["block"] for chain, at in json.loads(row.cut).items()} if row.state == "done" else None

    @contextmanager
    def _scene(self, moment: int) -> Iterator[Scene]:
        with self.store.reading() as reader:
            cuts = Cuts(self.store, reader, self._rules, _no_chain).at(f"@{moment}", ())
            catalogue = Catalogue(venues=(), feeds=(), assets=(), policy=policy(), accounts=())
            yield Scene(reader=reader, cuts=cuts, condition=SOUND, catalogue=catalogue, floor=ShortfallFloor())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """Opens an office of some chains, and closes its store in the end."""
    with ExitStack() as stack:

        def opened(*chains: str) -> Office:
            office = Office(tmp_path, *chains)
            stack.callback(office.store.close)
            return office

        yield opened


def _no_chain(chain_id: str) -> Chain:
    raise AssertionError(f"{chain_id} is not to be asked")


@pytest.mark.parametrize("final", [False, True])
def test_a_block_of_the_slots_own_second_may_be_followed_by_another(
    make: Callable[..., Office],
    *,
    final: bool,
) -> None:
    """Where blocks come faster than seconds, the last one at a slot is not known before one that is later."""
    office = make(CHAIN)
    office.grow(1, SLOT - 1)
    office.grow(2, SLOT)
    if final:
        finalize(office.store, 2)
    office.tick()
    too_early = office.made()

    office.grow(3, SLOT)
    office.grow(4, SLOT + 1)
    finalize(office.store, 3)
    office.tick()

    assert (too_early, office.made()) == (None, {CHAIN: 3})


def test_a_chain_that_holds_only_prices_is_waited_for_too(make: Callable[..., Office]) -> None:
    """What feeds said up to the slot decides marks, whether anybody has anything on their chain or not."""
    office = make(CHAIN, OTHER)
    for chain_id in (CHAIN, OTHER):
        office.grow(1, SLOT - 60, chain_id)
        finalize(office.store, 1, chain_id)
    office.grow(2, SLOT + 60)
    office.tick()
    too_early = office.made()

    office.grow(2, SLOT - 1, OTHER)
    finalize(office.store, 2, OTHER)
    office.grow(3, SLOT + 60, OTHER)
    office.tick()

    assert (too_early, office.made()) == (None, {CHAIN: 1, OTHER: 2})
