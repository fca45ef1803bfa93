"""The tips of a venue's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chains.evm.abi import LoggedEvent
from chains.identifiers import hexed
from chains.model import AccountChange, Basis, LendingEvent, MarketChange, PositionChange, Rows
from chains.ports import AccountKey, PositionKey

ENGINE = "euler-v2-1"
NOBODY = bytes(20)
State = dict[str, Any]


def compact(state: object) -> str:
    """Return JSON text without spaces."""
    return json.dumps(state, separators=(",", ":"))


def prefix_key(account: bytes) -> bytes:
    """Return the account under which the owner of an account's 256 neighbours is kept: the one that ends in a zero byte."""
    return account[:19] + b"\0"


class Tips:
    """Market aspects, share balances and settings as they stand, and the rows that brought them there."""

    def __init__(
        self,
        venue_id: str,
        markets: Mapping[tuple[bytes, str], str],
        shares: Mapping[PositionKey, int],
        settings: Mapping[AccountKey, str],
    ) -> None:
        self.venue_id = venue_id
        self.markets = dict(markets)
        self.shares: dict[tuple[bytes, bytes], int] = {}
        self.hold(shares)
        self.settings = dict(settings)
        self.rows = Rows()

    def hold(self, shares: Mapping[PositionKey, int]) -> None:
        """Take in share balances that the journals hold."""
        self.shares |= {(account, vault): amount for (account, vault, _), amount in shares.items()}

    def state(self, market: bytes, aspect: str) -> State | None:
        """Return one aspect of a market, or `None` where nothing is known."""
        text = self.markets.get((market, aspect))
        return None if text is None else json.loads(text)

    def each(self, aspect: str) -> Iterator[tuple[bytes, State]]:
        """Return this aspect of every market that has it, as of now."""
        for (market, name), text in list(self.markets.items()):
            if name == aspect:
                yield market, json.loads(text)

    def market(self, row: LoggedEvent, market: bytes, aspect: str, state: object) -> None:
        """Let an aspect be `state` from this event on."""
        text = compact(state)
        self.markets[market, aspect] = text
        place = row.block, row.tx_index, row.ordinal
        self.rows.markets.append(MarketChange(*place, self.venue_id, market, aspect, text, ENGINE, Basis.EXACT))

    def amend(self, row: LoggedEvent, market: bytes, aspect: str, **change: object) -> None:
        """Let some fields of an aspect be others from this event on."""
        self.market(row, market, aspect, {**(self.state(market, aspect) or {}), **change})

    def owner(self, account: bytes) -> bytes:
        """Return whose account it is: the owner that is registered for its prefix, or else itself."""
        said = self.settings.get((prefix_key(account), b"", "registered"))
        return account if said is None else bytes.fromhex(json.loads(said)[2:])

    def setting(self, row: LoggedEvent, account: bytes, market: bytes, aspect: str, *, state: object) -> None:
        """Let a setting of an account be `state` from this event on."""
        text = compact(state)
        self.settings[account, market, aspect] = text
        place = row.block, row.tx_index, row.ordinal
        owner = self.owner(account)
        self.rows.accounts.append(
            AccountChange(*place, self.venue_id, account, owner, market, aspect, text, ENGINE, Basis.EXACT)
        )

    def position(self, row: LoggedEvent, key: PositionKey, asset: bytes, amount: int) -> None:
        """Note the raw amount of a position after this event."""
        account, vault, side = key
        place = row.block, row.tx_index, row.ordinal
        owner = self.owner(account)
        self.rows.positions.append(
            PositionChange(*place, self.venue_id, account, owner, vault, side, asset, amount, ENGINE, Basis.EXACT)
        )

    def history(
        self,
        row: LoggedEvent,
        kind: str,
        asset: bytes,
        *,
        account: bytes,
        other: bytes | None,
        amount: int,
        **extra: object,
    ) -> None:
        """Note a line of human history; `amount` in raw token units; the account is named where its owner is another."""
        owner = self.owner(account)
        more = extra if owner == account else {"account": hexed(account), **extra}
        self.rows.events.append(
            LendingEvent(
                row.block, row.tx_index, row.ordinal, row.tx_hash, self.venue_id, kind, row.address, owner, other, asset,
                amount, compact(more),
            )
        )  # fmt: skip
