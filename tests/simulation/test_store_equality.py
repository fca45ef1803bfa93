"""However a chain was taken in, the tables are those of an undisturbed run, row for row."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from chains.errors import DeepFork
from indexer.loop import rebuild
from indexer.store import Store
from tests.devnet.evm.chain import build
from tests.support.indexing import Heard, chain_of, feeds_of, indexed, venue_of
from tests.support.past import Past
from tests.support.tables import assert_same_tables, tables_of


@pytest.mark.parametrize("span", [1, 7, 60])
def test_tables_do_not_depend_on_how_the_span_was_cut(span: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=5, actions=120) as net:
        indexed(net, whole, feeds=feeds_of(net))
        heard = indexed(net, cut, span=span, feeds=feeds_of(net))

    assert len(heard.appended_) > 1
    assert assert_same_tables(whole, cut) > 500


def test_tables_do_not_depend_on_stops_in_between(tmp_path: Path) -> None:
    whole, stepped = tmp_path / "whole.duckdb", tmp_path / "stepped.duckdb"
    with build(seed=6, actions=120) as net:
        for until in (0, 40, 41, 90):
            indexed(net, stepped, until=until)
        indexed(net, stepped)
        indexed(net, whole)

    assert assert_same_tables(whole, stepped) > 500


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reorg_of_any_depth_in_the_unfinalised_window_leaves_an_undisturbed_run(seed: int, tmp_path: Path) -> None:
    followed, rng = tmp_path / "followed.duckdb", Random(seed)
    with build(seed=seed, actions=0) as net:
        past = Past(net, Random(seed))
        past.act(100)
        indexed(net, followed)
        rewound: list[tuple[str, int, int]] = []
        for turn in range(6):
            height = net.node.height()
            past.undo(rng.choice([1, 2, 3, 8, 21, 34, 55]))
            while net.node.height() < height + turn:  # a chain never takes back what it called final
                past.act(1)
            rewound += indexed(net, followed).rewound_
            straight = tmp_path / f"straight-{turn}.duckdb"
            indexed(net, straight)
            assert assert_same_tables(followed, straight) > 500

    assert len(rewound) >= 5
    assert max(depth for _, depth, _ in rewound) > 1


def test_a_fork_below_the_final_block_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=7, actions=60) as net:
        indexed(net, path, finality="confirmations:10")
        before = tables_of(path)
        net.node.call("anvil_rollback", 30)
        net.ledger.idle(40)

        with pytest.raises(DeepFork, match="final"):
            indexed(net, path, finality="confirmations:10")

    assert tables_of(path) == before


def test_a_node_that_went_backwards_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=8, actions=60) as net:
        indexed(net, path)
        before = tables_of(path, without=frozenset({"cursor"}))
        net.node.call("anvil_rollback", 5)

        assert indexed(net, path).rewound_ == []

    assert tables_of(path, without=frozenset({"cursor"})) == before


def test_rebuild_without_the_network_gives_the_same_tables(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    with build(seed=9, actions=150) as net:
        feeds = feeds_of(net)
        indexed(net, path, feeds=feeds)
        indexed(net, copy, feeds=feeds)
        spec, venue = chain_of(net, url="http://127.0.0.1:9"), venue_of(net)

    with Store.open(copy) as store:
        asyncio.run(rebuild(spec, [venue], feeds, store, listener=Heard()))

    assert assert_same_tables(path, copy) > 500
