"""The tips of a market's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chains.evm.aave_v3.engines import UNKNOWN_ENGINE
from chains.evm.aave_v3.rounding import Rounding
from chains.evm.abi import LoggedEvent
from chains.model import (
    WHOLE_VENUE,
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    Rows,
)

State = dict[str, Any]


class Tips:
    """Market aspects as they stand, and the rows that brought them there; `engine` stamps every row."""

    def __init__(self, venue_id: str, markets: Mapping[tuple[bytes, str], str]) -> None:
        self.markets = dict(markets)
        self.rows = Rows()
        self._venue_id = venue_id
        engine = self.state(WHOLE_VENUE, "engine")
        self.engine = engine["engine"] if engine else UNKNOWN_ENGINE

    def state(self, market: bytes, aspect: str) -> State | None:
        """Return one aspect of a market, or `None` where nothing is known."""
        text = self.markets.get((market, aspect))
        return None if text is None else json.loads(text)

    def rounding(self, asset: bytes, token: str) -> Rounding | None:
        """Return the rule of one of a reserve's tokens, by its name in the aspect `reserve`."""
        said = (self.state(asset, "rounding") or {}).get(token, Rounding.HALF_UP)
        return None if said is None else Rounding(said)

    def each(self, aspect: str) -> Iterator[tuple[bytes, State]]:
        """Return this aspect of every market that has it, as of now."""
        for (market, name), text in list(self.markets.items()):
            if name == aspect:
                yield market, json.loads(text)

    def market(self, row: LoggedEvent, market: bytes, aspect: str, **state: object) -> None:
        """Let an aspect be `state` from this event on."""
        text = json.dumps(state, separators=(",", ":"))
        self.markets[market, aspect] = text
        self._note(row, market, aspect, text, self.engine)

    def rates(self, row: LoggedEvent, asset: bytes, text: str, engine: str) -> None:
        """Note rates that an event left behind; what is told of them elsewhere is no part of these tips."""
        self._note(row, asset, "rates", text, engine)

    def _note(self, row: LoggedEvent, market: bytes, aspect: str, text: str, engine: str) -> None:
        place = row.block, row.tx_index, row.ordinal
        self.rows.markets.append(MarketChange(*place, self._venue_id, market, aspect, text, engine, Basis.EXACT))

    def amend(self, row: LoggedEvent, market: bytes, aspect: str, **change: object) -> None:
        """Let some fields of an aspect be others from this event on."""
        self.market(row, market, aspect, **{**(self.state(market, aspect) or {}), **change})

    def account(self, row: LoggedEvent, user: bytes, market: bytes, aspect: str, state: str) -> None:
        """Note a setting of an account."""
        self.rows.accounts.append(
            AccountChange(
                row.block, row.tx_index, row.ordinal, self._venue_id, user, user, market, aspect, state, self.engine,
                Basis.EXACT,
            )
        )  # fmt: skip

    def history(
        self,
        row: LoggedEvent,
        kind: str,
        asset: bytes,
        *,
        owner: bytes,
        other: bytes,
        amount: int,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Note a line of human history; `amount` in raw token units."""
        self.rows.events.append(
            LendingEvent(
                row.block, row.tx_index, row.ordinal, row.tx_hash, self._venue_id, kind, asset, owner, other, asset,
                amount, json.dumps(extra or {}, separators=(",", ":")),
            )
        )  # fmt: skip
