"""Chains into the store, step by step: backfill, follow, rewind, rebuild."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, Protocol

from chains.errors import ChainError, DeepFork, NodeBusy, NodeWrong, RangeTooWide
from chains.model import Block, ChainSpec, FeedSpec, VenueSpec
from chains.ports import Batch, Chain, Head
from chains.registry import connect
from indexer.follow import Extend, Fork, Idle, plan, probe, shared
from indexer.steps import Append, Finalize, Rewind
from indexer.store import Store

Until = Literal["latest", "finalized"] | int

TRIES = 3
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One committed batch: the span, where the chain is now and where it goes, and what the batch cost."""

    chain_id: str
    first: int
    indexed: int
    target: int
    logs: int
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
    failures = 0
    while True:
        try:
            head = await chain.head()
            listener.polled(chain.spec.id, head)
            target = _target(head, until)
            while await _step(chain, store, head, target, listener):
                failures = 0
        except RangeTooWide:
            raise
        except (NodeBusy, NodeWrong) as error:
            failures += 1
            if failures >= TRIES:
                raise
            pause = _pause(failures)
            listener.failed(chain.spec.id, error, pause)
            await asyncio.sleep(pause)
        else:
            return


async def follow(chain: Chain, store: Store, *, listener: Listener, stop: asyncio.Event, poll_s: float = 1.0) -> None:
    """Take in a chain and stay at its head until `stop` is set; raises only what no retry can mend (`chains.errors.Stop`)."""
    failures = 0
    while not stop.is_set():
        try:
            head = await chain.head()
            listener.polled(chain.spec.id, head)
            while not stop.is_set() and await _step(chain, store, head, head.latest.number, listener):
                failures = 0
            failures, pause = 0, poll_s
        except (NodeBusy, NodeWrong) as error:
            failures += 1
            pause = _pause(failures)
            listener.failed(chain.spec.id, error, pause)
        await _sleep(stop, pause)


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


def _target(head: Head, until: Until) -> int:
    match until:
        case "latest":
            return head.latest.number
        case "finalized":
            return head.settled
        case number:
            return min(number, head.latest.number)


async def _step(chain: Chain, store: Store, head: Head, target: int, listener: Listener) -> bool:
    """Do one step towards `target`; tell whether there may be another."""
    chain_id = chain.spec.id
    cursor = await asyncio.to_thread(store.cursor, chain_id)
    tip = cursor.block if cursor else None
    height = min(tip.number, head.latest.number) if tip else 0
    ours = await asyncio.to_thread(store.block, chain_id, height) if tip else None
    theirs = await chain.block(height) if tip else None
    match plan(tip, ours, theirs, start=chain.spec.start_block, target=target):
        case Idle():
            await _finalize(store, chain_id, head)
            return False
        case Fork():
            await _rewind(chain, store, listener)
        case Extend(first=first, last=last):
            began = monotonic()
            batch = await chain.advance(first, last, head.settled, store.state(chain_id))
            _must_follow(chain_id, tip, batch)
            fetched = monotonic()
            await asyncio.to_thread(store.apply, Append(parent=tip, batch=batch))
            await _finalize(store, chain_id, head)
            seconds = {"fetch": fetched - began, "store": monotonic() - fetched}
            listener.appended(_progress(batch, target, seconds))
    return True


async def _finalize(store: Store, chain_id: str, head: Head) -> None:
    cursor = await asyncio.to_thread(store.cursor, chain_id)
    if cursor is not None and (number := min(head.settled, cursor.block.number)) > cursor.finalized:
        await asyncio.to_thread(store.apply, Finalize(chain_id=chain_id, number=number))


async def _rewind(chain: Chain, store: Store, listener: Listener) -> None:
    chain_id = chain.spec.id
    cursor = await asyncio.to_thread(store.cursor, chain_id)
    window = await asyncio.to_thread(store.window, chain_id)
    theirs: dict[int, Block | None] = {}
    while (number := probe(window, theirs)) is not None:
        theirs[number] = await chain.block(number)
    to = shared(window, theirs)
    assert cursor is not None  # noqa: S101 - a fork is a fork of something stored
    if (to.number if to else -1) < cursor.finalized:
        message = (
            f"chain {chain_id}: the node's block {cursor.finalized} is not the one that was final here. Either the node"
            " serves another history (a devnet that was started again?) and a new store is needed, or it is wrong"
        )
        raise DeepFork(message)
    await asyncio.to_thread(store.apply, Rewind(chain_id=chain_id, to=to))
    depth = cursor.block.number - (to.number if to else chain.spec.start_block - 1)
    listener.rewound(chain_id, depth, to.number if to else -1)


def _must_follow(chain_id: str, tip: Block | None, batch: Batch) -> None:
    numbers = batch.raw["evm_block"]["number"].to_pylist() if "evm_block" in batch.raw else []
    if tip is None or batch.first not in numbers:
        return
    parent = batch.raw["evm_block"]["parent_hash"][numbers.index(batch.first)].as_py()
    if parent != tip.hash:
        raise NodeWrong(
            f"chain {chain_id}: block {batch.first} does not follow the stored block {tip.number}; it moved"
        )


def _progress(batch: Batch, target: int, seconds: dict[str, float]) -> Progress:
    rows = batch.rows
    derived = (rows.positions, rows.markets, rows.accounts, rows.prices, rows.events, rows.quarantined)
    return Progress(
        chain_id=batch.chain_id,
        first=batch.first,
        indexed=batch.last.number,
        target=target,
        logs=batch.raw["evm_log"].num_rows if "evm_log" in batch.raw else 0,
        rows=sum(len(part) for part in derived),
        seconds=seconds,
    )


def _pause(failures: int) -> float:
    return float(min(PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S))


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
