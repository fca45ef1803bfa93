"""The tips of a venue's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

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
from chains.ports import StateReader
from chains.solana.drift.accounts import ACCOUNT_STATE, closed_text
from chains.solana.drift.integers import Refused
from chains.solana.drift.interest import borrowed_up, deposited_down
from chains.solana.drift.states import (
    PERP_TERMS,
    PROBLEM,
    TERMS,
    TOTALS,
    SpotMarket,
    perp_address,
    spot_address,
    spot_of,
    text_of,
)
from chains.solana.seen import NOT_IN_A_TRANSACTION, Origin

UNKNOWN_ASSET = b""
"""Asset of a position in a market that nobody has read yet."""

_WORTH_NAMES = 1024
"""So many units are looked for among all that are known, before their settings are asked for."""

_KINDS = {
    (Side.SUPPLY, True): "supply",
    (Side.SUPPLY, False): "withdraw",
    (Side.BORROW, True): "borrow",
    (Side.BORROW, False): "repay",
}
_OBSERVED = text_of({"observed": True})
_LISTS = ("spot", "perp")

Amounts = Mapping[tuple[bytes, Side], int]
"""(market, side) → scaled balance."""


class Image(NamedTuple):
    """An account as its bytes say: whose, in which state, and all its balances."""

    owner: bytes
    state: str
    amounts: Amounts


class Tips:
    """Market aspects and units as they stand, and the rows that brought them there."""

    def __init__(self, venue_id: str, program: bytes, engine: str, state: StateReader) -> None:
        self.rows = Rows()
        self.markets = dict(state.markets(venue_id))
        self.venue_id, self.program, self.engine = venue_id, program, engine
        self.slot = 0
        self.priced_by: frozenset[bytes] | None = None
        self._reader = state
        self._states: dict[bytes, str] = {}
        self._held: dict[tuple[bytes, bytes, Side], int] = {}
        self._spot: dict[bytes, SpotMarket | None] = {}

    def learn(self, units: AbstractSet[bytes]) -> None:
        """Look up what is known of units before the fold."""
        asked = units if len(units) < _WORTH_NAMES else units & self._reader.units(self.venue_id)
        named = [(unit, WHOLE_VENUE, ACCOUNT_STATE) for unit in asked]
        known = self._reader.accounts(self.venue_id, named) if named else {}
        self._states |= {unit: text for (unit, _, _), text in known.items()}
        keys = [(unit, market, side) for unit in self._states for market, side in self._keys_before(unit)]
        if keys:
            self._held |= self._reader.positions(self.venue_id, keys)

    def known(self, unit: bytes) -> bool:
        """Whether anything was noted of a unit that was learnt."""
        return unit in self._states

    def known_of(self, units: Iterable[bytes]) -> AbstractSet[bytes]:
        """Return those of these units that anything was noted of."""
        return self._states.keys() & units if self._states else frozenset()

    def market(self, market: bytes, aspect: str, state: str) -> None:
        """Let an aspect of a market be `state` from this slot on."""
        if self.markets.get((market, aspect)) == state:
            return
        self.markets[market, aspect] = state
        self._spot.pop(market, None)
        if aspect in {TERMS, PERP_TERMS}:
            self.priced_by = None
        row = MarketChange(*self._place, self.venue_id, market, aspect, state, self.engine, Basis.OBSERVED)
        self.rows.markets.append(row)

    def mint(self, market: bytes) -> bytes:
        """Return the token of a spot market, or of what a perp market's positions are settled in."""
        spot = self._settled_in(market)
        return UNKNOWN_ASSET if spot is None else spot.mint

    def enter(self, unit: bytes, image: Image) -> None:
        """Let a unit be as its account says; writes what differs."""
        before = self._states.get(unit)
        held = {key: self._held.get((unit, *key), 0) for key in self._keys_before(unit)}
        moved = before is not None and _authority(before) not in {None, image.owner}
        for market, side in dict.fromkeys((*held, *image.amounts)):
            old, new = held.get((market, side), 0), image.amounts.get((market, side), 0)
            if old != new or (moved and new):
                self._position(unit, image.owner, (market, side), new)
            if old != new and before is not None:
                self._tell(image.owner, market, side, new - old)
        self._setting(unit, image.owner, image.state)

    def spoil(self, unit: bytes, problem: str, word: bytes) -> None:
        """Note that a unit's account is not what it should be; its amounts stay as they were, and nobody may rely on them."""
        before = json.loads(self._states.get(unit, "{}"))
        kept = {name: before[name] for name in ("authority", *_LISTS) if name in before}
        self.quarantine(problem, word)
        owner = _authority(text_of(before)) or b""
        self._setting(unit, owner, text_of({**kept, PROBLEM: problem}))

    def close(self, unit: bytes) -> None:
        """Note that a unit's account is gone, and with it all that it held."""
        before = self._states.get(unit)
        if before is not None:
            owner = _authority(before) or b""
            self.enter(unit, Image(owner, closed_text(owner), {}))

    def quarantine(self, reason: str, word: bytes) -> None:
        """Keep bytes that cannot be read."""
        self.rows.quarantined.append(Quarantined(*self._place, self.venue_id, reason, word))

    @property
    def origin(self) -> Origin:
        """What rows share that are written as columns."""
        return Origin(self.slot, self.venue_id, self.engine)

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK

    def _keys_before(self, unit: bytes) -> list[tuple[bytes, Side]]:
        """Return what a unit may have held, by what its setting lists."""
        told: dict[str, Any] = json.loads(self._states.get(unit, "{}"))
        spot = [(spot_address(self.program, each[0]), side) for each in told.get("spot", ()) for side in Side]
        return spot + [(perp_address(self.program, each[0]), Side.SUPPLY) for each in told.get("perp", ())]

    def _position(self, unit: bytes, owner: bytes, held: tuple[bytes, Side], amount: int) -> None:
        market, side = held
        self._held[unit, market, side] = amount
        self.rows.positions.append(
            PositionChange(
                *self._place, self.venue_id, unit, owner, market, side, self.mint(market), amount, self.engine, Basis.OBSERVED
            )
        )  # fmt: skip

    def _setting(self, unit: bytes, owner: bytes, state: str) -> None:
        if self._states.get(unit) == state:
            return
        self._states[unit] = state
        row = AccountChange(
            *self._place, self.venue_id, unit, owner, WHOLE_VENUE, ACCOUNT_STATE, state, self.engine, Basis.OBSERVED
        )
        self.rows.accounts.append(row)

    def _tell(self, owner: bytes, market: bytes, side: Side, change: int) -> None:
        """Note a change between two looks in tokens, at the market's interest of this slot: a loan's rounded up, a deposit's down."""
        spot = self._settled_in(market)
        if spot is None:
            return
        try:
            tokens = (deposited_down if side is Side.SUPPLY else borrowed_up)(spot, abs(change))
        except Refused as error:
            self.quarantine(f"event_too_wide:{_KINDS[side, change > 0]}", str(error).encode())
            return
        kind = _KINDS[side, change > 0]
        self.rows.events.append(
            LendingEvent(
                *self._place, b"", self.venue_id, kind, market, owner, None, spot.mint, tokens, _OBSERVED
            )
        )  # fmt: skip

    def _settled_in(self, market: bytes) -> SpotMarket | None:
        """Return a spot market, or the one that a perp market settles in; `None` where it was not read."""
        perp = self.markets.get((market, PERP_TERMS))
        if perp is not None:
            told = json.loads(perp)
            if PROBLEM in told:
                return None
            market = spot_address(self.program, told["quote_spot_market_index"])
        if market not in self._spot:
            terms = self.markets.get((market, TERMS))
            found = None if terms is None else spot_of(market, terms, self.markets.get((market, TOTALS)))
            self._spot[market] = found if isinstance(found, SpotMarket) else None
        return self._spot[market]


def _authority(text: str) -> bytes | None:
    told = json.loads(text).get("authority")
    return None if told is None else bytes.fromhex(told[2:])
