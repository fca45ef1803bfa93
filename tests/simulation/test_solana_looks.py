"""However looks were made cheap, and whatever became of notifications, the tables are those of whole lists in every look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chains.model import ChainSpec, VenueSpec
from chains.registry import connect
from chains.solana import news
from chains.solana.chain import SolanaChain
from chains.solana.nodes import NodeSource
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import (
    BlockNotAvailable,
    ClosedConnection,
    Delay,
    DroppedWebsocket,
    Duplicated,
    Fault,
    HttpError,
    Injection,
    MalformedBody,
    NodeBehind,
    RateLimited,
    Reordered,
    Swallowed,
)
from tests.simulation.test_solana_members import MARKET, look, stored
from tests.support.purses import TICK, Purses, World
from tests.support.tables import assert_same_tables

PROGRAM = "programNotification"
READS = ("getProgramAccounts", "getMultipleAccounts")
FAULTS: list[tuple[Fault | None, tuple[str, ...], int]] = [
    (None, (), 0),
    (Duplicated(), (), 3),
    (Reordered(), (PROGRAM,), 2),
    (DroppedWebsocket(after=1), (), 1),
    (DroppedWebsocket(after=3), (), 1),
    (HttpError(), (), 1),
    (ClosedConnection(), ("getProgramAccounts",), 1),
    (NodeBehind(), (), 2),
    (RateLimited(retry_after_seconds=0), (), 2),
    (MalformedBody(), READS, 1),
    (BlockNotAvailable(), (), 1),
]
"""What goes wrong before a look: a fault, for which methods, how often; nothing: every websocket ends."""


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=5, users=2, actions=0) as net:
        yield net


@pytest.fixture(autouse=True)
def purses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chains.solana.chain._adapter", Purses)
    monkeypatch.setattr(news, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(news, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(news, "HEAR_S", 0.15)


def looking(net: Devnet, *, every: int, ws: bool, url: str | None = None) -> SolanaChain:
    """A chain whose sets are listed whole every so many slots."""
    first = net.ledger.first_slot
    spec = ChainSpec(
        id=net.chain_id,
        name="devnet",
        rpc=(url or net.url,),
        finality="confirmed",
        start_block=first,
        ws=(net.ws_url,) if ws else (),
    )
    venue = VenueSpec(id="purses", protocol="purses", chain_id=net.chain_id, address=MARKET, start_block=first)
    chain = connect(spec, [venue], [])
    assert isinstance(chain, SolanaChain)
    assert isinstance(chain.source, NodeSource)
    chain.source.lists.every = every
    return chain


def whole_lists(net: Devnet) -> Injection:
    """Counts lists without slices."""
    return net.faults.inject(Delay(seconds=0), "getProgramAccounts", where=lambda params: "dataSlice" not in params[1])


Disturb = Callable[[Random, World], None]


def compared(net: Devnet, tmp_path: Path, *, ws: bool, turns: int, disturb: Disturb) -> tuple[int, int]:
    """Look twice at each head: with whole lists of an undisturbed node, and with cheap ones of one with faults.

    Returns how many rows are alike, and how many of the second one's lists were whole.
    """
    paths = tmp_path / "calm.duckdb", tmp_path / "cheap.duckdb"
    rng = Random(turns)
    world = World(net.ledger, MARKET, seed=turns)

    async def live(calm: Store, cheap: Store, url: str) -> int:
        ours, theirs = looking(net, every=0, ws=False, url=url), looking(net, every=10_000, ws=ws)
        count = 0
        for turn in range(turns):
            world.live(3)
            disturb(rng, world)
            net.ledger.mine()
            net.ledger.idle(1)  # so that what happened is confirmed while nobody may hear of it
            if ws:
                await theirs.news(0.2 if turn < 2 else 0.03)
                await asyncio.sleep(0.03)
                net.ledger.idle(1)  # so that a connection that was made again hears of a slot
                await asyncio.sleep(0.03)
            await look(ours, calm)
            with whole_lists(net) as whole:
                await look(theirs, cheap)
            count += whole.hits
        net.faults.lift()
        await ours.aclose()
        await theirs.aclose()
        return count

    with Store.open(paths[0]) as calm, Store.open(paths[1]) as cheap, net.serve() as quiet:
        whole = asyncio.run(live(calm, cheap, quiet.url))
    return assert_same_tables(*paths), whole


def test_slices_tell_whom_to_read(net: Devnet, tmp_path: Path) -> None:
    rows, whole = compared(net, tmp_path, ws=False, turns=20, disturb=lambda rng, world: None)
    assert rows > 100
    assert whole < 30  # of 40: the till's set has no pulse, and is whole in each look; that of purses at first


def test_notifications_tell_whom_to_read_where_slices_cannot(net: Devnet, tmp_path: Path) -> None:
    rows, whole = compared(net, tmp_path, ws=True, turns=20, disturb=lambda rng, world: world.fill_quietly())
    assert rows > 100
    assert whole < 12  # until the subscriptions stood


@pytest.mark.parametrize("seed, pulse", [(0, TICK), (1, TICK), (2, None), (3, None)])
def test_whatever_becomes_of_notifications_nothing_is_lost(
    seed: int, pulse: tuple[int, int] | None, net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.purses.TICK", pulse)

    def disturb(rng: Random, world: World) -> None:
        rng.seed(rng.random() + seed)
        net.faults.lift()
        fault, methods, count = rng.choice(FAULTS)
        if fault is None:
            net.node.drop_websockets()
        else:
            net.faults.inject(fault, *methods, count=count)
        rng.choice([world.throw_away, world.make])()
        (world.fill if pulse else world.fill_quietly)()

    rows, _ = compared(net, tmp_path, ws=True, turns=14 + seed, disturb=disturb)
    assert rows > 60


def test_a_notification_that_is_swallowed_is_made_up_for_by_slices(net: Devnet, tmp_path: Path) -> None:
    def disturb(rng: Random, world: World) -> None:
        net.faults.lift()
        net.faults.inject(Swallowed(), PROGRAM, count=rng.randrange(3))
        world.fill()
        world.throw_away()
        world.make()

    rows, _ = compared(net, tmp_path, ws=True, turns=16, disturb=disturb)
    assert rows > 100


def test_a_node_that_takes_no_subscription_to_a_program_still_wakes_and_all_is_listed(
    net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.purses.TICK", None)
    net.node.refused_subscriptions = frozenset({"programSubscribe"})
    rows, whole = compared(net, tmp_path, ws=True, turns=8, disturb=lambda rng, world: world.fill_quietly())
    assert rows > 40
    assert whole >= 16


def test_too_many_notifications_end_a_session_and_all_is_listed(
    net: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "WAITING", 2)
    monkeypatch.setattr("tests.support.purses.TICK", None)

    def disturb(rng: Random, world: World) -> None:
        for _ in range(8):
            world.make()
        world.fill_quietly()

    rows, whole = compared(net, tmp_path, ws=True, turns=10, disturb=disturb)
    assert rows > 100
    assert whole > 10


def test_what_neither_slices_nor_notifications_tell_the_next_whole_list_finds(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=31)
    for _ in range(4):
        world.make()
    net.ledger.mine()
    net.ledger.idle(1)

    async def live(store: Store) -> tuple[dict[bytes, int], dict[bytes, int], dict[bytes, int]]:
        chain = looking(net, every=20, ws=False)
        await look(chain, store)
        before = stored(net, store)
        world.fill_quietly()
        net.ledger.mine()
        net.ledger.idle(10)
        await look(chain, store)
        unseen = stored(net, store)
        net.ledger.idle(20)
        await look(chain, store)
        net.ledger.idle(2)
        await look(chain, store)
        await chain.aclose()
        return before, unseen, stored(net, store)

    with Store.open(tmp_path / "store.duckdb") as store:
        before, unseen, found = asyncio.run(live(store))
    assert unseen == before != found
    assert found == dict(world.held_at(net.ledger.tip.slot))


def test_a_purse_that_changes_again_before_its_bytes_show_it_is_read_again(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=32)
    world.make()
    net.ledger.mine()

    async def live(store: Store) -> Any:
        chain = looking(net, every=10_000, ws=False)
        net.ledger.idle(1)
        await look(chain, store)
        for change in (world.fill, world.fill_quietly):
            change()
            net.ledger.mine()
            net.ledger.idle(1)
            await look(chain, store)
        await chain.aclose()
        return stored(net, store)

    with Store.open(tmp_path / "store.duckdb") as store:
        assert asyncio.run(live(store)) == dict(world.held_at(net.ledger.tip.slot))
