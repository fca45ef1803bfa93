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
from chains.model import ChainSpec
from chains.ports import Chain
from crossmargin.controls import Controls
from crossmargin.cuts import Cuts, Scene
from crossmargin.documents import moment
from crossmargin.price_proofs import PriceProofs
from crossmargin.settings import ChainSettings, SnapshotSettings
from crossmargin.snapshots import Snapshots
from crossmargin.watch import Watch
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

    def tick(self, watch: Watch | None = None) -> None:
        self._snapshots.make_due(self._scene, watch)

    def watch(self) -> Watch:
        """Begin to follow all chains, of which no node answers."""
        specs = [
            ChainSpec(id=chain_id, name=chain_id, rpc=("http://node.example",), finality="finalized", start_block=0)
            for chain_id in self._rules
        ]
        return Watch(
            [ChainSettings(spec=spec, poll_s=2.0, stale_after_s=60.0) for spec in specs], clock=lambda: self._now
        )

    def later(self, seconds: float) -> None:
        self._now += seconds

    def grow(self, number: int, time: int, chain_id: str = CHAIN) -> None:
        """Append one block, of any time."""
        made = replace(block(number), time=time)
        given = batch(number, number, chain_id=chain_id)
        append(self.store, replace(given, last=made, raw={**given.raw, "evm_block": blocks_table([made])}))

    def told(self) -> tuple[str, str | None]:
        """State and detail of the slot in the ledger."""
        line = next(line for line in self._snapshots.listing()["snapshots"] if line["slot_time"] == moment(SLOT))
        return line["state"], line["detail"]

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
    too_early, said = office.made(), office.told()

    office.grow(2, SLOT - 1, OTHER)
    finalize(office.store, 2, OTHER)
    office.grow(3, SLOT + 60, OTHER)
    office.tick()

    assert (too_early, office.made()) == (None, {CHAIN: 1, OTHER: 2})
    assert said == ("waiting", f"waits for {OTHER}, whose last block is 1 of 1970-01-01T00:59:00Z")
    assert office.told() == ("done", None)


def test_a_chain_whose_nodes_are_silent_is_named_with_what_is_known_of_them(make: Callable[..., Office]) -> None:
    """That a chain is waited for, and since when its nodes say nothing, is what an operator has to know of a slot that is overdue."""
    office = make(CHAIN, OTHER)
    watch = office.watch()
    office.grow(1, SLOT + 60)
    office.grow(1, SLOT - 60, OTHER)
    office.tick(watch)
    at_once = office.told()

    office.later(3_600)
    office.tick(watch)

    where = f"waits for {OTHER}, whose last block is 1 of 1970-01-01T00:59:00Z"
    assert at_once == ("waiting", f"{where}: no node has answered yet")
    assert office.told() == ("overdue", f"{where}: no node has answered since 1970-01-01T01:05:00Z")


def test_a_block_that_is_not_final_yet_is_what_is_waited_for(make: Callable[..., Office]) -> None:
    office = make(CHAIN)
    office.grow(1, SLOT - 1)
    office.grow(2, SLOT + 1)
    office.tick()

    assert office.told() == ("waiting", f"waits until block 1 of {CHAIN} is final")
