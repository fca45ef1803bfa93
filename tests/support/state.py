"""The `StateReader` of tests: it keeps what a store would."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from chains.columns import AMOUNT
from chains.model import AccountBytes, Rows, Side
from chains.ports import AccountKey, MarketKey, PositionKey

WIDEST = 10**38 - 1


@dataclass(slots=True)
class Tips:
    """A `StateReader` that keeps what a store would: no amount of more than 38 digits."""

    held: dict[PositionKey, int] = field(default_factory=dict)
    aspects: dict[MarketKey, str] = field(default_factory=dict)
    settings: dict[AccountKey, str] = field(default_factory=dict)

    def take(self, rows: Rows) -> None:
        self.held |= {
            (p.unit_id, p.market, p.side): p.amount_raw for p in rows.positions if abs(p.amount_raw) <= WIDEST
        }
        self.aspects |= {(m.market, m.aspect): m.state for m in rows.markets}
        self.settings |= {(a.unit_id, a.market, a.aspect): a.state for a in rows.accounts}

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        return self.aspects

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return {key: self.held[key] for key in keys if key in self.held}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        return column_of(keys, self.held)

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        return {key: self.settings[key] for key in keys if key in self.settings}

    def units(self, venue_id: str) -> frozenset[bytes]:
        return frozenset(unit for unit, *_ in (*self.held, *self.settings))

    def answers(self) -> dict[bytes, int]:
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        return {}


def column_of(keys: pa.Table, held: Mapping[PositionKey, int]) -> pa.Array:
    """Return amounts in the order of keys, null for those that nothing is held of."""
    names = zip(*(keys[name].to_pylist() for name in ("unit_id", "market", "side")), strict=True)
    return pa.array([held.get((unit, market, Side(side))) for unit, market, side in names], AMOUNT)
