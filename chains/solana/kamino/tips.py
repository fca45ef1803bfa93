"""The tips of a venue's journals while accounts are folded: read, changed, and every change noted as a row of the slot it was seen in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from chains.columns import integers
from chains.model import (
    END_OF_BLOCK,
    WHOLE_VENUE,
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Quarantined,
    Rows,
    Side,
)
from chains.ports import PositionKey, StateReader
from chains.solana.kamino.columns import Crowd, Obligations, crowd
from chains.solana.kamino.journal import OBLIGATION, PROBLEM, text_of
from chains.solana.seen import NOT_IN_A_TRANSACTION, Origin

ENGINE = "kamino-1"
_WORTH_NAMES = 1024
"""So many units are looked for among all that are known, before their settings are asked for."""


class Tips:
    """Market aspects, settings and positions as they stand, and the rows that brought them there; `slot`: where changes are seen."""

    def __init__(self, venue_id: str, state: StateReader) -> None:
        self.markets = dict(state.markets(venue_id))
        self.rows = Rows()
        self.slot = 0
        self._venue_id = venue_id
        self._state = state
        self._settings: dict[bytes, str] = {}
        self._amounts: dict[PositionKey, int] = {}
        self._crowds: list[Crowd] = []

    def units(self) -> frozenset[bytes]:
        """Return every unit that anything was noted of before."""
        return self._state.units(self._venue_id)

    def settings(self, units: Collection[bytes]) -> Mapping[bytes, str]:
        """Return the setting `obligation` of those units that have one."""
        self._learn()
        known = units if len(units) < _WORTH_NAMES else self.units().intersection(units)
        unread = [(unit, WHOLE_VENUE, OBLIGATION) for unit in known if unit not in self._settings]
        found = self._state.accounts(self._venue_id, unread) if unread else {}
        self._settings.update({unit: text for (unit, _, _), text in found.items()})
        return self._settings

    def amounts(self, keys: Collection[PositionKey]) -> Mapping[PositionKey, int]:
        """Return the raw amounts of those positions that ever changed."""
        self._learn()
        unread = [key for key in keys if key not in self._amounts]
        if unread:
            self._amounts.update(self._state.positions(self._venue_id, unread))
        return self._amounts

    def crowd(self, units: Sequence[bytes], obligations: Obligations, mint: Callable[[bytes], bytes]) -> None:
        """Note obligations of which nothing was noted before, as columns."""
        found = crowd(units, obligations, Origin(self.slot, self._venue_id, ENGINE), mint)
        self._crowds.append(found)
        self.rows.columns.setdefault("accounts", []).append(found.settings)
        self.rows.columns.setdefault("positions", []).append(found.positions)

    def _learn(self) -> None:
        """Take over what was noted as columns, as soon as somebody asks again."""
        for found in self._crowds:
            units, texts = found.settings["unit_id"].to_pylist(), found.texts.to_pylist()
            self._settings.update(zip(units, texts, strict=True))
            keys = (found.positions[name].to_pylist() for name in ("unit_id", "market", "side"))
            amounts = integers(found.positions["amount_raw"].combine_chunks())
            for unit, market, side, amount in zip(*keys, amounts, strict=True):
                self._amounts[unit, market, Side(side)] = amount
        self._crowds.clear()

    def market(self, market: bytes, aspect: str, text: str) -> bool:
        """Let an aspect be `text` from this slot on; say whether that is news."""
        if self.markets.get((market, aspect)) == text:
            return False
        self.markets[market, aspect] = text
        row = MarketChange(*self._place, self._venue_id, market, aspect, text, ENGINE, Basis.OBSERVED)
        self.rows.markets.append(row)
        return True

    def problem(self, market: bytes, problem: str | None) -> None:
        """Note what is wrong with an account, or that nothing is any more."""
        if problem is not None or (market, PROBLEM) in self.markets:
            self.market(market, PROBLEM, text_of(problem))

    def setting(self, unit: bytes, owner: bytes, text: str) -> None:
        """Let the setting of a unit be another."""
        self._settings[unit] = text
        at = self._place
        row = AccountChange(*at, self._venue_id, unit, owner, WHOLE_VENUE, OBLIGATION, text, ENGINE, Basis.OBSERVED)
        self.rows.accounts.append(row)

    def amount(self, key: PositionKey, owner: bytes, asset: bytes, amount: int) -> None:
        """Let the raw amount of a position be another."""
        self._amounts[key] = amount
        unit, market, side = key
        at = self._place
        row = PositionChange(*at, self._venue_id, unit, owner, market, side, asset, amount, ENGINE, Basis.OBSERVED)
        self.rows.positions.append(row)

    def happened(  # noqa: PLR0917 - as many facts as its row
        self, kind: str, market: bytes, owner: bytes, asset: bytes, amount: int, extra: Mapping[str, object]
    ) -> None:
        """Note a line of human history; `amount` in raw token units."""
        row = LendingEvent(
            *self._place, b"", self._venue_id, kind, market, owner, None, asset, amount, text_of(extra), Basis.OBSERVED
        )
        self.rows.events.append(row)

    def quarantine(self, reason: str, data: bytes) -> None:
        """Keep the bytes of an account that is not what it must be."""
        self.rows.quarantined.append(Quarantined(*self._place, self._venue_id, reason, data))

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK
