"""Many requests to the nodes of a chain: in batches that shrink where nodes refuse them, and none under way after one failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from chains.errors import NodeBusy, NodeWrong
from chains.rpc import NodePool, RpcFault
from chains.rpc.together import gathered

T = TypeVar("T")

Request = tuple[str, Sequence[object]]

AT_ONCE = 8
"""Requests, or batches of them, under way at one time."""

SHRINK = 10
"""A refused batch is asked again in so many parts: providers allow 100 requests in one, or 10, or a single one."""

PATIENCE = 1_000
"""So many batches after a refusal, larger ones are tried again."""


class Asking:
    """Requests through a pool, in the words of one chain."""

    def __init__(self, chain: str, pool: NodePool) -> None:
        self._chain = chain
        self._pool = pool
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._widest = pool.batch_size
        self._good = 0
        self._order = tuple(pool.nodes)
        self.avoid: frozenset[str] = frozenset()
        """Labels of nodes that are not asked."""

    def another(self) -> int:
        """Ask another node first, until told otherwise; return how many there are."""
        self._pool.nodes.append(self._pool.nodes.pop(0))
        return len(self._order)

    def first(self) -> None:
        """Ask the first configured node first again."""
        self._pool.nodes[:] = self._order

    async def one(self, method: str, params: Sequence[object], kind: type[T]) -> T:
        """Return one result; a refusal is a `NodeWrong`."""
        try:
            async with self._turns:
                return await self._pool.call(method, params, kind, avoid=self.avoid)
        except RpcFault as fault:
            raise NodeWrong(f"chain {self._chain}: {fault}") from fault

    async def many(self, requests: Sequence[Request], kind: type[T], *, together: int) -> list[T]:
        """Return all results in order, asked in batches of at most `together`; raises `RpcFault` for the first refusal."""
        size = min(together, self._widest)
        answered = await gathered(self._part(part, kind) for part in parts_of(requests, size))
        return [answer for answers in answered for answer in answers]

    async def _part(self, part: Sequence[Request], kind: type[T]) -> list[T]:
        """Ask one batch, and its requests in smaller ones where that fails."""
        try:
            async with self._turns:
                answers = await self._pool.batch(part, kind, avoid=self.avoid)
        except (NodeBusy, NodeWrong):
            if len(part) == 1:
                raise
        else:
            self._grow()
            return answers
        size = max(1, len(part) // SHRINK)
        self._widest, self._good = min(self._widest, size), 0
        return [answer for some in parts_of(part, size) for answer in await self._part(some, kind)]

    def _grow(self) -> None:
        self._good += 1
        if self._good >= PATIENCE:
            self._widest, self._good = min(self._widest * SHRINK, self._pool.batch_size), 0

    def decoded(self, method: str, raw: msgspec.Raw, kind: type[T]) -> T:
        """Decode a part of a raw result; raises `NodeWrong`."""
        return self._pool.decoded(method, raw, kind)

    async def aclose(self) -> None:
        """Close connections."""
        await self._pool.aclose()


def parts_of(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into pieces of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
