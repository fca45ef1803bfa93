"""Accounts of a program that are read with the head: what is stored of them is what they held, whatever the node leaves out."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chains.errors import NodeWrong
from chains.identifiers import base58
from chains.model import ChainSpec, Side, VenueSpec
from chains.registry import connect
from indexer.loop import index, rebuild
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import Answer, Elsewhere, NodeBehind
from tests.support.indexing import Heard, take_in
from tests.support.purses import Purses, World
from tests.support.tables import assert_same_tables

MARKET, OTHER_MARKET, THIRD_MARKET = b"\x33" * 32, b"\x34" * 32, b"\x35" * 32


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=5, users=2, actions=0) as net:
        yield net


@pytest.fixture(autouse=True)
def purses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only protocol there is."""
    monkeypatch.setattr("chains.solana.chain._adapter", Purses)


def venue(net: Devnet) -> VenueSpec:
    first = net.ledger.first_slot
    return VenueSpec(id="purses", protocol="purses", chain_id=net.chain_id, address=MARKET, start_block=first)


def spec(net: Devnet, finality: str = "finalized") -> ChainSpec:
    return ChainSpec(
        id=net.chain_id, name="devnet", rpc=(net.url,), finality=finality, start_block=net.ledger.first_slot
    )


async def look(chain: Any, store: Store) -> Heard:
    heard = Heard()
    await index(chain, store, until="latest", listener=heard)
    return heard


def stored(net: Devnet, store: Store) -> dict[bytes, int]:
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    with store.reading() as reader:
        units = reader.unit_snapshots(venue(net), cursor.block)
    return {unit.unit_id: unit.positions.get((MARKET, Side.SUPPLY), 0) for unit in units}


def compare(net: Devnet, store: Store, world: World) -> int:
    """Compare what is stored of the head with what purses held there."""
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    truth = {address: amount for address, amount in world.held_at(cursor.block.number) if amount}
    assert {address: amount for address, amount in stored(net, store).items() if amount} == truth
    return len(truth)


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
def test_purses_hold_what_their_bytes_say_at_every_head_and_derive_alike(
    net: Devnet, finality: str, tmp_path: Path
) -> None:
    world = World(net.ledger, MARKET, seed=3)
    path = tmp_path / "store.duckdb"

    async def live(store: Store) -> int:
        chain = connect(spec(net, finality), [venue(net)], [])
        compared = 0
        for _ in range(12):
            world.live(5)
            await look(chain, store)
            compared += compare(net, store, world)
        await chain.aclose()
        return compared

    with Store.open(path) as store:
        assert asyncio.run(live(store)) > 20
        before = stored(net, store)
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        asyncio.run(rebuild(spec(net), [venue(net)], [], store, listener=Heard()))
        assert stored(net, store) == before
    assert assert_same_tables(path, copy) > 50


def test_what_is_lost_with_a_fork_is_read_again(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=4)

    async def live(store: Store) -> None:
        chain = connect(spec(net, "confirmed"), [venue(net)], [])
        for turn in range(10):
            world.live(4)
            await look(chain, store)
            if turn % 3 == 2:
                net.rollback(3)
                world.open = [address for address, amount in world.held_at(net.ledger.tip.slot) if amount]
                net.ledger.idle(2)
                await look(chain, store)
                await look(chain, store)
            compare(net, store, world)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))


def test_who_was_closed_while_nobody_looked_is_found_closed(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=6)
    with Store.open(tmp_path / "store.duckdb") as store:
        for _ in range(4):
            world.live(10)
            world.throw_away()
            net.ledger.mine()
            net.ledger.idle(1)
            asyncio.run(take_in(connect(spec(net, "confirmed"), [venue(net)], []), store))
            compare(net, store, world)


def test_a_node_that_leaves_one_out_is_not_believed(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=7)
    for _ in range(5):
        world.make()
    net.ledger.mine()
    net.ledger.idle(2)

    async def live(store: Store) -> None:
        chain = connect(spec(net, "confirmed"), [venue(net)], [])
        await look(chain, store)
        net.ledger.idle(2)
        slot = net.ledger.tip.slot - 1
        nothing = Answer(result={"context": {"slot": slot}, "value": []})
        with net.faults.inject(nothing, "getProgramAccounts"), pytest.raises(NodeWrong, match="left out"):
            await look(chain, store)
        net.ledger.idle(2)
        await look(chain, store)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))
        assert compare(net, store, world) == 5


def test_an_account_that_was_not_asked_for_is_refused(net: Devnet) -> None:
    World(net.ledger, MARKET, seed=8)
    image = {"lamports": 1, "owner": base58(b"\x01" * 32), "data": ["", "base64"]}
    said = {"context": {"slot": net.ledger.tip.slot}, "value": [{"pubkey": base58(b"\x05" * 32), "account": image}]}

    async def ask() -> None:
        async with aclosing(connect(spec(net, "confirmed"), [venue(net)], [])) as chain:
            with net.faults.inject(Answer(result=said), "getProgramAccounts"):
                await chain.head()

    with pytest.raises(NodeWrong, match="not what was asked for"):
        asyncio.run(ask())


@pytest.mark.parametrize("fault", [Elsewhere(slots=3), NodeBehind()])
def test_answers_from_behind_change_nothing(net: Devnet, fault: Any, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=9)

    async def live(store: Store) -> None:
        chain = connect(spec(net, "confirmed"), [venue(net)], [])
        for _ in range(8):
            world.live(3)
            with net.faults.inject(fault, "getProgramAccounts", count=1):
                await look(chain, store)
            await look(chain, store)
            net.ledger.idle(1)
            await look(chain, store)
            compare(net, store, world)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))


