"""Settled blocks into the store: while one batch is stored, the next is read and folded upon what will be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from chains.errors import NodeWrong
from chains.model import Block
from chains.ports import Batch, Chain, StateReader
from indexer.follow import Extend
from indexer.store.journals import Derivation
from indexer.unstored import Unstored


class Made(NamedTuple):
    """A batch, the tables of its rows, and how many seconds it took to make."""

    batch: Batch
    derived: Derivation
    seconds: float


Put = Callable[[Block | None, Made], Awaitable[None]]
"""Stores a batch behind a block."""


async def take_in(
    chain: Chain,
    state: StateReader,
    put: Put,
    *,
    tip: Block | None,
    span: Extend,
    settled: int,
    halted: Callable[[], bool],
) -> None:
    """Take in those blocks of a span behind `tip` that cannot change any more; raises `ChainError`, `StoreError`.

    Whatever happens, a batch that is being stored is stored before this returns.
    """
    first = span.first
    storing: asyncio.Task[None] | None = None
    upon = state
    try:
        while first <= min(span.last, settled) and not halted():
            began = monotonic()
            batch = await chain.advance(first, span.last, settled, upon)
            must_follow(chain.spec.id, tip, batch)
            made = Made(batch, Derivation(batch.rows), monotonic() - began)
            if storing is not None:
                await storing
            storing = asyncio.ensure_future(put(tip, made))
            upon = Unstored(state, batch, upon.kept() if isinstance(upon, Unstored) else None, made.derived)
            tip, first = batch.last, batch.last.number + 1
    finally:
        if storing is not None:
            await storing


def must_follow(chain_id: str, tip: Block | None, batch: Batch) -> None:
    """See that a batch goes on where the stored chain ends; raises `NodeWrong`."""
    if tip is not None and batch.parent_hash is not None and batch.parent_hash != tip.hash:
        raise NodeWrong(
            f"chain {chain_id}: what comes from block {batch.first} on does not follow the stored block {tip.number}; it moved"
        )
