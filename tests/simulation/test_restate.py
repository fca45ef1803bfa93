"""What came later into a store, or was wrong in it, makes the tables of a store that had it from the start, row for row."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import NamedTuple

import duckdb
import pytest

from chains.errors import DeepFork
from chains.model import ChainSpec, FeedSpec, VenueSpec
from indexer.loop import Progress, rebuild
from indexer.store import Restatement, StepRefused, Store
from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.vault import Custody, open_custody
from tests.support.forked import started
from tests.support.indexing import Heard, feeds_of, venue_of
from tests.support.restating import AT, HeardBeside, indexed, restater, spec_of, vault_of
from tests.support.restating_process import PROGRAM, Work, argument
from tests.support.tables import assert_same_tables, tables_of

LEDGER = frozenset({"restatement"})
"""What a store that had everything from the start has nothing to tell of."""

EVIDENCE = LEDGER | {"coverage"}
"""What was weighed at the ends of other spans may be said in other words."""

KILLS, LATE_KILLS, LONGEST_S = 6, 3, 0.8


class Scene(NamedTuple):
    """A chain that no test changes, as it is configured, and the store that had everything from the start."""

    net: Devnet
    custody: Custody
    spec: ChainSpec
    market: VenueSpec
    vault: VenueSpec
    feeds: list[FeedSpec]
    straight: Path

    @property
    def both(self) -> list[VenueSpec]:
        return [self.market, self.vault]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    straight = tmp_path_factory.mktemp("straight") / "straight.duckdb"
    with used(seed=2) as (net, custody):
        spec, market, vault, feeds = spec_of(net), venue_of(net), vault_of(custody), feeds_of(net)
        indexed(straight, spec, [market, vault], feeds)
        yield Scene(net, custody, spec, market, vault, feeds, straight)


@pytest.fixture
def own() -> Iterator[tuple[Devnet, Custody]]:
    """A chain of the test's own."""
    with used(seed=3) as found:
        yield found


@contextmanager
def used(*, seed: int) -> Iterator[tuple[Devnet, Custody]]:
    """A market and a vault on one chain, and people who used both."""
    with build(seed=seed, actions=25) as net:
        custody = open_custody(net.ledger, chain_id=net.chain_id, seed=seed, people=net.users[:8])
        custody.run(30)
        net.population.run(25)
        yield net, custody


@pytest.fixture
def later(tmp_path: Path) -> Path:
    return tmp_path / "later.duckdb"


@pytest.mark.parametrize("late", ["vault", "market", "feeds", "vault and feeds", "everything"])
def test_what_came_later_makes_the_tables_of_what_was_there(late: str, scene: Scene, later: Path) -> None:
    first = {"vault": [scene.market], "market": [scene.vault], "feeds": scene.both, "vault and feeds": [scene.market]}
    feeds = scene.feeds if late in {"vault", "market"} else []

    indexed(later, scene.spec, first.get(late, []), feeds, until=scene.net.node.height() - 20)
    heard = indexed(later, scene.spec, scene.both, scene.feeds)

    assert heard.restated_
    assert_same(scene, later)
    assert [path.name for path in later.parent.iterdir()] == ["later.duckdb"]


def test_tables_do_not_depend_on_how_what_is_lacking_was_cut(scene: Scene, later: Path) -> None:
    indexed(later, scene.spec, [scene.vault], scene.feeds, span=40)
    indexed(later, scene.spec, scene.both, scene.feeds, span=3)

    assert_same(scene, later, without=EVIDENCE)


def test_a_venue_that_starts_earlier_is_read_from_there(scene: Scene, later: Path, tmp_path: Path) -> None:
    earlier, straight = replace(scene.market, start_block=0), tmp_path / "straight.duckdb"
    indexed(straight, scene.spec, [earlier, scene.vault])

    indexed(later, scene.spec, scene.both)
    heard = indexed(later, scene.spec, [earlier, scene.vault])

    assert next((line.interest, line.from_block) for line in heard.restated_) == (f"venue:{scene.market.id}", 0)
    assert assert_same_tables(straight, later, without=LEDGER) > 300


def test_a_venue_that_was_taken_out_comes_back_without_a_gap(scene: Scene, later: Path) -> None:
    out, back = scene.net.node.height() - 80, scene.net.node.height() - 10

    indexed(later, scene.spec, scene.both, scene.feeds, until=out)
    indexed(later, scene.spec, [scene.market], scene.feeds, until=back)
    heard = indexed(later, scene.spec, scene.both, scene.feeds)

    assert [(line.interest, line.from_block) for line in heard.restated_] == [("venue:vault", out + 1)]
    assert_same(scene, later)


