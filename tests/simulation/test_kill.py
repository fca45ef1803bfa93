"""Killed at any moment and started again, an index ends with the tables of an undisturbed run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from chains.model import ChainSpec, VenueSpec
from indexer.store import Store
from tests.devnet.evm.chain import build as build_evm
from tests.devnet.solana.chain import build as build_solana
from tests.support import indexing, solana_indexing
from tests.support.forked import started
from tests.support.indexer_process import PROGRAM, argument
from tests.support.tables import assert_same_tables

EVM_KILLS, SOLANA_KILLS = 22, 12
MOST_STEPS, LONGEST_S = 16, 0.02
"""An indexer is killed so many steps after it began, at most, and so long after the last of them: within the next, or between two."""
SPAN = 1
LAST_SPAN = 40
ACTIONS = 600
SOLANA_ACTIONS = 900


@pytest.mark.parametrize("seed", [11])
def test_twenty_kills_at_random_moments_change_no_row_of_an_evm_chain(
    seed: int, tmp_path: Path, checkout: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed.duckdb", tmp_path / "killed.duckdb"
    with build_evm(seed=seed, actions=ACTIONS) as net:
        indexing.indexed(net, undisturbed)
        survive(
            Killed(killed, checkout, Random(seed), EVM_KILLS),
            indexing.chain_of(net),
            indexing.venue_of(net),
            net.node.height(),
        )

    assert assert_same_tables(undisturbed, killed) > 1_000


@pytest.mark.parametrize("seed", [12])
def test_a_dozen_kills_at_random_moments_change_no_row_of_a_solana_chain(
    seed: int, tmp_path: Path, checkout: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed.duckdb", tmp_path / "killed.duckdb"
    with build_solana(seed=seed, actions=SOLANA_ACTIONS) as net:
        net.finalize()
        chain, venue = solana_indexing.chain_of(net), solana_indexing.venue_of(net)
        solana_indexing.indexed(net, undisturbed, feeds=[])
        survive(Killed(killed, checkout, Random(seed), SOLANA_KILLS), chain, venue, net.ledger.tip.slot)

    assert assert_same_tables(undisturbed, killed) > 3_000


class Killed(NamedTuple):
    """A store whose indexers are killed at moments of chance."""

    store: Path
    checkout: Path
    rng: Random
    kills: int


def survive(killed: Killed, chain: ChainSpec, venue: VenueSpec, height: int) -> None:
    """Index in processes that are killed, then in one that may finish."""
    heights: list[int] = []
    for _ in range(killed.kills):
        work = argument(chain, venue, killed.store, SPAN)
        steps, seconds = killed.rng.randint(0, MOST_STEPS), killed.rng.uniform(0, LONGEST_S)
        kill_after(steps, seconds, work, killed.checkout)
        heights.append(height_of(killed.store, chain.id))
    work = argument(chain, venue, killed.store, LAST_SPAN)
    with started([work], folder=killed.checkout, environment=os.environ, program=PROGRAM) as last:
        assert last.stdout is not None
        last.stdout.read()
        assert last.wait(timeout=120) == 0

    assert heights == sorted(heights)
    assert len(set(heights)) > killed.kills // 2, "most must have met work that others had begun"
    assert heights[killed.kills // 2] < height, "and work that was not finished"


def kill_after(steps: int, seconds: float, work: str, checkout: Path) -> None:
    with started([work], folder=checkout, environment=os.environ, program=PROGRAM) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        assert all(running.stdout.readline() for _ in range(steps))
        time.sleep(seconds)
        running.kill()
        assert running.wait(timeout=30) == -9


def height_of(store: Path, chain_id: str) -> int:
    with Store.open(store) as opened:
        cursor = opened.cursor(chain_id)
    return -1 if cursor is None else cursor.block.number
