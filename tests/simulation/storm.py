"""A storm: two faulty nodes of one chain, reorgs, and an indexer that is killed over and over, all by one seed.

`python -m tests.simulation.storm --seeds 50 --first-seed 1` weathers so many storms and says how to repeat one that failed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple, TypeAlias

from chains.evm.chain import connect
from indexer.store import Store
from tests.devnet.evm.chain import Devnet, build
from tests.simulation.follower import Follower, Work, counted
from tests.support.faulty.faults import accidents
from tests.support.faulty.limits import RangeLimit, ResultLimit
from tests.support.faulty.missing import Forgetful, Oblivion, omissions
from tests.support.faulty.node import FaultyNode
from tests.support.faulty.wire import Exchange
from tests.support.indexing import chain_of, feeds_of, take_in, venue_of
from tests.support.past import Past
from tests.support.tables import assert_same_tables

KILLS, REORGS = 20, 20
EPOCH = 16
WINDOW = 2 * EPOCH
"""How many of its newest blocks the chain may take back: what it called final stays."""

BEFORE = 60
DEPTHS = (1, 1, 1, 2, 2, 3, 5, 8, 13, 21, WINDOW)
EXCHANGES = (1, 50)
SILENCE_S = 1.5
FORGOTTEN = 0.02


Blow: TypeAlias = Literal["kill", "rollback", "replacement"]


class Turn(NamedTuple):
    """Something done to a chain and its indexer: people fill some blocks, nodes are asked so often, and then the blow falls.

    `depth`: blocks taken back; `late_s`: seconds between the last exchange and a kill, `None` for a kill in the middle of it.
    """

    blow: Blow
    blocks: int
    exchanges: int
    depth: int
    late_s: float | None


def story(rng: Random) -> list[Turn]:
    """Tell in which order the blows fall, and upon what."""
    blows: list[Blow] = ["kill"] * KILLS
    blows += ["rollback", "replacement"] * (REORGS // 2)
    rng.shuffle(blows)
    return [_turn(rng, blow) for blow in blows]


def _turn(rng: Random, blow: Blow) -> Turn:
    late_s = rng.choice([None, rng.uniform(0, 0.03)])
    return Turn(blow, rng.randint(0, 4), rng.randint(*EXCHANGES), rng.choice(DEPTHS), late_s)


class Tide:
    """Counts what all nodes together were asked, and stops every answer at a chosen count."""

    def __init__(self) -> None:
        self.asked = 0
        self._mark: int | None = None
        self._told = asyncio.Condition()
        self._reached = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    async def heard(self, exchange: Exchange) -> None:
        """Let an exchange pass, or wait while answers are held."""
        self.asked += 1
        async with self._told:
            self._told.notify_all()
        if self._mark is not None and self.asked >= self._mark:
            self._mark = None
            self._open.clear()
            self._reached.set()
        await self._open.wait()

    async def flows(self, exchanges: int) -> None:
        """Wait for so many more exchanges."""
        until = self.asked + exchanges
        async with self._told:
            await self._told.wait_for(lambda: self.asked >= until)

    async def reaches(self, after: int) -> None:
        """Wait for so many more exchanges; from then on nothing is answered until the tide is `open` again."""
        self._reached.clear()
        self._mark = self.asked + after
        await self._reached.wait()

    def open(self) -> None:
        """Let answers pass again."""
        self._mark = None
        self._open.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weathered:
    """What a storm was, and what it left: `difference` is `None` where the tables are those of a calm run."""

    seed: int
    head: str
    rows: int
    difference: str | None
    faults: Counter[str]
    diary: Counter[str]
    lives: int
    exchanges: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"head {self.head[:10]}, {self.rows} rows, {self.lives} lives, {self.diary['rewound']} rewinds,"
            f" {self.faults.total()} faults of {len(self.faults)} kinds in {self.exchanges} exchanges, {self.seconds:.1f} s"
        )


async def weather(seed: int, folder: Path, *, completeness: str = "receipts", missing: bool = True) -> Weathered:
    """Let a storm pass over an indexer, and compare what it stored with a calm run; `missing`: nodes leave logs out, too."""
    began, rng, tide = time.monotonic(), Random(seed), Tide()
    stormy, calm = folder / "stormy.duckdb", folder / "calm.duckdb"
    with build(seed=seed, actions=0, slots_in_an_epoch=EPOCH) as net:
        sea = Sea(net, Past(net, Random(seed)), tide)
        sea.act(BEFORE)
        spec = replace(chain_of(net), completeness=completeness)
        oblivion = Oblivion(f"{seed}/oblivion", FORGOTTEN if missing else 0)
        async with nodes_of(net, seed, tide, oblivion) as nodes:
            work = Work(
                chain=replace(spec, rpc=tuple(node.url for node in nodes)),
                venues=[venue_of(net)],
                feeds=feeds_of(net),
                store=stormy,
                diary=folder / "diary.jsonl",
            )
            with following(work) as follower:
                for number, turn in enumerate(story(rng), 1):
                    with sea.located(number, turn):
                        await sea.endure(turn, follower)
                follower.kill()
                for node in nodes:
                    node.faulty = False
                follower.start(ends=True)
                await follower.finish()
        with Store.open(calm) as store:
            await take_in(connect(spec, work.venues, work.feeds), store)
        head = str(net.node.header()["hash"])
    rows, difference = compared(stormy, calm)
    return Weathered(
        seed=seed,
        head=head,
        rows=rows,
        difference=difference,
        faults=sum((node.kinds for node in nodes), Counter()),
        diary=counted(follower.diary()),
        lives=follower.lives,
        exchanges=tide.asked,
        seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class Sea:
    """The chain under the storm: its people, and how high it ever was."""

    net: Devnet
    past: Past
    tide: Tide
    highest: int = 0

    def act(self, blocks: int) -> None:
        """Let people fill so many blocks, now and then with a crowd in one."""
        for _ in range(blocks):
            if self.past.rng.random() < 0.3:
                self.past.crowd(self.past.rng.randint(2, 5))
            else:
                self.past.act(1)
        self.highest = max(self.highest, self.net.node.height())

    @contextmanager
    def located(self, number: int, turn: Turn) -> Iterator[None]:
        """Say of an error in which turn it was raised, and where chain and nodes stood."""
        try:
            yield
        except AssertionError as error:
            error.add_note(f"turn {number}, {turn}: chain at {self.net.node.height()}, {self.tide.asked} exchanges")
            raise

    async def endure(self, turn: Turn, follower: Follower) -> None:
        """Do one turn of the story."""
        await asyncio.to_thread(self.act, turn.blocks)
        if turn.blow == "kill":
            await self._kill(turn, follower)
        else:
            await self._take_back(turn, follower)

    async def _kill(self, turn: Turn, follower: Follower) -> None:
        async with self._held(turn, follower):
            if turn.late_s is None:
                follower.kill()
        if turn.late_s is not None:
            await asyncio.sleep(turn.late_s)
            follower.kill()
        follower.start()

    async def _take_back(self, turn: Turn, follower: Follower) -> None:
        depth = min(turn.depth, WINDOW - (self.highest - self.net.node.height()))
        await follower.until(self._stores(follower, self.net.node.height() - depth + 1))
        async with self._held(turn, follower):
            (self.past.undo if turn.blow == "rollback" else self.past.empty)(depth)
        await asyncio.to_thread(self.act, depth + 1)

    async def _stores(self, follower: Follower, height: int) -> None:
        """Wait until the indexer has what will be taken back."""
        while follower.height() < height:
            await self.tide.flows(3)

    @asynccontextmanager
    async def _held(self, turn: Turn, follower: Follower) -> AsyncIterator[None]:
        """Wait for the exchange at which the blow falls; no node answers while the block runs."""
        try:
            await follower.until(self.tide.reaches(turn.exchanges))
            yield
        finally:
            self.tide.open()


@asynccontextmanager
async def nodes_of(net: Devnet, seed: int, tide: Tide, oblivion: Oblivion) -> AsyncIterator[list[FaultyNode]]:
    """Two nodes of a chain, the first of them much worse; both lack the same logs."""
    deck = [*accidents(silence_s=SILENCE_S, window=WINDOW), *(omissions() if oblivion.share else ())]
    worse = FaultyNode(
        net.url, seed=f"{seed}/worse", accidents=deck, share=0.2, heard=tide.heard,
        habits=[RangeLimit(limit=20), ResultLimit(limit=150), Forgetful(oblivion=oblivion)],
    )  # fmt: skip
    better = FaultyNode(
        net.url,
        seed=f"{seed}/better",
        accidents=deck,
        share=0.04,
        heard=tide.heard,
        habits=[RangeLimit(limit=50), Forgetful(oblivion=oblivion)],
    )
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node) for node in (worse, better)]


@contextmanager
def following(work: Work) -> Iterator[Follower]:
    """An indexer that lives, and is not left behind."""
    follower = Follower(work)
    follower.start()
    try:
        yield follower
    finally:
        follower.put_down()


def compared(stormy: Path, calm: Path) -> tuple[int, str | None]:
    """Return how many rows were equal, and else the first difference."""
    try:
        return assert_same_tables(stormy, calm), None
    except AssertionError as difference:
        return 0, str(difference)


def main(arguments: Sequence[str]) -> int:
    """Weather storms one after the other; returns how many failed."""
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many storms")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--completeness", default="receipts", help="evidence to look for; with none, storms leave gaps")
    parser.add_argument("--no-missing-logs", dest="missing", action="store_false", help="nodes leave no log out")
    asked = parser.parse_args(arguments)
    kind = {"completeness": asked.completeness, "missing": asked.missing}
    return sum(not weathered_well(seed, **kind) for seed in range(asked.first_seed, asked.first_seed + asked.seeds))


def weathered_well(seed: int, **kind: Any) -> bool:
    """Weather one storm and say how it went; what a failed one left is kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"storm-{seed}-"))
    told, problem = "", None
    try:
        left = asyncio.run(weather(seed, folder, **kind))
        told, problem = str(left), left.difference
    except (AssertionError, TimeoutError) as error:
        problem = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    if problem is None:
        shutil.rmtree(folder)
    else:
        told += f' FAILED: {problem}\n  again: make storm ARGS="--seeds 1 --first-seed {seed}"; left in {folder}'
    sys.stdout.write(f"seed {seed}: {told}\n")
    sys.stdout.flush()
    return problem is None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