def test_a_log_that_was_missing_is_found_by_reading_again(scene: Scene, later: Path) -> None:
    shutil.copy(scene.straight, later)
    lost = changed(later, scene, "DELETE FROM evm_log WHERE rowid = $row")

    lines = restated(later, scene.spec, scene.both, scene.feeds, venue_id="vault", first=lost)

    told = [(line.interest, line.logs_added, line.logs_removed, line.changed) for line in lines]
    assert told == [("venue:vault", 1, 0, True)]
    assert lines[0].rows_after > lines[0].rows_before
    assert_same(scene, later)


def test_a_log_that_the_nodes_do_not_give_goes_only_where_that_is_accepted(scene: Scene, later: Path) -> None:
    shutil.copy(scene.straight, later)
    again = "INSERT INTO evm_log SELECT * REPLACE (log_index + 100 AS log_index) FROM evm_log WHERE rowid = $row"
    first = changed(later, scene, again)
    before = tables_of(later)

    with pytest.raises(StepRefused, match=rf"1 stored logs, the first of them log 1\d\d of block {first}"):
        restated(later, scene.spec, scene.both, scene.feeds, venue_id="vault", first=first)
    assert tables_of(later) == before
    (line,) = restated(later, scene.spec, scene.both, scene.feeds, venue_id="vault", first=first, accept_removal=True)

    assert (line.logs_added, line.logs_removed) == (0, 1)
    assert_same(scene, later)


def test_everything_can_be_read_again_and_nothing_is_another_one(scene: Scene, later: Path) -> None:
    shutil.copy(scene.straight, later)

    lines = restated(later, scene.spec, scene.both, scene.feeds, venue_id=None, first=None)

    assert {line.interest for line in lines} == {f"venue:{scene.market.id}", "venue:vault", "feeds"}
    assert {(line.changed, line.logs_added, line.at) for line in lines} == {(False, 0, AT)}
    assert_same(scene, later)


def test_a_chain_is_followed_while_what_is_lacking_is_read_and_reorgs_harm_neither(
    own: tuple[Devnet, Custody], tmp_path: Path
) -> None:
    net, custody = own
    straight, later = tmp_path / "straight.duckdb", tmp_path / "later.duckdb"
    spec, both = spec_of(net), [venue_of(net), vault_of(custody)]
    indexed(later, spec, both[:1])
    stood = net.node.height()
    with Store.open(later) as store:
        heard = Disturbing(net=net, custody=custody, store=store, rng=Random(3))
        asyncio.run(restater(store, spec, both, span=9, heard=heard).follow(heard.stop, poll_s=0.01))

    indexed(later, spec, both)
    indexed(straight, spec, both)
    assert heard.reorgs == 0
    assert max(heard.heights) > stood, "the chain went on meanwhile"
    assert [line.interest for line in heard.restated_] == ["venue:vault"]
    assert assert_same_tables(straight, later, without=EVIDENCE) > 300


def test_a_deep_fork_is_refused_with_the_command_that_takes_it_over(
    own: tuple[Devnet, Custody], tmp_path: Path
) -> None:
    net, custody = own
    straight, forked = tmp_path / "straight.duckdb", tmp_path / "forked.duckdb"
    spec, both = spec_of(net, finality="confirmations:5"), [venue_of(net), vault_of(custody)]
    indexed(forked, spec, both)
    before = tables_of(forked)
    fork = stored_before(forked, spec.id, deeply_forked(net, custody)) + 1

    with pytest.raises(DeepFork, match=f"restate --chain {spec.id} --from {fork}"):
        indexed(forked, spec, both)
    with pytest.raises(DeepFork, match=f"from block {fork} on.*--from {fork}"):
        restated(forked, spec, both, [], venue_id=None, first=fork + 1)
    assert tables_of(forked) == before
    (line,) = restated(forked, spec, both, [], venue_id=None, first=fork)

    indexed(forked, spec, both)
    indexed(straight, spec, both)
    assert (line.interest, line.from_block, line.rows_after, line.changed) == ("chain", fork, 0, True)
    assert line.rows_before > 0
    assert assert_same_tables(straight, forked, without=LEDGER) > 300


def test_a_deep_fork_that_all_of_several_nodes_call_final_is_taken_over(
    own: tuple[Devnet, Custody], tmp_path: Path
) -> None:
    net, custody = own
    straight, forked = tmp_path / "straight.duckdb", tmp_path / "forked.duckdb"
    nodes = [net.url, net.url.replace("127.0.0.1", "localhost")]
    spec, both = spec_of(net, finality="confirmations:5", rpc=nodes), [venue_of(net), vault_of(custody)]
    indexed(forked, spec, both)
    fork = stored_before(forked, spec.id, deeply_forked(net, custody)) + 1

    heard = indexed(forked, spec, both)

    indexed(straight, spec, both)
    assert [(line.interest, line.from_block, line.cause) for line in heard.restated_] == [
        ("chain", fork, "all 2 nodes serve another history and call it final")
    ]
    assert assert_same_tables(straight, forked, without=LEDGER) > 300


