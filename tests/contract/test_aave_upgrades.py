"""A market of real contracts that is upgraded under its crowd, from 3.0.0 to 3.0.2 and to 3.6: no number differs at any sampled block."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chains.model import WHOLE_VENUE
from indexer.loop import rebuild
from indexer.store import Store
from tests.contract.test_aave_parity import block_of
from tests.devnet.evm import upgrades
from tests.devnet.evm.upgrades import Upgraded
from tests.support.aave_live import compare_upgraded, market_of, take_upgraded
from tests.support.indexing import Heard, chain_of
from tests.support.tables import assert_same_tables

SEED = 5
NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def story() -> Iterator[Upgraded]:
    """A market whose contracts were replaced one block after the other, with somebody in between."""
    with upgrades.build(seed=SEED) as story:
        yield story


@pytest.fixture(scope="module")
def whole(story: Upgraded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The market as it is stored when it was taken in by one span."""
    path = tmp_path_factory.mktemp("upgraded") / "whole.duckdb"
    take_upgraded(story, path)
    return path


def test_every_number_is_the_contracts_own_before_during_and_after_upgrades(story: Upgraded, whole: Path) -> None:
    counted = compare_upgraded(story, whole)

    assert counted.total() > 15_000
    assert counted["balances"] > 3_000
    done = story.net.tally.succeeded
    assert min(done[kind] for kind in ("mint_unbacked", "back_unbacked", "transfer", "borrow_at_stable_rate")) > 1
    last = story.last.tally.succeeded
    assert min(last[kind] for kind in ("supply", "borrow", "liquidate_for_a_tokens", "rename_in_category")) > 0


def test_the_store_says_which_code_ran_when(story: Upgraded, whole: Path) -> None:
    venue, moments = market_of(story.net), story.moments
    token = bytes.fromhex(story.net.market.reserve("WBTC").asset[2:])
    found = []
    with Store.open(whole) as store, store.reading() as reader:
        for name in ("3.0.0", "pool 3.0.2", "WBTC 3.0.2", "pool 3.6", "WBTC 3.6"):
            markets = reader.venue_snapshot(venue, block_of(story.net, moments[name])).markets
            engine, rounding = json.loads(markets[WHOLE_VENUE, "engine"]), json.loads(markets[token, "rounding"])
            found.append((engine["engine"], engine["revision"], rounding["a_token"]))

    assert found == [
        ("aave-3.0", 1, "unscaled"),
        ("aave-3.0", 2, "unscaled"),
        ("aave-3.0", 2, "half_up"),
        ("aave-3.6", 10, "half_up"),
        ("aave-3.6", 10, "directed"),
    ]


def test_an_upgrade_gives_the_same_rows_however_it_was_cut_and_without_the_network(
    story: Upgraded, whole: Path, tmp_path: Path
) -> None:
    cut, again = tmp_path / "cut.duckdb", tmp_path / "again.duckdb"
    take_upgraded(story, cut, span=11)
    spec = replace(chain_of(story.net), rpc=(NOBODY_LISTENS,))
    with Store.open(shutil.copy(whole, again)) as rebuilt:
        asyncio.run(rebuild(spec, [market_of(story.net)], [], rebuilt, listener=Heard()))

    assert assert_same_tables(whole, cut) > 2_000
    assert assert_same_tables(whole, again) > 2_000


def test_an_upgrade_in_one_block_is_the_contracts_own_too(tmp_path: Path) -> None:
    with upgrades.build(seed=SEED + 1, actions=25, at_once=True) as story:
        take_upgraded(story, tmp_path / "store.duckdb")
        assert compare_upgraded(story, tmp_path / "store.duckdb").total() > 5_000