def test_a_closure_that_was_seen_in_vain_is_seen_again(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=11)
    for _ in range(4):
        world.make()
    net.ledger.mine()

    async def live(store: Store) -> None:
        chain = connect(spec(net, "confirmed"), [venue(net)], [])
        net.ledger.idle(2)
        await look(chain, store)
        world.throw_away()
        net.ledger.mine()
        net.ledger.idle(2)
        refused = Answer(error={"code": -32_603, "message": "Internal error"})
        with net.faults.inject(refused, "getMultipleAccounts", count=1):
            await look(chain, store)
        await look(chain, store)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))
        assert compare(net, store, world) == 3


def test_each_market_has_its_own_purses_and_one_that_comes_later_has_all_of_them(net: Devnet, tmp_path: Path) -> None:
    first, second = World(net.ledger, MARKET, seed=12), World(net.ledger, OTHER_MARKET, seed=13, base=1_000)
    both = [venue(net), VenueSpec(**{**fields(venue(net)), "id": "second", "address": OTHER_MARKET})]
    renamed = VenueSpec(**{**fields(venue(net)), "id": "renamed"})

    async def live(store: Store, venues: list[VenueSpec], turns: int) -> None:
        chain = connect(spec(net, "confirmed"), venues, [])
        for _ in range(turns):
            first.live(3)
            second.live(3)
            first.make()
            second.make()
            net.ledger.mine()
            net.ledger.idle(1)
            await look(chain, store)
        await chain.aclose()

    def held(store: Store, which: VenueSpec) -> dict[bytes, int]:
        cursor = store.cursor(net.chain_id)
        assert cursor is not None
        with store.reading() as reader:
            units = reader.unit_snapshots(which, cursor.block)
        return {unit.unit_id: amount for unit in units if (amount := sum(unit.positions.values()))}

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store, both, 4))
        slot = cursor_slot(net, store)
        assert held(store, both[0]) == {address: n for address, n in first.held_at(slot) if n} != {}
        assert held(store, both[1]) == {address: n for address, n in second.held_at(slot) if n} != {}
        asyncio.run(live(store, [renamed, both[1]], 1))
        slot = cursor_slot(net, store)
        assert held(store, renamed) == {address: n for address, n in first.held_at(slot) if n} != {}


def test_a_price_that_a_second_venue_names_late_is_derived_as_it_was_taken_in(net: Devnet, tmp_path: Path) -> None:
    first, second = World(net.ledger, MARKET, seed=21), World(net.ledger, OTHER_MARKET, seed=22, base=1_000)
    own, shared = b"\x0a" * 32, first.price
    second.point(own)
    both = [venue(net), VenueSpec(**{**fields(venue(net)), "id": "second", "address": OTHER_MARKET})]
    third = VenueSpec(**{**fields(venue(net)), "id": "third", "address": THIRD_MARKET})
    last = World(net.ledger, THIRD_MARKET, seed=23, base=2_000)
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"

    async def live(store: Store, venues: list[VenueSpec], turns: int) -> None:
        chain = connect(spec(net, "confirmed"), venues, [])
        for turn in range(turns):
            for world in (first, second, last):
                world.live(1)
                world.make()
                net.ledger.mine()
            if turn % 2 == 0:
                first.reprice()
            second.point({2: shared, 4: own}.get(turn, second.price))
            net.ledger.mine()
            net.ledger.idle(1)
            await look(chain, store)
        await chain.aclose()

    with Store.open(path) as store:
        asyncio.run(live(store, both, 7))
        asyncio.run(live(store, [*both, third], 4))
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        asyncio.run(rebuild(spec(net), [*both, third], [], store, listener=Heard()))
    assert assert_same_tables(path, copy) > 100


def test_single_accounts_of_pages_that_answer_apart_are_all_stored(net: Devnet, tmp_path: Path) -> None:
    world = World(net.ledger, MARKET, seed=24)
    prices = [bytes([0xEE, number]) + bytes(30) for number in range(150)]
    for number, price in enumerate(prices):
        world.till(number + 1, price)
        world.post(price, number.to_bytes(8))
    net.ledger.idle(5)
    early = base58(min(prices))
    net.faults.inject(Elsewhere(slots=2), "getProgramAccounts")
    net.faults.inject(Elsewhere(slots=1), "getMultipleAccounts", where=lambda params: early in params[0])

    async def live(store: Store) -> None:
        chain = connect(spec(net, "confirmed"), [venue(net)], [])
        await look(chain, store)
        for price in prices[::3]:
            world.post(price, b"another")
        net.ledger.mine()
        net.ledger.idle(5)
        await look(chain, store)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(live(store))
        cursor = store.cursor(net.chain_id)
        assert cursor is not None
        with store.reading() as reader:
            markets = reader.venue_snapshot(venue(net), cursor.block).markets
    said = {market: json.loads(text)["data"] for (market, aspect), text in markets.items() if aspect == "price"}
    wanted = {price: number.to_bytes(8).hex() for number, price in enumerate(prices)}
    assert said == {world.price: said[world.price]} | wanted | dict.fromkeys(prices[::3], b"another".hex())


def cursor_slot(net: Devnet, store: Store) -> int:
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    return cursor.block.number


def fields(spec: VenueSpec) -> dict[str, Any]:
    return {each.name: getattr(spec, each.name) for each in dataclasses.fields(spec)}