def test_kills_while_what_is_lacking_is_filled_in_change_no_row(scene: Scene, later: Path, checkout: Path) -> None:
    rng = Random(5)
    indexed(later, scene.spec, [scene.vault], scene.feeds)
    work = Work(spec=scene.spec, venues=scene.both, feeds=scene.feeds, store=str(later), span=1)

    reached = []
    for _ in range(KILLS):
        assert killed_after(rng.randint(0, 9), rng.uniform(0, 0.02), argument(work), checkout) == -9
        reached.append(read_so_far(later.parent, scene.spec.id))
    work.span = 400
    for _ in range(LATE_KILLS):  # while it derives, or takes over, or when it is done
        killed_after(1, rng.uniform(0, LONGEST_S), argument(work), checkout)
    with started([argument(work)], folder=checkout, environment=os.environ, program=PROGRAM) as last:
        assert last.stdout is not None
        last.stdout.read()
        assert last.wait(timeout=120) == 0

    assert reached == sorted(reached)
    assert len(set(reached)) > 3, "some must have met work that others had begun"
    assert_same(scene, later, without=EVIDENCE)
    assert [path.name for path in later.parent.iterdir()] == ["later.duckdb"]


def assert_same(scene: Scene, later: Path, *, without: frozenset[str] = LEDGER) -> None:
    assert assert_same_tables(scene.straight, later, without=without) > 300


@dataclass(slots=True, kw_only=True)
class Disturbing(HeardBeside):
    """Lets something happen on the chain whenever something of it was read beside the store, and ends what follows it when that is done."""

    net: Devnet
    custody: Custody
    store: Store
    rng: Random
    reorgs: int = 5
    heights: list[int] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def appended(self, progress: Progress) -> None:
        held = self.store.cursor(progress.chain_id)
        assert held is not None
        self.heights.append(held.block.number)
        if self.reorgs and self.rng.random() < 0.4:
            self.reorgs -= 1
            height = self.net.node.height()
            self.net.node.call("anvil_rollback", self.rng.choice([1, 3, 8, 21]))
            while self.net.node.height() <= height:
                self.custody.run(1)

    def restated(self, line: Restatement) -> None:
        HeardBeside.restated(self, line)
        self.stop.set()


def deeply_forked(net: Devnet, custody: Custody) -> int:
    """Let the chain take another way from a block on that was final; returns that block."""
    height = net.node.height()
    net.node.call("anvil_rollback", 12)
    fork = net.node.height() + 1
    while net.node.height() <= height + 10:
        custody.run(1)
    return fork


def restated(
    path: Path,
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    venue_id: str | None,
    first: int | None,
    accept_removal: bool = False,
) -> list[Restatement]:
    """Read again what is stored at `path`."""
    with Store.open(path) as store:
        again = restater(store, spec, venues, feeds).restate(
            venue_id=venue_id, first=first, cause="a test", accept_removal=accept_removal
        )
        return asyncio.run(again)


DEPOSIT = "SELECT rowid FROM evm_log WHERE address = $address ORDER BY block_number, log_index LIMIT 1 OFFSET 12"
"""A log of the vault, in the middle of its history."""


def changed(path: Path, scene: Scene, statement: str) -> int:
    """Change the raw row of a deposit, derive everything from what is there then, and return the block."""
    before = set(tables_of(path)["evm_log"])
    with duckdb.connect(str(path)) as con:
        ((row,),) = con.execute(DEPOSIT, {"address": scene.vault.address}).fetchall()
        con.execute(statement, {"row": row})
    with Store.open(path) as store:
        asyncio.run(rebuild(scene.spec, scene.both, scene.feeds, store, listener=Heard()))
    return min(int(str(row[1])) for row in before ^ set(tables_of(path)["evm_log"]))


def stored_before(path: Path, chain_id: str, block: int) -> int:
    """The newest stored block before one: where nothing happened, blocks of before are not kept."""
    with Store.open(path) as store, store.reading() as reader:
        found = reader.block_below(chain_id, block - 1)
    assert found is not None
    return found.number


def killed_after(batches: int, seconds: float, work: str, checkout: Path) -> int:
    """How a process ended that is killed so many seconds after it read so many batches, if it did not end before."""
    with started([work], folder=checkout, environment=os.environ, program=PROGRAM) as running:
        assert running.stdout is not None
        for _ in range(batches):
            running.stdout.readline()
        time.sleep(seconds)
        running.kill()
        return running.wait(timeout=30)


def read_so_far(folder: Path, chain_id: str) -> int:
    """How far what is lacking was read; -1 where nothing was."""
    for path in folder.glob("*restate*-read-*.duckdb"):
        with Store.open(path) as store:
            held = store.cursor(chain_id)
        return held.block.number if held else -1
    return -1
