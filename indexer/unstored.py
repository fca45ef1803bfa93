"""The state of a chain after a batch that is not stored yet, or has just been."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chains.columns import AMOUNT, by_key, position_keys
from chains.model import AccountBytes
from chains.ports import AccountKey, Batch, MarketKey, PositionKey, StateReader
from indexer.store.journals import ACCOUNTS, MARKETS, POSITIONS, PRICES, Derivation, Derived

MOST_KNOWN = 200_000
"""Amounts that are kept in memory from batch to batch."""


class Unstored:
    """The `StateReader` of a chain after a batch that is not stored yet, or has just been.

    `memory`: what was known before this batch, and is brought up to date: only these batches change it meanwhile.
    """

    def __init__(
        self, stored: StateReader, batch: Batch, memory: Memory | None = None, derived: Derivation | None = None
    ) -> None:
        self.stored = stored
        self.tip = batch.last
        self._before = memory or Memory()
        self._derived = derived or Derivation(batch.rows)
        self._accounts_read = batch.raw.get("solana_account")

    @cached_property
    def _tips(self) -> dict[str, pa.Table]:
        """Made once they are asked for: another process may know them better."""
        return {part.journal.name: _tips(part) for part in self._derived.tables() if part.journal.tip}

    @cached_property
    def memory(self) -> Memory:
        """What is known after this batch."""
        known = self._before
        markets = self._of(MARKETS.name, "venue_id", "market", "aspect", "state")
        for venue_id, aspects in known.markets.items():
            aspects |= {(market, aspect): state for venue, market, aspect, state in markets if venue == venue_id}
        if sum(map(len, known.amounts.values())) > MOST_KNOWN:
            known.amounts.clear()
        if (tips := self._tips.get(POSITIONS.name)) is not None:
            for venue_id in pc.unique(tips["venue_id"]).to_pylist():
                mine = tips.filter(pc.equal(tips["venue_id"], venue_id)).combine_chunks()
                known.amounts.setdefault(venue_id, KnownAmounts()).put(mine, mine["amount_raw"].combine_chunks())
        return known

    def kept(self) -> Memory:
        """Return what is known after this batch, as far as it was ever asked for."""
        return self.memory if "memory" in self.__dict__ else Memory()

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        known = self.memory.markets
        if venue_id not in known:
            tips = self._of(MARKETS.name, "venue_id", "market", "aspect", "state")
            mine = {(market, aspect): state for venue, market, aspect, state in tips if venue == venue_id}
            known[venue_id] = self.stored.markets(venue_id) | mine
        return dict(known[venue_id])

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return by_key(keys, self.amounts(venue_id, position_keys(keys))) if keys else {}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        known = self.memory.amounts.setdefault(venue_id, KnownAmounts())
        lines = known.lines(keys)
        missing = np.flatnonzero(lines < 0)
        if len(missing):
            asked = keys.take(pa.array(missing))
            lines[missing] = np.arange(len(known), len(known) + len(missing))
            known.add(asked, self.stored.amounts(venue_id, asked))
        return known.amounts.take(pa.array(lines))

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        tips = self._of(ACCOUNTS.name, "venue_id", "unit_id", "market", "aspect", "state")
        newer = {(unit, market, aspect): state for venue, unit, market, aspect, state in tips if venue == venue_id}
        stored = self.stored.accounts(venue_id, keys)
        return stored | {key: newer[key] for key in keys if key in newer} if newer else stored

    def units(self, venue_id: str) -> frozenset[bytes]:
        newer = (each for name in (POSITIONS.name, ACCOUNTS.name) for each in self._of(name, "venue_id", "unit_id"))
        return self.stored.units(venue_id) | {unit for venue, unit in newer if venue == venue_id}

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


class KnownAmounts:
    """Amounts of positions of one venue, as columns; null for one that is known never to have changed."""

    def __init__(self) -> None:
        self._names: pa.Array = pa.array([], pa.binary())
        self.amounts: pa.Array = pa.array([], AMOUNT)

    def __len__(self) -> int:
        """Return of how many positions something is known."""
        return len(self._names)

    def lines(self, keys: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return where the amount of each key stands, -1 for one that is not known."""
        found = pc.index_in(_names(keys), value_set=self._names)
        return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)

    def add(self, keys: pa.Table, amounts: pa.Array) -> None:
        """Learn amounts of which nothing was known, behind the others."""
        self._names = pa.concat_arrays([self._names, _names(keys)])
        self.amounts = pa.concat_arrays([self.amounts, amounts])

    def put(self, keys: pa.Table, amounts: pa.Array) -> None:
        """Learn amounts in the place of what was known of them."""
        old = pc.invert(pc.is_in(self._names, value_set=_names(keys)))
        self._names, self.amounts = self._names.filter(old), self.amounts.filter(old)
        self.add(keys, amounts)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of venues from batch to batch: all aspects of their markets, and amounts of positions."""

    markets: dict[str, dict[MarketKey, str]] = field(default_factory=dict)
    amounts: dict[str, KnownAmounts] = field(default_factory=dict)


def _names(keys: pa.Table) -> pa.Array:
    """One word for each key; the length of the unit is in it, so that no two keys have the same."""
    unit, market, side = (keys[name].combine_chunks() for name in ("unit_id", "market", "side"))
    length = pc.cast(pc.cast(pc.binary_length(unit), pa.string()), pa.binary())
    return pc.binary_join_element_wise(unit, market, pc.cast(side, pa.binary()), length, b"")


def _tips(part: Derived) -> pa.Table:
    return part.rows.take(part.last)
