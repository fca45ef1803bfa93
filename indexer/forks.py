"""Where the history that nodes serve leaves the stored one below what was final, and when that is certain."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace

from chains.errors import ChainError, NodeWrong
from chains.model import Block
from chains.ports import Chain
from indexer.lacking import Configured, Connect
from indexer.store import Store

FEWEST = 2
"""Nodes that must agree before final blocks are forgotten without being told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Another history: `to` is the last stored block that it shares (`None`: none), `final` the hash that it has where ours was final.

    `settled`: it is as final there, by the chain's own rule, as ours was.
    """

    to: Block | None
    final: bytes
    settled: bool

    @property
    def first(self) -> int:
        """The first block that may be another one."""
        return self.to.number + 1 if self.to else 0


async def branch_of(chain: Chain, store: Store) -> Branch | None:
    """Return the other history that nodes serve, `None` if they have the block that is final here; raises `ChainError`."""
    final = await asyncio.to_thread(_final, store, chain.spec.id)
    if final is None:
        return None
    theirs = await _theirs(chain, final.number)
    if theirs == final.hash:
        return None
    low, high, to = -1, final.number, None
    while middle := await asyncio.to_thread(_between, store, chain.spec.id, low, high):
        if await _theirs(chain, middle.number) == middle.hash:
            low, to = middle.number, middle
        else:
            high = middle.number
    return Branch(to=to, final=theirs, settled=(await chain.head()).settled >= final.number)


async def branches(here: Configured, store: Store, connect: Connect) -> list[Branch | None]:
    """Ask every node by itself; a node that cannot tell is left out."""
    found = []
    for address in here.spec.rpc:
        async with aclosing(connect(replace(here.spec, rpc=(address,), ws=()), (), ())) as node:
            try:
                found.append(await branch_of(node, store))
            except ChainError:
                continue
    return found


def certain(here: Configured, found: list[Branch | None]) -> Branch | None:
    """Return the other history where all of several nodes serve the same one, and call it final."""
    first = found[0] if found else None
    alike = len(found) == len(here.spec.rpc) and all(branch == first for branch in found)
    return first if alike and len(found) >= FEWEST and first is not None and first.settled else None


async def _theirs(chain: Chain, number: int) -> bytes:
    """Return the hash that nodes have for a height, nothing where proven to hold no block; raises `NodeWrong` if unknown."""
    theirs = await chain.block(number)
    if theirs is None:
        raise NodeWrong(
            f"chain {chain.spec.id}: the nodes do not give block {number}; where the chain changed is not known"
        )
    return theirs.hash if isinstance(theirs, Block) else b""


def _final(store: Store, chain_id: str) -> Block | None:
    held = store.cursor(chain_id)
    return store.block(chain_id, held.finalized) if held else None


def _between(store: Store, chain_id: str, low: int, high: int) -> Block | None:
    with store.reading() as reader:
        return reader.block_between(chain_id, low, high)
