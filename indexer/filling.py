"""Reading what a store lacks beside it, and deriving the chain again from both: all that `Restate` takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from threading import Event
from time import time
from typing import Self

from chains import registry
from chains.errors import DeepFork, HistoryGone
from chains.model import Block
from chains.ports import RawReader
from indexer import beside, loop
from indexer.lacking import Configured, Connect, Lack
from indexer.loop import Listener
from indexer.steps import Append, Finalize, Place, Reread, Restate, Rewind
from indexer.store import Cursor, Restatement, StepRefused, Store
from indexer.store.merged import MergedRaw

NEAR = 200
"""Blocks that are few enough to be read while the chain waits."""

Clock = Callable[[], float]


class Filling:
    """What a chain's store lacks, on its way into it; `accept_removal`: stored logs that nodes do not give any more may go.

    The stores beside the store are its own while it is open. What was read is kept when it breaks off, what was derived is not.
    """

    def __init__(
        self,
        here: Configured,
        lack: Lack,
        store: Store,
        *,
        connect: Connect,
        listener: Listener,
        accept_removal: bool = False,
        clock: Clock = time,
    ) -> None:
        spec = replace(here.spec, start_block=lack.start)
        purpose = beside.purpose_of(spec, lack.venues, lack.feeds, lack.first)
        self._whole = here
        self._part = Configured(spec=spec, venues=lack.venues, feeds=lack.feeds)
        self._lack = lack
        self._store = store
        self._connect = connect
        self._listener = listener
        self._accept_removal = accept_removal
        self._clock = clock
        self._chain_id = spec.id
        self._read = beside.Beside(beside.place(store.path, spec.id, beside.READ, purpose))
        self._derived = beside.Beside(beside.place(store.path, spec.id, beside.DERIVED, purpose))

    async def __aenter__(self) -> Self:
        beside.cleared(self._store.path, self._chain_id, keep=self._read.path)
        held = await asyncio.to_thread(self._cursor, self._read.store)
        if held is not None and not held.hash:
            await asyncio.to_thread(self._read.remove)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._read.close)
        await asyncio.to_thread(self._derived.remove)

    async def approach(self) -> bool:
        """Read until little is left, and derive what is final; raises `ChainError` and `StoreError`."""
        while True:
            goal = self._reached()
            await self._read_to(goal.block.number)
            await self._derive_final()
            if self._reached().block.number - goal.block.number <= NEAR:
                return True

    async def finish(self) -> list[Restatement]:
        """Read and derive the rest while nobody follows the chain, and take it over; returns what was restated.

        Does nothing if the chain moved meanwhile. Raises `ChainError`, and `StepRefused` where stored logs are not given any more.
        """
        goal = self._reached().block
        await self._read_to(goal.number)
        if self._cursor(self._read.store) != goal:
            return []
        gone = await asyncio.to_thread(self._gone)
        if gone:
            self._check_removal(gone)
            await asyncio.to_thread(self._derived.remove)
        await self._derive(goal, gone, final=False)
        return await asyncio.to_thread(self._take_over, goal, gone)

    def _take_over(self, goal: Block, gone: frozenset[Place]) -> list[Restatement]:
        change = Reread(
            first=self._lack.first,
            interests=self._lack.interests,
            read=self._read.store.tables(self._chain_id),
            derived=self._derived.store.tables(self._chain_id),
            venues=frozenset(venue.id for venue in self._whole.venues),
            feeds=self._lack.feeds,
            gone=gone,
        )
        at, before = int(self._clock()), len(self._restatements())
        self._store.apply(Restate(chain_id=self._chain_id, cursor=goal, cause=self._lack.cause, at=at, change=change))
        self._derived.remove()
        self._read.remove()
        return self._restatements()[before:]

    def _restatements(self) -> list[Restatement]:
        with self._store.reading() as reader:
            return reader.restatements(self._chain_id)

    def _reached(self) -> Cursor:
        held = self._store.cursor(self._chain_id)
        assert held is not None  # noqa: S101 - where nothing is stored, nothing is lacking
        return held

    def _cursor(self, store: Store) -> Block | None:
        held = store.cursor(self._chain_id)
        return held.block if held else None

    async def _read_to(self, number: int) -> None:
        """Read what is lacking up to a block; what was read of another history is let go."""
        if self._cursor(self._read.store) is None:
            await self._seed()
        try:
            await self._ask(number)
        except DeepFork:
            await asyncio.to_thread(self._read.remove)
            await asyncio.to_thread(self._derived.remove)
            await self._seed()
            await self._ask(number)

    async def _ask(self, number: int) -> None:
        part = self._part
        async with aclosing(self._connect(part.spec, part.venues, part.feeds)) as chain:
            await loop.index(chain, self._read.store, until=number, listener=self._listener)

    async def _seed(self) -> None:
        """Begin with what is stored and was complete, so that nodes are asked only for the rest."""
        with self._store.reading() as reader:
            last = reader.block_below(self._chain_id, min(self._lack.first - 1, self._reached().finalized))
        if last is None or last.number < self._lack.start:
            return
        try:
            raw = self._store.raw(self._chain_id)
            await in_thread(lambda halt: derive(self._part, raw, last, self._read.store, halt=halt, final=True))
        except HistoryGone:
            await asyncio.to_thread(self._read.remove)

    async def _derive_final(self) -> None:
        """Derive what is final in both stores."""
        read = self._read.store.cursor(self._chain_id)
        final = min(self._reached().finalized, read.finalized if read else -1)
        goal = next(iter(self._raw(frozenset()).blocks(final, final)), None)
        if goal is not None:
            await self._derive(goal, frozenset(), final=True)

    async def _derive(self, goal: Block, gone: frozenset[Place], *, final: bool) -> None:
        """Derive the whole chain up to a block; what is not final is derived anew each time."""
        raw = self._raw(gone)
        await in_thread(lambda halt: derive(self._whole, raw, goal, self._derived.store, halt=halt, final=final))

    def _raw(self, gone: frozenset[Place]) -> MergedRaw:
        return MergedRaw(self._store.raw(self._chain_id), self._read.store.raw(self._chain_id), gone)

    def _gone(self) -> frozenset[Place]:
        with self._store.reading() as reader:
            return reader.logs_gone(self._chain_id, self._lack.interests, self._read.store.tables(self._chain_id))

    def _check_removal(self, gone: frozenset[Place]) -> None:
        if self._accept_removal:
            return
        block, log_index = min(gone)
        raise StepRefused(
            f"{self._chain_id}: {len(gone)} stored logs, the first of them log {log_index} of block {block}, are not among what the"
            " nodes give now; nothing was changed. Ask other nodes, or let those logs go with --accept-removal"
        )


class _Halted(Exception):
    """Deriving was called off between two batches."""


def derive(here: Configured, raw: RawReader, goal: Block, into: Store, *, halt: Event, final: bool) -> None:
    """Derive a chain from raw rows into a store, from its last final block up to `goal`; asks no node."""
    asyncio.run(_derive(here, raw, goal, into, halt=halt, final=final))


async def _derive(here: Configured, raw: RawReader, goal: Block, into: Store, *, halt: Event, final: bool) -> None:
    chain_id = here.spec.id
    held = into.cursor(chain_id)
    if held is not None and held.block.number > held.finalized:
        into.apply(Rewind(chain_id=chain_id, to=into.block(chain_id, held.finalized)))
        held = into.cursor(chain_id)
    tip = held.block if held else None
    first = tip.number + 1 if tip else here.spec.start_block
    async with aclosing(registry.connect(here.spec, here.venues, here.feeds, stored=raw, cursor=goal)) as chain:
        while first <= goal.number:
            if halt.is_set():
                raise _Halted
            batch = await chain.advance(first, goal.number, goal.number, into.state(chain_id))
            into.apply(Append(parent=tip, batch=batch))
            if final:
                into.apply(Finalize(chain_id=chain_id, number=batch.last.number))
            tip, first = batch.last, batch.last.number + 1


async def in_thread(work: Callable[[Event], None]) -> None:
    """Do long work in a thread that is told when nobody waits for it any more, and wait until it has ended."""
    halt = Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, halt))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        halt.set()
        with suppress(_Halted):
            await working
        raise
