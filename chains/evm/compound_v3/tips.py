"""The tips of a Comet's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from chains.columns import TOO_WIDE
from chains.evm.abi import LoggedEvent
from chains.model import (
    END_OF_BLOCK,
    WHOLE_VENUE,
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Rows,
    Side,
)
from chains.ports import MarketKey, PositionKey, StateReader

ENGINE = "compound-v3-1"
TERMS, TOTALS, PRINCIPAL, WIDE = "terms", "totals", "principal", "wide_amount"
UNREAD, READ = "unread", "read"

Place = tuple[int, int, int]


class Tips:
    """Aspects, collateral and principals as they stand, and the rows that brought them there."""

    def __init__(self, venue_id: str, state: StateReader) -> None:
        self.rows = Rows()
        self.venue_id = venue_id
        self._state = state
        self._markets = state.markets(venue_id)
        self._held: dict[PositionKey, int] = {}
        self._loaded: set[PositionKey] = set()
        self._settings: dict[bytes, str] = {}
        self._before: frozenset[bytes] | None = None
        self._units: set[bytes] = set()

    def aspect(self, name: str) -> dict[str, Any] | None:
        """Return an aspect of the whole venue."""
        text = self._markets.get((WHOLE_VENUE, name))
        return None if text is None else json.loads(text)

    def note(self, block: int, name: str, state: object) -> None:
        """Let an aspect of the venue be another from the end of a block on."""
        text = json.dumps(state, separators=(",", ":"))
        if self._markets.get((WHOLE_VENUE, name)) == text:
            return
        self._markets[WHOLE_VENUE, name] = text
        place = block, -1, END_OF_BLOCK
        self.rows.markets.append(MarketChange(*place, self.venue_id, WHOLE_VENUE, name, text, ENGINE, Basis.SETTLED))

    # Accounts

    def everybody(self) -> frozenset[bytes]:
        """Return every account that was ever named."""
        if self._before is None:
            self._before = self._state.units(self.venue_id)
        return self._before | self._units

    def load(self, keys: Iterable[PositionKey]) -> None:
        """Read what is held under keys at once; an amount that fits no column is in a setting."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._loaded]
        self._loaded |= set(missing)
        self._held |= self._state.positions(self.venue_id, missing)
        settings = {(account, asset, WIDE): (account, asset, side) for account, asset, side in missing}
        for setting, text in self._state.accounts(self.venue_id, settings).items():
            if (exact := json.loads(text)) is not None:
                self._held[settings[setting]] = int(exact)

    def held(self, key: PositionKey) -> int:
        """Return the raw amount under a key."""
        self.load([key])
        return self._held.get(key, 0)

    def principal(self, account: bytes, base: bytes) -> int:
        """Return the signed principal of an account as it was last read."""
        return self.held((account, base, Side.SUPPLY)) - self.held((account, base, Side.BORROW))

    def hold(self, place: Place, key: PositionKey, amount: int, basis: Basis) -> None:
        """Let the amount under a key be another; one that is as before is not noted."""
        if amount == self.held(key):
            return
        before, self._held[key] = self.held(key), amount
        account, asset, side = key
        self._units.add(account)
        self.rows.positions.append(
            PositionChange(*place, self.venue_id, account, account, asset, side, asset, amount, ENGINE, basis)
        )
        if max(before, amount) >= TOO_WIDE:
            text = json.dumps(str(amount) if amount >= TOO_WIDE else None)
            self._setting(place, account, (asset, WIDE), text, basis)

    def settle(self, block: int, account: bytes, base: bytes, principal: int) -> None:
        """Let a principal be what was read after a block."""
        place = block, -1, END_OF_BLOCK
        self.hold(place, (account, base, Side.SUPPLY), max(principal, 0), Basis.SETTLED)
        self.hold(place, (account, base, Side.BORROW), max(-principal, 0), Basis.SETTLED)
        self.mark(block, [account], READ)

    def unread(self, accounts: Collection[bytes]) -> set[bytes]:
        """Return those of the accounts whose principal could not be read when it changed."""
        missing = [account for account in accounts if account not in self._settings]
        keys = [(account, WHOLE_VENUE, PRINCIPAL) for account in missing]
        found = self._state.accounts(self.venue_id, keys)
        self._settings |= {account: found.get((account, WHOLE_VENUE, PRINCIPAL), READ) for account in missing}
        return {account for account in accounts if self._settings[account] == UNREAD}

    def mark(self, block: int, accounts: Collection[bytes], mark: str) -> None:
        """Say whether the principals of accounts are known."""
        unread = self.unread(accounts)
        for account in sorted(accounts):
            if (account in unread) != (mark == UNREAD):
                self._settings[account] = mark
                self._units.add(account)
                self._setting((block, -1, END_OF_BLOCK), account, (WHOLE_VENUE, PRINCIPAL), mark, Basis.SETTLED)

    def _setting(self, place: Place, account: bytes, key: MarketKey, state: str, basis: Basis) -> None:
        self.rows.accounts.append(AccountChange(*place, self.venue_id, account, account, *key, state, ENGINE, basis))

    # History

    def history(
        self, row: LoggedEvent, kind: str, asset: bytes, *, owner: bytes, other: bytes, amount: int, **extra: str
    ) -> None:
        """Note a line of human history; `amount` in raw token units."""
        self.rows.events.append(
            LendingEvent(
                row.block, row.tx_index, row.ordinal, row.tx_hash, self.venue_id, kind, asset, owner, other, asset,
                amount, json.dumps(extra, separators=(",", ":")),
            )
        )  # fmt: skip
