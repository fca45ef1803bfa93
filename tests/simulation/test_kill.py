"""Killed at any moment and started again, an index ends with the tables of an undisturbed run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from indexer.store import Store
from tests.devnet.evm.chain import Devnet, build
from tests.support.indexing import indexed
from tests.support.tables import assert_same_tables

KILLS = 22
LONGEST_LIFE_S = 0.6
SPAN = "1"
LAST_SPAN = "40"
ACTIONS = 600


@pytest.mark.parametrize("seed", [11])
def test_twenty_kills_at_random_moments_change_no_row(seed: int, tmp_path: Path, checkout: Path) -> None:
    undisturbed, killed, rng = tmp_path / "undisturbed.duckdb", tmp_path / "killed.duckdb", Random(seed)
    heights = []
    with build(seed=seed, actions=ACTIONS) as net:
        indexed(net, undisturbed)
        for _ in range(KILLS):
            kill_after(rng.uniform(0, LONGEST_LIFE_S), net, killed, checkout)
            heights.append(height_of(killed, net))
        with process(net, killed, checkout, LAST_SPAN) as last:
            assert last.wait(timeout=120) == 0

        assert heights == sorted(heights)
        assert len(set(heights)) > 5, "some must have met work that others had begun"
        assert heights[KILLS // 2] < net.node.height(), "and work that was not finished"
    assert assert_same_tables(undisturbed, killed) > 1_000


def kill_after(seconds: float, net: Devnet, store: Path, checkout: Path) -> None:
    with process(net, store, checkout) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"started\n"
        time.sleep(seconds)
        running.kill()
        assert running.wait(timeout=30) == -9


def process(net: Devnet, store: Path, checkout: Path, span: str = SPAN) -> subprocess.Popen[bytes]:
    arguments = [f"eip155:{net.chain_id}", net.url, net.market.pool, str(net.market.start_block), str(store), span]
    command = [sys.executable, "-m", "tests.support.indexer_process", *arguments]
    return subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE)


def height_of(store: Path, net: Devnet) -> int:
    with Store.open(store) as opened:
        cursor = opened.cursor(f"eip155:{net.chain_id}")
    return -1 if cursor is None else cursor.block.number
