"""The tips of the journals as they are once a batch is stored, and those of a store that is empty."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from chains.columns import AMOUNT
from chains.model import AccountBytes, Rows
from chains.ports import AccountKey, MarketKey, PositionKey, StateReader


class After:
    """What is stored, with the markets of a batch on top; all else is as it was before."""

    def __init__(self, state: StateReader, rows: Rows) -> None:
        self._state = state
        self._rows = rows

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        """Return every aspect of every market of a venue."""
        changed = {(row.market, row.aspect): row.state for row in self._rows.markets if row.venue_id == venue_id}
        return self._state.markets(venue_id) | changed

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        """Return raw amounts from before the batch."""
        return self._state.positions(venue_id, keys)

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        """Return raw amounts from before the batch, as a column."""
        return self._state.amounts(venue_id, keys)

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        """Return settings from before the batch."""
        return self._state.accounts(venue_id, keys)

    def units(self, venue_id: str) -> frozenset[bytes]:
        """Return the units from before the batch."""
        return self._state.units(venue_id)

    def answers(self) -> dict[bytes, int]:
        """Return the answers from before the batch."""
        return self._state.answers()

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        """Return accounts from before the batch."""
        return self._state.account_bytes(addresses)


class Nothing:
    """The tips of an empty store."""

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        """Return nothing."""
        del venue_id
        return {}

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        """Return nothing."""
        del venue_id, keys
        return {}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        """Return a null for each key."""
        del venue_id
        return pa.nulls(keys.num_rows, AMOUNT)

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        """Return nothing."""
        del venue_id, keys
        return {}

    def units(self, venue_id: str) -> frozenset[bytes]:
        """Return nothing."""
        del venue_id
        return frozenset()

    def answers(self) -> dict[bytes, int]:
        """Return nothing."""
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        """Return nothing."""
        del addresses
        return {}
