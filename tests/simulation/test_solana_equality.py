"""However a Solana chain was taken in, the tables are those of an undisturbed run, row for row."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from chains.errors import DeepFork
from indexer.loop import rebuild
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.support.indexing import Heard, take_in
from tests.support.solana_indexing import chain_of, feeds_of, holdings, indexed, solana_chain, venue_of
from tests.support.tables import assert_same_tables, tables_of

OBSERVED = frozenset({"solana_account", "solana_read", "solana_block"})
"""What depends on when one looked: accounts as they were then, and the blocks in which that was."""


@pytest.mark.parametrize("span", [1, 7, 60])
def test_tables_do_not_depend_on_how_the_span_was_cut(span: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=5, actions=200, price_every=10) as net:
        net.finalize()
        indexed(net, whole)
        heard = indexed(net, cut, span=span)

    assert len(heard.appended_) > 1
    assert assert_same_tables(whole, cut) > 500


def test_tables_do_not_depend_on_stops_in_between_also_at_skipped_slots(tmp_path: Path) -> None:
    whole, stepped = tmp_path / "whole.duckdb", tmp_path / "stepped.duckdb"
    with build(seed=6, actions=200) as net:
        net.finalize()
        first = net.ledger.first_slot
        for slot in sorted({first, first + 1, *skipped_slots(net)[::5], first + 90}):
            indexed(net, stepped, until=slot)
        indexed(net, stepped)
        indexed(net, whole)

    assert len(skipped_slots(net)) > 5
    assert assert_same_tables(whole, stepped) > 500


def test_rebuild_without_the_network_gives_the_same_tables(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    with build(seed=9, actions=200, price_every=10, rare=True) as net:
        net.finalize()
        indexed(net, path)
        indexed(net, copy)
        spec, venue, feeds = chain_of(net, url="http://127.0.0.1:9"), venue_of(net), feeds_of(net)

    with Store.open(copy) as store:
        asyncio.run(rebuild(spec, [venue], feeds, store, listener=Heard()))

    assert assert_same_tables(path, copy) > 500


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lost_forks_under_confirmed_leave_what_an_undisturbed_run_finds(seed: int, tmp_path: Path) -> None:
    followed, rng = tmp_path / "followed.duckdb", Random(seed)
    rewound: list[tuple[str, int, int]] = []
    with build(seed=seed, actions=150) as net:
        indexed(net, followed, finality="confirmed", feeds=[])
        for turn in range(4):
            net.population.act(20)
            indexed(net, followed, finality="confirmed", feeds=[])
            net.rollback(rng.choice([2, 3, 5, 8, 13]), reuse_slots=bool(turn % 2))
            net.population.act(20)
            rewound += indexed(net, followed, finality="confirmed", feeds=[]).rewound_
            straight = tmp_path / f"straight-{turn}.duckdb"
            indexed(net, straight, finality="confirmed", feeds=[])
            assert assert_same_tables(followed, straight, without=OBSERVED) > 500
            with Store.open(followed) as store:
                cursor = store.cursor(net.chain_id)
                assert cursor is not None
                assert holdings(net, store).nets == net.expected_at(cursor.block.number).nets

    assert len(rewound) == 4


def test_a_fork_below_the_final_block_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=7, actions=150) as net:
        indexed(net, path)
        before = tables_of(path)
        net.rollback(50, below_finalized=True)
        net.population.act(150)
        net.finalize()

        with pytest.raises(DeepFork, match="final"):
            indexed(net, path)

    assert tables_of(path) == before


def test_a_node_that_went_backwards_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=8, actions=150) as net, net.serve(lag=20) as behind:
        indexed(net, path)
        before = tables_of(path)

        with Store.open(path) as store:
            heard = asyncio.run(take_in(solana_chain(net, url=behind.url), store))

    assert heard.rewound_ == []
    assert tables_of(path) == before


def skipped_slots(net: Devnet) -> list[int]:
    """Slots of the final part of the chain without a block."""
    slots = {block.slot for block in net.ledger.blocks}
    return [slot for slot in range(net.ledger.first_slot, max(slots)) if slot not in slots]
