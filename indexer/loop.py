"""Chains into the store, step by step: backfill, follow, rewind, rebuild."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Literal, Protocol, assert_never

from chains.errors import ChainError, Contradicted, DeepFork, NodeBusy, NodeWrong, RangeTooWide
from chains.model import Block, ChainSpec, FeedSpec, VenueSpec
from chains.ports import Batch, Chain, Head
from chains.registry import connect
from indexer.follow import Extend, Fork, Idle, Known, Plan, plan, probe, shared
from indexer.pipeline import Made, must_follow, take_in
from indexer.steps import Append, Finalize, Rewind
from indexer.store import Store
from indexer.store.journals import Derivation

Until = Literal["latest", "finalized"] | int

TRIES = 3
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SHORTEST_WAIT_S = 0.05
"""Between two polls, however much news there is."""

RECORDS = ("evm_log", "solana_transaction")
"""The raw tables of what happened on a chain; the others hold headers and state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One committed batch: the span, where the chain is now and where it goes, and what the batch cost.

    `records`: logs or transactions that nodes gave; `rows`: what was derived from them.
    """

    chain_id: str
    first: int
    indexed: int
    target: int
    records: int
    rows: int
    seconds: dict[str, float]


class Listener(Protocol):
    """Told of every committed step, every poll and every failure."""

    def appended(self, progress: Progress) -> None:
        """A batch was committed."""

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        """So many blocks were forgotten, down to block `to` (-1: all of them)."""

    def polled(self, chain_id: str, head: Head) -> None:
        """The nodes told their head."""

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        """A try failed and will be made again."""


async def index(chain: Chain, store: Store, *, until: Until, listener: Listener) -> None:
    """Take in a chain up to a target, then return; raises `ChainError` when the nodes fail for good."""
    intake = _Intake(chain, store, listener)
    while True:
        try:
            head = await chain.head()
            listener.polled(chain.spec.id, head)
            target = await _target(chain, store, head, until)
            while isinstance(done := await intake.step(head, target), Extend):
                intake.failures = 0
            if isinstance(done, Idle):
                return
            intake.failures = 0
        except RangeTooWide:
            raise
        except (NodeBusy, NodeWrong) as error:
            if intake.failures + 1 >= TRIES:
                raise
            await asyncio.sleep(intake.failed(error))


async def follow(chain: Chain, store: Store, *, listener: Listener, stop: asyncio.Event, poll_s: float = 1.0) -> None:
    """Take in a chain and stay at its head until `stop` is set; raises only what no retry can mend (`chains.errors.Stop`)."""
    intake = _Intake(chain, store, listener, stop)
    while not stop.is_set():
        try:
            head = await chain.head()
            listener.polled(chain.spec.id, head)
            while not stop.is_set():
                done = await intake.step(head, head.latest.number)
                intake.failures = 0
                if isinstance(done, Idle):
                    await _wait_for_news(chain, stop, poll_s)
                if not isinstance(done, Extend):
                    break
        except (NodeBusy, NodeWrong) as error:
            await _sleep(stop, intake.failed(error))


async def rebuild(
    spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec], store: Store, *, listener: Listener
) -> None:
    """Derive every journal of a chain again from its raw rows, without any node; the store changes at the end, or not at all."""
    cursor = store.cursor(spec.id)
    if cursor is None:
        return
    tip = cursor.block
    chain = connect(spec, venues, feeds, stored=store.raw(spec.id), cursor=tip)
    with store.rebuilding(spec.id) as target:
        first = spec.start_block
        while first <= tip.number:
            began = monotonic()
            batch = await chain.advance(first, tip.number, tip.number, target.state)
            derived = monotonic()
            target.apply(batch)
            seconds = {"derive": derived - began, "store": monotonic() - derived}
            listener.appended(_progress(batch, tip.number, seconds))
            first = batch.last.number + 1


async def _target(chain: Chain, store: Store, head: Head, until: Until) -> int:
    """Return the block that `until` means; a height that is still to be taken in may hold none, and then it is the one below."""
    match until:
        case "latest":
            return head.latest.number
        case "finalized":
            height = head.settled
        case number:
            height = min(number, head.latest.number)
    cursor = await asyncio.to_thread(store.cursor, chain.spec.id)
    first = cursor.block.number + 1 if cursor else chain.spec.start_block
    return await chain.floor(height) if height >= first else height


class _Intake:
    """Takes a chain into the store, step by step; `failures`: tries in a row that came to nothing."""

    def __init__(self, chain: Chain, store: Store, listener: Listener, stop: asyncio.Event | None = None) -> None:
        self.failures = 0
        self._chain = chain
        self._store = store
        self._listener = listener
        self._stop = stop

    async def step(self, head: Head, target: int) -> Plan:
        """Do one step towards `target`, and tell which; what evidence speaks against is a branch that is left."""
        try:
            return await self._step(head, target)
        except Contradicted as error:
            self._listener.failed(self._chain.spec.id, error, 0)
            return Fork(number=await self._start_over())

    async def _step(self, head: Head, target: int) -> Plan:
        chain_id = self._chain.spec.id
        cursor = await asyncio.to_thread(self._store.cursor, chain_id)
        tip = cursor.block if cursor else None
        ours = await asyncio.to_thread(_reached, self._store, chain_id, tip, head.latest.number)
        theirs = await self._chain.block(ours.number) if ours else None
        step = plan(tip, ours, theirs, start=self._chain.spec.start_block, target=target)
        match step:
            case Idle():
                await self._finalize(head)
            case Fork(number=number):
                await _rewind(self._chain, self._store, number, self._listener)
            case Extend():
                await self._extend(head, tip, step)
            case _:
                assert_never(step)
        return step

    async def _extend(self, head: Head, tip: Block | None, span: Extend) -> None:
        """Take in all settled blocks of a span, or a batch of those that can still change."""
        state = self._store.state(self._chain.spec.id)
        put = partial(self._put, head, span.last)
        if span.first <= head.settled:
            await take_in(self._chain, state, put, tip=tip, span=span, settled=head.settled, halted=self._halted)
            return
        began = monotonic()
        batch = await self._chain.advance(span.first, span.last, head.settled, state)
        must_follow(self._chain.spec.id, tip, batch)
        await put(tip, Made(batch, Derivation(batch.rows), monotonic() - began))

    async def _put(self, head: Head, target: int, tip: Block | None, made: Made) -> None:
        began = monotonic()
        await asyncio.to_thread(self._store.apply, Append(parent=tip, batch=made.batch, derived=made.derived))
        stored = monotonic()
        self.failures = 0
        try:
            await self._finalize(head)
        finally:
            seconds = {"fetch": made.seconds, "store": stored - began, "attest": monotonic() - stored}
            self._listener.appended(_progress(made.batch, target, seconds))

    async def _finalize(self, head: Head) -> None:
        """Let settled blocks be final once they are attested; raises `Contradicted`."""
        chain_id = self._chain.spec.id
        cursor = await asyncio.to_thread(self._store.cursor, chain_id)
        if cursor is None or (number := min(head.settled, cursor.block.number)) <= cursor.finalized:
            return
        first = max(cursor.finalized + 1, self._chain.spec.start_block)
        if first > number:
            return
        state, records = self._store.state(chain_id), self._store.records(chain_id)
        seen = await self._chain.attest(first, number, state, records)
        final = Finalize(chain_id=chain_id, number=number, covered=seen.covered, findings=seen.findings)
        await asyncio.to_thread(self._store.apply, final)

    async def _start_over(self) -> int:
        """Forget all blocks that are not final; returns the first of them."""
        chain_id = self._chain.spec.id
        cursor = await asyncio.to_thread(self._store.cursor, chain_id)
        assert cursor is not None  # noqa: S101 - what was attested is stored
        final = self._store.block(chain_id, cursor.finalized)
        await asyncio.to_thread(self._store.apply, Rewind(chain_id=chain_id, to=final))
        first = final.number + 1 if final else self._chain.spec.start_block
        self._listener.rewound(chain_id, cursor.block.number - first + 1, first - 1)
        return first

    def failed(self, error: ChainError) -> float:
        """Count a failure and tell of it; returns how long to wait before the next try."""
        self.failures += 1
        pause = _pause(self.failures)
        self._listener.failed(self._chain.spec.id, error, pause)
        return pause

    def _halted(self) -> bool:
        return self._stop is not None and self._stop.is_set()


def _reached(store: Store, chain_id: str, tip: Block | None, latest: int) -> Block | None:
    """The highest stored block that nodes with this latest block have reached; a height may be empty here."""
    if tip is None or tip.number <= latest:
        return tip
    below = [block for block in store.window(chain_id) if block.number <= latest]
    return below[-1] if below else store.block(chain_id, latest)


async def _rewind(chain: Chain, store: Store, height: int, listener: Listener) -> None:
    """Forget what the chain left: the stored block at `height`, all above it, and those below it that the nodes do not share."""
    chain_id = chain.spec.id
    cursor = await asyncio.to_thread(store.cursor, chain_id)
    held = await asyncio.to_thread(store.window, chain_id)
    window = [block for block in held if block.number < height]
    theirs: dict[int, Known] = {}
    while (number := probe(window, theirs)) is not None:
        theirs[number] = await _known(chain, number)
    to = shared(window, theirs)
    assert cursor is not None  # noqa: S101 - a fork is a fork of something stored
    if (to.number if to else -1) < cursor.finalized:
        await _confirm(chain, held, cursor.finalized)
        message = (
            f"chain {chain_id}: the node's block {cursor.finalized} is not the one that was final here. Either the node"
            " serves another history (a devnet that was started again?) and a new store is needed, or it is wrong"
        )
        raise DeepFork(message)
    await asyncio.to_thread(store.apply, Rewind(chain_id=chain_id, to=to))
    depth = cursor.block.number - (to.number if to else chain.spec.start_block - 1)
    listener.rewound(chain_id, depth, to.number if to else -1)


async def _confirm(chain: Chain, held: Sequence[Block], finalized: int) -> None:
    """Ask again for the last final block: one answer that names another is no reason to stop for good, if the next one does not."""
    ours = next((block for block in held if block.number == finalized), None)
    theirs = await _known(chain, finalized)
    if ours is not None and isinstance(theirs, Block) and theirs.hash == ours.hash:
        raise NodeWrong(
            f"chain {chain.spec.id}: a node named another block {finalized} than the one that is final, and takes it back"
        )


async def _known(chain: Chain, number: int) -> Known:
    """Ask for a height that the nodes have passed: not to know it is no sign of another branch, and nothing is forgotten for it."""
    theirs = await chain.block(number)
    if theirs is None:
        raise NodeWrong(
            f"chain {chain.spec.id}: the nodes are past block {number} and do not give it now; where the chain changed is not known yet"
        )
    return theirs


def _progress(batch: Batch, target: int, seconds: dict[str, float]) -> Progress:
    return Progress(
        chain_id=batch.chain_id,
        first=batch.first,
        indexed=batch.last.number,
        target=target,
        records=sum(batch.raw[name].num_rows for name in RECORDS if name in batch.raw),
        rows=len(batch.rows),
        seconds=seconds,
    )


def _pause(failures: int) -> float:
    return float(min(PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S))


async def _wait_for_news(chain: Chain, stop: asyncio.Event, longest_s: float) -> None:
    """Return when `stop` is set, or a node tells of something new, or the time is over."""
    began = monotonic()
    told = asyncio.create_task(chain.news(longest_s))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({told, stopped}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        stopped.cancel()
        ended = await asyncio.gather(told, stopped, return_exceptions=True)
    for fault in ended:
        if isinstance(fault, Exception):
            raise fault
    await _sleep(stop, SHORTEST_WAIT_S - (monotonic() - began))


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
