"""What a store lacks is filled in beside it, while its chain is followed: venues and feeds that came later, blocks to be read again.

What is lacking is read by the ordinary engine into a store of its own. When that is as far as the store, the whole chain is derived again
from both, without any node, into a second one, and one step, `Restate`, takes over what became different. Whatever breaks off leaves the
store as it was, and what was read is gone on with. Until the step the store follows its chain without what it lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import time
from typing import Protocol, TypeVar, cast

from chains.errors import DeepFork, HistoryGone, NodeBusy, NodeWrong, Unsupported
from chains.identifiers import PYTH, SOLANA, namespace_of
from chains.model import Block
from chains.ports import Chain
from indexer import loop
from indexer.beside import cleared
from indexer.filling import Clock, Filling
from indexer.forks import Branch, branch_of, branches, certain
from indexer.lacking import Configured, Connect, Lack, again, lacking
from indexer.loop import Listener, Until
from indexer.steps import Forget, Restate
from indexer.store import Restatement, Store, StoreError

TRIES = 5
PAUSE_S = 5.0
"""Between two tries to fill in what is lacking; each try has retries of its own."""

T = TypeVar("T")


class Told(Listener, Protocol):
    """Told of what is read beside the store, and of what became of it."""

    def restated(self, line: Restatement) -> None:
        """An interest was filled in, read again, or forgotten."""

    def abandoned(self, chain_id: str, error: Exception) -> None:
        """What is lacking cannot be filled in as things are; the chain is followed without it."""


class _Abandoned(Exception):
    """What is lacking cannot be filled in; the cause says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restater:
    """Takes one chain into its store, and restates what has to be."""

    here: Configured
    store: Store
    connect: Connect
    listener: Listener
    told: Told
    clock: Clock = time

    async def index(self, until: Until) -> None:
        """Take in the chain up to a target, and fill in what is lacking up to there; raises `ChainError` and `StoreError`."""
        for _ in range(TRIES):
            try:
                async with aclosing(self._chain(await self._lacking())) as chain:
                    await loop.index(chain, self.store, until=until, listener=self.listener)
            except DeepFork as error:
                await self._undo(error)
                continue
            lack = await self._lacking()
            if lack is None or await self._filled(lack):
                return
        raise NodeWrong(f"chain {self.here.spec.id}: it moves while what is lacking is filled in; try again")

    async def follow(self, stop: asyncio.Event, *, poll_s: float = 1.0) -> None:
        """Take in the chain and stay at its head until `stop` is set, and fill in meanwhile what is lacking.

        Raises what no retry can mend (`chains.errors.Stop`), and `StoreError`.
        """
        wanted = True
        while not stop.is_set():
            lack = await self._lacking()
            try:
                async with aclosing(self._chain(lack)) as chain:
                    if lack is None or not wanted:
                        await self._stay(chain, stop, poll_s)
                    else:
                        wanted = await self._fill_along(chain, lack, stop, poll_s)
            except DeepFork as error:
                await self._undo(error)

    async def restate(
        self, *, venue_id: str | None, first: int | None, cause: str, accept_removal: bool
    ) -> list[Restatement]:
        """Read a venue, or everything, again from a block on, or take over the history that nodes serve; returns what was restated.

        Raises `ChainError`, and `StepRefused` where stored logs are not given any more, unless they may go.
        """
        async with aclosing(self.connect(self.here.spec, (), ())) as node:
            branch = await branch_of(node, self.store)
        if branch is not None:
            return await self._forget(await asyncio.to_thread(self._fork, branch, first), cause)
        if namespace_of(self.here.spec.id) in {SOLANA, PYTH}:
            raise Unsupported(
                f"chain {self.here.spec.id}: what was seen before cannot be read again; index into a new store"
            )
        for _ in range(TRIES):
            lack = await asyncio.to_thread(self._again, venue_id, first, cause)
            if lines := await self._filled(lack, accept_removal=accept_removal):
                return lines
        raise NodeWrong(
            f"chain {self.here.spec.id}: its head is not the one that is stored; run `crossmargin index`, then this again"
        )

    def _chain(self, lack: Lack | None) -> Chain:
        part = self.here.without(lack)
        return self.connect(part.spec, part.venues, part.feeds)

    async def _stay(self, chain: Chain, stop: asyncio.Event, poll_s: float) -> None:
        await loop.follow(chain, self.store, listener=self.listener, stop=stop, poll_s=poll_s)

    async def _lacking(self) -> Lack | None:
        """What is missing now; where nothing is, what was left of filling in goes."""

        def found() -> Lack | None:
            with self.store.reading() as reader:
                lack = lacking(reader, self.here)
            if lack is None:
                cleared(self.store.path, self.here.spec.id)
            return lack

        return await asyncio.to_thread(found)

    def _again(self, venue_id: str | None, first: int | None, cause: str) -> Lack:
        with self.store.reading() as reader:
            return again(reader, self.here, venue_id, first or 0, cause)

    def _filling(self, lack: Lack, *, accept_removal: bool = False) -> Filling:
        with self.store.reading() as reader:
            derived = self.here.without(lacking(reader, self.here)).having(lack)
        return Filling(
            derived,
            lack,
            self.store,
            connect=self.connect,
            listener=self.told,
            accept_removal=accept_removal,
            clock=self.clock,
        )

    async def _filled(self, lack: Lack, *, accept_removal: bool = False) -> list[Restatement]:
        """Fill in what is lacking while nobody follows the chain; returns nothing if the chain moved meanwhile."""
        async with self._filling(lack, accept_removal=accept_removal) as filling:
            await filling.approach()
            return self._tell(await filling.finish())

    async def _fill_along(self, chain: Chain, lack: Lack, stop: asyncio.Event, poll_s: float) -> bool:
        """Fill in what is lacking while the chain is followed; returns whether it makes sense to go on with that."""
        wait_s = 0.0
        try:
            async with self._filling(lack) as filling:
                while True:
                    await self._until_near(chain, filling, stop, poll_s, wait_s)
                    if stop.is_set() or self._tell(await self._tried(filling.finish)):
                        return True
                    wait_s = poll_s
        except _Abandoned as abandoned:
            self.told.abandoned(self.here.spec.id, cast("Exception", abandoned.__cause__))
            return False

    async def _until_near(
        self, chain: Chain, filling: Filling, stop: asyncio.Event, poll_s: float, wait_s: float
    ) -> None:
        """Follow the chain, for `wait_s` at least, until what is lacking is nearly as far; then nobody does."""
        halt = asyncio.Event()
        following = asyncio.create_task(self._stay(chain, halt, poll_s))
        reading = asyncio.create_task(self._approached(filling, wait_s))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({following, reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            halt.set()
            for task in (reading, stopped):
                task.cancel()
            await asyncio.gather(reading, stopped, return_exceptions=True)
            await following
        if not reading.cancelled():
            reading.result()

    async def _approached(self, filling: Filling, wait_s: float) -> None:
        """Read, however often nodes fail, until little is left."""
        await asyncio.sleep(wait_s)
        while await self._tried(filling.approach) is None:
            pass

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do some work of filling in; returns `None` after a pause if the nodes failed."""
        try:
            return await work()
        except (NodeBusy, NodeWrong) as error:
            self.told.failed(self.here.spec.id, error, PAUSE_S)
            await asyncio.sleep(PAUSE_S)
            return None
        except (HistoryGone, StoreError) as error:
            raise _Abandoned from error

    async def _undo(self, error: DeepFork) -> None:
        """Take over the history of the nodes where it is certain; raises `DeepFork` where it is not."""
        spec, found = self.here.spec, await branches(self.here, self.store, self.connect)
        branch = certain(self.here, found)
        if branch is None:
            first = min((other.first for other in found if other is not None), default=spec.start_block)
            advice = f"or, if the node is right, `crossmargin restate --chain {spec.id} --from {first}` takes over its history"
            raise DeepFork(f"{error}; {advice}") from error
        await self._forget(branch.to, f"all {len(found)} nodes serve another history and call it final")

    def _fork(self, branch: Branch, first: int | None) -> Block | None:
        """The block that stays when another history is taken over; raises `DeepFork` where more has to go than was said."""
        if first is None or first > branch.first:
            raise DeepFork(
                f"chain {self.here.spec.id}: the nodes serve another history from block {branch.first} on, below what was final here;"
                f" if it is the right one, take it over with --from {branch.first}"
            )
        with self.store.reading() as reader:
            return branch.to if first == branch.first else reader.block_below(self.here.spec.id, first - 1)

    async def _forget(self, to: Block | None, cause: str) -> list[Restatement]:
        chain_id = self.here.spec.id
        held = await asyncio.to_thread(self.store.cursor, chain_id)
        assert held is not None  # noqa: S101 - a fork is a fork of something stored
        step = Restate(chain_id=chain_id, cursor=held.block, cause=cause, at=int(self.clock()), change=Forget(to=to))
        await asyncio.to_thread(self.store.apply, step)
        number = to.number if to else self.here.spec.start_block - 1
        self.listener.rewound(chain_id, held.block.number - number, to.number if to else -1)
        with self.store.reading() as reader:
            return self._tell(reader.restatements(chain_id)[-1:])

    def _tell(self, lines: list[Restatement] | None) -> list[Restatement]:
        for line in lines or ():
            self.told.restated(line)
        return lines or []
