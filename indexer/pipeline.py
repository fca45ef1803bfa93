"""Settled blocks into the store: while one batch is stored, the next is read and folded upon what will be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import cached_property
from time import monotonic
from typing import Any

import pyarrow as pa

from chains.columns import integers
from chains.errors import NodeWrong
from chains.model import AccountBytes, Block, Rows
from chains.ports import AccountKey, Batch, Chain, MarketKey, PositionKey, StateReader
from indexer.follow import Extend
from indexer.store.journals import ACCOUNTS, MARKETS, POSITIONS, PRICES, Derived, derive
from indexer.store.tips import SIDES

MOST_KNOWN = 200_000
"""Amounts that are kept in memory from batch to batch."""

Known = dict[str, dict[PositionKey, int | None]]

Put = Callable[[Block | None, Batch, float], Awaitable[None]]
"""Stores a batch behind a block; the last argument is how many seconds it took to make."""


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
            made = monotonic() - began
            if storing is not None:
                await storing
            storing = asyncio.ensure_future(put(tip, batch, made))
            upon = Unstored(state, batch, upon.kept() if isinstance(upon, Unstored) else {})
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


class Unstored:
    """The `StateReader` of a chain after a batch that is not stored yet, or has just been.

    `known`: amounts of before this batch, by venue, `None` where there is none: only these batches change them meanwhile.
    """

    def __init__(self, stored: StateReader, batch: Batch, known: Known | None = None) -> None:
        self.stored = stored
        self._before: Known = {} if known is None else known
        self.tip = batch.last
        self._rows: Rows | None = batch.rows
        self._accounts_read = batch.raw.get("solana_account")

    @cached_property
    def _tips(self) -> dict[str, pa.Table]:
        """The rows are let go once they are derived, and derived once they are asked for: another process may know them better."""
        rows, self._rows = self._rows, None
        return {part.journal.name: _tips(part) for part in derive(rows or Rows()) if part.journal.tip}

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        tips = self._of(MARKETS.name, "venue_id", "market", "aspect", "state")
        mine = {(market, aspect): state for venue, market, aspect, state in tips if venue == venue_id}
        return self.stored.markets(venue_id) | mine

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        known = self.known.setdefault(venue_id, {})
        missing = [key for key in keys if key not in known]
        if missing:
            known |= dict.fromkeys(missing) | self.stored.positions(venue_id, missing)
        found = ((key, known[key]) for key in keys)
        return {key: amount for key, amount in found if amount is not None}

    @cached_property
    def known(self) -> Known:
        """What is known of positions after this batch; forgotten when it is much."""
        before = self._before if sum(map(len, self._before.values())) < MOST_KNOWN else {}
        tips = self._tips.get(POSITIONS.name)
        if tips is not None:
            amounts = integers(tips["amount_raw"].combine_chunks())
            places = self._of(POSITIONS.name, "venue_id", "unit_id", "market", "side")
            for (venue, unit, market, side), amount in zip(places, amounts, strict=True):
                before.setdefault(venue, {})[unit, market, SIDES[side]] = amount
        return before

    def kept(self) -> Known:
        """Return what is known of positions after this batch, as far as it was ever asked for."""
        return self.known if "known" in self.__dict__ else {}

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        tips = self._of(ACCOUNTS.name, "venue_id", "unit_id", "market", "aspect", "state")
        newer = {(unit, market, aspect): state for venue, unit, market, aspect, state in tips if venue == venue_id}
        return self.stored.accounts(venue_id, keys) | {key: newer[key] for key in keys if key in newer}

    def answers(self) -> dict[bytes, int]:
        newer = {source: int(answer) for source, answer in self._of(PRICES.name, "source", "answer_raw")}
        return self.stored.answers() | newer

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        rows = [] if self._accounts_read is None else self._accounts_read.to_pylist()
        newer = {
            row["address"]: AccountBytes(row["slot"], row["owner"], int(row["lamports"]), row["data"], row["closed"])
            for row in sorted(rows, key=lambda row: row["slot"])
        }
        wanted = {address: newer[address] for address in addresses if address in newer}
        return self.stored.account_bytes(addresses) | wanted

    def _of(self, journal: str, *columns: str) -> list[tuple[Any, ...]]:
        tips = self._tips.get(journal)
        return [] if tips is None else list(zip(*(tips[name].to_pylist() for name in columns), strict=True))


def _tips(part: Derived) -> pa.Table:
    return part.rows.take(part.last)
