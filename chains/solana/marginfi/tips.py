"""The tips of a group's journals while a fold runs: read, changed, and every change noted as a row.

Unit aspects, of the venue: `account` {"authority": hex, "banks": [hex, …], "flags": hex, "version": hex}, where `banks` are those with an
active balance and `version` is the program's mark, or {"problem": text}. Of a bank: `wide_amount:` and the side, the exact shares that
have more digits than a column, as text, or null.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from chains.columns import TOO_WIDE
from chains.identifiers import base58
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
from chains.solana.marginfi.fixed import FRACTION_BITS
from chains.solana.marginfi.held import Named
from chains.solana.marginfi.integrations import HELD
from chains.solana.marginfi.states import FIRST_INTEGRATION, PROBLEM, PROGRAM_STATE, TERMS, TOTALS, text_of
from chains.solana.seen import NOT_IN_A_TRANSACTION, Origin

ACCOUNT_STATE = "account"
WIDE = "wide_amount:"
UNKNOWN_ASSET = b""
"""Asset of a position in a bank that nobody has read yet."""

_WORTH_NAMES = 1024
"""So many units are looked for among all that are known, before their settings are asked for."""

_KINDS = {
    (Side.SUPPLY, True): "supply",
    (Side.SUPPLY, False): "withdraw",
    (Side.BORROW, True): "borrow",
    (Side.BORROW, False): "repay",
}
SHARE_VALUE = {Side.SUPPLY: "asset_share_value", Side.BORROW: "liability_share_value"}

Shares = Mapping[tuple[bytes, Side], int]
"""(bank, side) → shares, I80F48 bits."""


class Image(NamedTuple):
    """An account as its bytes say: whose, in which state, and all its active shares."""

    owner: bytes
    state: str
    shares: Shares


def account_text(authority: bytes, banks: Collection[bytes], flags: int, version: int) -> str:
    """Return the aspect `account`; every number has a fixed width, so that many can be written at once."""
    named = ",".join(f'"0x{bank.hex()}"' for bank in banks)
    return (
        f'{{"authority":"0x{authority.hex()}","banks":[{named}],"flags":"0x{flags:016x}","version":"0x{version:02x}"}}'
    )


def banks_of(text: str | None) -> list[bytes]:
    """Return the banks that the aspect `account` names."""
    told = {} if text is None else json.loads(text)
    return [bytes.fromhex(bank[2:]) for bank in told.get("banks", [])]


class Tips:
    """Market aspects and units as they stand, and the rows that brought them there."""

    def __init__(self, venue_id: str, engine: str, state: StateReader) -> None:
        self.rows = Rows()
        self.markets = dict(state.markets(venue_id))
        self.venue_id, self.engine = venue_id, engine
        self.slot = 0
        self.priced_by: frozenset[bytes] | None = None
        self.held: Named | None = None
        self._mark = 0
        self._reader = state
        self._states: dict[bytes, str] = {}
        self._held: dict[tuple[bytes, bytes, Side], int] = {}
        self._mints: dict[bytes, bytes] = {}

    def learn(self, units: AbstractSet[bytes]) -> None:
        """Look up what is known of units before the fold."""
        asked = units if len(units) < _WORTH_NAMES else units & self._reader.units(self.venue_id)
        named = [(unit, WHOLE_VENUE, ACCOUNT_STATE) for unit in asked]
        known = self._reader.accounts(self.venue_id, named) if named else {}
        self._states |= {unit: text for (unit, _, _), text in known.items()}
        keys = [(unit, bank, side) for unit in self._states for bank in self._banks_before(unit) for side in Side]
        if keys:
            self._held |= self._reader.positions(self.venue_id, keys)
            wide = self._reader.accounts(self.venue_id, [(unit, bank, WIDE + side) for unit, bank, side in keys])
            self._held |= {
                (unit, bank, Side(aspect.removeprefix(WIDE))): int(exact)
                for (unit, bank, aspect), text in wide.items()
                if (exact := json.loads(text)) is not None
            }

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
        if aspect == TERMS:
            self._mints.pop(market, None)
            self.priced_by = None
        if aspect in {TERMS, HELD}:
            self.held = None
        row = MarketChange(*self._place, self.venue_id, market, aspect, state, self.engine, Basis.OBSERVED)
        self.rows.markets.append(row)

    def marked(self, version: int) -> None:
        """Note with what the program marked an account."""
        self._mark = max(self._mark, version)

    def end_slot(self) -> None:
        """Write the highest mark, if none was as high before this slot."""
        if self._mark > int(json.loads(self.markets.get((WHOLE_VENUE, PROGRAM_STATE), '"0"'))):
            self.market(WHOLE_VENUE, PROGRAM_STATE, json.dumps(str(self._mark)))

    def mint(self, bank: bytes) -> bytes:
        """Return the token of a bank."""
        if bank not in self._mints:
            told = json.loads(self.markets.get((bank, TERMS), "{}"))
            self._mints[bank] = bytes.fromhex(told["asset"][2:]) if "asset" in told else UNKNOWN_ASSET
        return self._mints[bank]

    def enter(self, unit: bytes, image: Image) -> None:
        """Let a unit be as its account says; writes what differs."""
        before = self._states.get(unit)
        held = {
            (bank, side): self._held.get((unit, bank, side), 0) for bank in self._banks_before(unit) for side in Side
        }
        moved = before is not None and _authority(before) not in {None, image.owner}
        for bank, side in dict.fromkeys((*held, *image.shares)):
            old, new = held.get((bank, side), 0), image.shares.get((bank, side), 0)
            if old != new or (moved and new):
                self._position(unit, image.owner, (bank, side), old, new)
            if old != new and before is not None:
                self._tell(unit, image.owner, (bank, side), new - old)
        if before != image.state:
            self._states[unit] = image.state
            self._setting(unit, image.owner, WHOLE_VENUE, ACCOUNT_STATE, image.state)

    def spoil(self, unit: bytes, problem: str, word: bytes) -> None:
        """Note that a unit's account is not what it should be; its amounts stay as they were, and nobody may rely on them."""
        banks = self._banks_before(unit)
        before = self._states.get(unit)
        state = {PROBLEM: problem, "banks": [f"0x{bank.hex()}" for bank in banks]}
        owner = None if before is None else _authority(before)
        if owner is not None:
            state["authority"] = f"0x{owner.hex()}"
        self.quarantine(problem, word)
        if (text := text_of(state)) != before:
            self._states[unit] = text
            self._setting(unit, owner or b"", WHOLE_VENUE, ACCOUNT_STATE, text)

    def close(self, unit: bytes) -> None:
        """Note that a unit's account is gone, and with it all that it held."""
        before = self._states.get(unit)
        if before is not None:
            owner = _authority(before) or b""
            self.enter(unit, Image(owner, account_text(owner, (), 0, 0), {}))

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

    def _banks_before(self, unit: bytes) -> list[bytes]:
        return banks_of(self._states.get(unit))

    def _position(self, unit: bytes, owner: bytes, held: tuple[bytes, Side], old: int, new: int) -> None:
        bank, side = held
        self._held[unit, bank, side] = new
        fits = abs(new) < TOO_WIDE
        if not fits:
            self.quarantine(f"amount_too_wide:{side}", new.to_bytes(16, "little", signed=True))
        if not fits or abs(old) >= TOO_WIDE:
            text = json.dumps(None if fits else str(new))
            self._setting(unit, owner, bank, WIDE + side, text)
        if fits:
            row = PositionChange(
                *self._place, self.venue_id, unit, owner, bank, side, self.mint(bank), new, self.engine, Basis.OBSERVED
            )
            self.rows.positions.append(row)

    def _setting(self, unit: bytes, owner: bytes, market: bytes, aspect: str, state: str) -> None:
        row = AccountChange(
            *self._place, self.venue_id, unit, owner, market, aspect, state, self.engine, Basis.OBSERVED
        )
        self.rows.accounts.append(row)

    def _tell(self, unit: bytes, owner: bytes, held: tuple[bytes, Side], change: int) -> None:
        """Note a change between two looks in tokens, at the bank's share value of this slot, rounded down."""
        bank, side = held
        totals, terms = self.markets.get((bank, TOTALS)), json.loads(self.markets.get((bank, TERMS), "{}"))
        if totals is None or terms.get("asset_tag", FIRST_INTEGRATION) >= FIRST_INTEGRATION:
            return
        amount = abs(change) * int(json.loads(totals)[SHARE_VALUE[side]]) >> 2 * FRACTION_BITS
        if amount >= TOO_WIDE:
            self.quarantine(f"event_too_wide:{_KINDS[side, change > 0]}", str(amount).encode())
            return
        row = LendingEvent(
            *self._place,
            b"",
            self.venue_id,
            _KINDS[side, change > 0],
            bank,
            owner,
            None,
            self.mint(bank),
            amount,
            text_of({"observed": True, "account": base58(unit), "change_raw": str(change)}),
            Basis.OBSERVED,
        )
        self.rows.events.append(row)


def _authority(text: str) -> bytes | None:
    told = json.loads(text).get("authority")
    return None if told is None else bytes.fromhex(told[2:])
