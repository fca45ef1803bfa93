"""The tips of a venue's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from chains.columns import TOO_WIDE
from chains.errors import NodeWrong
from chains.evm.abi import LoggedEvent
from chains.evm.erc20 import asked
from chains.evm.morpho_blue.maths import Totals
from chains.evm.ports import Reads
from chains.model import (
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Rows,
    Side,
)
from chains.ports import StateReader

ENGINE = "morpho-blue-1"
WIDE = "wide_amount:"
"""Before the side: the aspect of an amount that has more digits than a column."""

State = dict[str, Any]


class Holding(NamedTuple):
    """Whose amount in which market, on which side; `market`: the id, or for collateral the id and the token."""

    market_id: bytes
    owner: bytes
    market: bytes
    side: Side

    @property
    def unit_id(self) -> bytes:
        """What is liquidated separately: an owner's position in one market."""
        return self.market_id + self.owner


class Tips:
    """Market aspects and positions as they stand, and the rows that brought them there.

    `vaults`: owners whose shares in markets are noted beside the markets too.
    """

    def __init__(self, venue_id: str, markets: Mapping[tuple[bytes, str], str]) -> None:
        self.markets = dict(markets)
        self.rows = Rows()
        self.vaults: set[bytes] = set()
        self._venue_id = venue_id
        self._held: dict[Holding, int] = {}

    def learn(self, state: StateReader, holdings: Collection[Holding]) -> None:
        """Look up the amounts of holdings before the span, also of those that no column could hold."""
        tips = state.positions(self._venue_id, [(h.unit_id, h.market, h.side) for h in holdings])
        wide = state.accounts(self._venue_id, [(h.unit_id, h.market, WIDE + h.side) for h in holdings])
        for holding in holdings:
            exact = json.loads(wide.get((holding.unit_id, holding.market, WIDE + holding.side), "null"))
            known = tips.get((holding.unit_id, holding.market, holding.side), 0)
            self._held[holding] = known if exact is None else int(exact)

    def held(self, holding: Holding) -> int:
        """Return an amount that was looked up, or changed since."""
        return self._held.get(holding, 0)

    def state(self, market: bytes, aspect: str) -> State | None:
        """Return one aspect of a market, or `None` where nothing is known."""
        text = self.markets.get((market, aspect))
        return None if text is None else json.loads(text)

    def market(self, row: LoggedEvent, market: bytes, aspect: str, **state: object) -> None:
        """Let an aspect be `state` from this event on."""
        text = json.dumps(state, separators=(",", ":"))
        self.markets[market, aspect] = text
        place = row.block, row.tx_index, row.ordinal
        self.rows.markets.append(MarketChange(*place, self._venue_id, market, aspect, text, ENGINE, Basis.EXACT))

    def token(self, row: LoggedEvent, token: bytes, reads: Reads) -> None:
        """Note what a token says of itself, once."""
        if (token, "token") not in self.markets:
            decimals, symbol = asked(token, row.block, reads)
            self.market(row, token, "token", symbol=symbol, decimals=decimals)

    def params(self, market_id: bytes) -> State:
        """Return the parameters of a market; raises `NodeWrong` for one that nobody created."""
        found = self.state(market_id, "params")
        if found is None:
            raise NodeWrong(f"venue {self._venue_id}: market 0x{market_id.hex()} has events and was not created")
        return found

    def totals(self, market_id: bytes) -> Totals:
        """Return what a market stores now."""
        found = self.markets.get((market_id, "totals"))
        if found is None:
            raise NodeWrong(f"venue {self._venue_id}: market 0x{market_id.hex()} has events and was not created")
        return totals_of(found)

    def store(self, row: LoggedEvent, market_id: bytes, totals: Totals) -> None:
        """Let a market store these totals from this event on; raises `NodeWrong` for what cannot be."""
        if min(totals) < 0:
            raise NodeWrong(f"venue {self._venue_id}: market 0x{market_id.hex()} falls below zero at block {row.block}")
        self.market(row, market_id, "totals", **{name: str(value) for name, value in totals._asdict().items()})

    def move(self, row: LoggedEvent, holding: Holding, change: int, asset: bytes) -> None:
        """Add to an amount, or take from it; raises `NodeWrong` where it would be less than nothing."""
        before = self._held.get(holding, 0)
        after = self._held[holding] = before + change
        if after < 0:
            unit = holding.unit_id.hex()
            raise NodeWrong(f"venue {self._venue_id}: unit 0x{unit} falls below zero at block {row.block}")
        place = row.block, row.tx_index, row.ordinal
        self.rows.positions.append(
            PositionChange(
                *place, self._venue_id, holding.unit_id, holding.owner, holding.market, holding.side, asset, after,
                ENGINE, Basis.EXACT,
            )
        )  # fmt: skip
        if holding.owner in self.vaults and holding.side is Side.SUPPLY and holding.market == holding.market_id:
            self.market(row, holding.unit_id, "vault_shares", shares=str(after))
        if max(before, after) >= TOO_WIDE:
            text = json.dumps(str(after) if after >= TOO_WIDE else None)
            self.rows.accounts.append(
                AccountChange(
                    *place, self._venue_id, holding.unit_id, holding.owner, holding.market, WIDE + holding.side, text,
                    ENGINE, Basis.EXACT,
                )
            )  # fmt: skip

    def history(
        self, row: LoggedEvent, kind: str, market: bytes, *, asset: bytes, owner: bytes, other: bytes, amount: int,
        **extra: object,
    ) -> None:  # fmt: skip
        """Note a line of human history; `amount` in raw token units."""
        self.rows.events.append(
            LendingEvent(
                row.block, row.tx_index, row.ordinal, row.tx_hash, self._venue_id, kind, market, owner, other, asset,
                amount, json.dumps(extra, separators=(",", ":")),
            )
        )  # fmt: skip


def totals_of(text: str) -> Totals:
    """Read the aspect `totals`."""
    stored = json.loads(text)
    return Totals(*(int(stored[name]) for name in Totals._fields))
