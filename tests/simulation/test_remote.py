"""A chain that another process reads is the same chain: the same tables, whatever happens to that process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing, suppress
from pathlib import Path
from random import Random

from chains.ports import Batch, Chain, StateReader
from indexer.loop import index
from indexer.remote import ChildLost, RemoteChain
from indexer.store import Store
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.solana.chain import build as build_solana
from tests.support import solana_indexing
from tests.support.indexing import Heard, Narrow, chain_of, feeds_of, indexed, venue_of
from tests.support.past import Past
from tests.support.solana_indexing import chain_of as chain_on
from tests.support.tables import assert_same_tables

KILLS = 3
SPAN = 12


def remote(net: Devnet) -> RemoteChain:
    return RemoteChain(chain_of(net), [venue_of(net)], feeds_of(net))


async def taken_in(chain: Chain, path: Path) -> Heard:
    heard = Heard()
    with Store.open(path) as store:
        await index(chain, store, until="latest", listener=heard)
    return heard


class Murderous(Narrow):
    """A chain whose process is killed now and then: between two batches, or while it works at one."""

    def __init__(self, chain: RemoteChain, span: int, rng: Random) -> None:
        super().__init__(chain, span)
        self._remote = chain
        self._rng = rng
        self.kills = 0

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        working = asyncio.create_task(super().advance(first, last, settled, state))
        if self.kills < KILLS and self._rng.random() < 0.5:
            await asyncio.wait({working}, timeout=self._rng.uniform(0, 0.02))
            if self._remote.pid is not None:
                os.kill(self._remote.pid, signal.SIGKILL)
                self.kills += 1
        return await working


async def test_tables_are_those_of_a_chain_read_in_this_process(tmp_path: Path) -> None:
    here, there = tmp_path / "here.duckdb", tmp_path / "there.duckdb"
    with build(seed=31, actions=90) as net:
        await asyncio.to_thread(indexed, net, here, feeds=feeds_of(net))
        async with aclosing(remote(net)) as chain:
            heard = await taken_in(Narrow(chain, 60), there)

    assert len(heard.appended_) > 1
    assert assert_same_tables(here, there) > 500


async def test_tables_of_a_solana_chain_are_the_same_too(tmp_path: Path) -> None:
    here, there = tmp_path / "here.duckdb", tmp_path / "there.duckdb"
    with build_solana(seed=32, actions=100, price_every=10) as net:
        net.finalize()
        await asyncio.to_thread(solana_indexing.indexed, net, here)
        feeds = solana_indexing.feeds_of(net)
        async with aclosing(RemoteChain(chain_on(net), [solana_indexing.venue_of(net)], feeds)) as chain:
            await taken_in(chain, there)

    assert assert_same_tables(here, there) > 300


async def test_nothing_is_lost_when_the_process_is_killed_at_any_moment(tmp_path: Path) -> None:
    here, there = tmp_path / "here.duckdb", tmp_path / "there.duckdb"
    with build(seed=33, actions=30) as net:
        await asyncio.to_thread(indexed, net, here, feeds=feeds_of(net))
        async with aclosing(remote(net)) as chain:
            murderous = Murderous(chain, SPAN, Random(33))
            for _ in range(KILLS + 1):
                with suppress(ChildLost):
                    await taken_in(murderous, there)
                    break

    assert murderous.kills == KILLS
    assert assert_same_tables(here, there) > 300


async def test_reorgs_are_followed_through_another_process(tmp_path: Path) -> None:
    followed, straight = tmp_path / "followed.duckdb", tmp_path / "straight.duckdb"
    rewound: list[int] = []
    with build(seed=34, actions=0) as net:
        past, feeds = Past(net, Random(34)), feeds_of(net)
        past.act(40)
        async with aclosing(RemoteChain(chain_of(net), [venue_of(net)], feeds)) as chain:
            await taken_in(chain, followed)
            for depth in (1, 13, 34):
                height = net.node.height()
                past.undo(depth)
                while net.node.height() <= height:
                    past.act(1)
                rewound += [depth for _, depth, _ in (await taken_in(chain, followed)).rewound_]
        await asyncio.to_thread(indexed, net, straight, feeds=feeds)

    assert rewound == [1, 13, 34]
    assert assert_same_tables(followed, straight) > 300
