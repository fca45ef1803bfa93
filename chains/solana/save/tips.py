"""The tips of a venue's journals while a fold runs: read, changed, and every change noted as a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from chains.columns import TOO_WIDE
from chains.identifiers import base58, hexed, unhexed
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
from chains.solana.save.layout import Borrow, Deposit, Obligation
from chains.solana.seen import NOT_IN_A_TRANSACTION

ENGINE = "save-accounts-1"
TERMS, POOL, PRICE, OBLIGATION_SETTING = "terms", "reserve", "price", "obligation"
LENDING_MARKET = "lending_market"
ORACLES = "pyth", "switchboard", "extra"

_WRITER = json.JSONEncoder(separators=(",", ":"))

Holdings = dict[tuple[bytes, Side], int]


class Unit(NamedTuple):
    """An obligation as the journals have it; `problem`: why nothing is known of it any more."""

    held: Obligation
    problem: str | None


NOTHING = Obligation(b"", closeable=False, deposits=(), borrows=())


class Tips:
    """Market aspects and obligations as they stand, and the rows that brought them there."""

    def __init__(self, venue_id: str, markets: Mapping[tuple[bytes, str], str]) -> None:
        self.markets = dict(markets)
        self.rows = Rows()
        self.venue_id = venue_id
        self._texts: dict[bytes, str] = {}
        self._units: dict[bytes, Unit] = {}
        self._mints: dict[bytes, bytes] | None = None

    @property
    def mints(self) -> Mapping[bytes, bytes]:
        """Each reserve's token."""
        if self._mints is None:
            terms = {market: json.loads(text) for (market, aspect), text in self.markets.items() if aspect == TERMS}
            self._mints = {market: unhexed(said["asset"]) for market, said in terms.items()}
        return self._mints

    @property
    def price_accounts(self) -> frozenset[bytes]:
        """The price accounts that reserves name."""
        terms = [json.loads(text) for (_, aspect), text in self.markets.items() if aspect == TERMS]
        return frozenset(unhexed(said[role]) for said in terms for role in ORACLES if said[role])

    def learn(self, state: StateReader, units: Collection[bytes]) -> None:
        """Look up obligations as they were before the span."""
        texts = state.accounts(self.venue_id, [(unit, WHOLE_VENUE, OBLIGATION_SETTING) for unit in units])
        self._texts = {unit: text for (unit, _, _), text in texts.items()}
        states = {unit: json.loads(text) for unit, text in self._texts.items()}
        keys = [(unit, market, side) for unit, said in states.items() for market, side in _entries(said)]
        amounts: dict[bytes, Holdings] = {}
        for (unit, market, side), amount in state.positions(self.venue_id, keys).items():
            amounts.setdefault(unit, {})[market, side] = amount
        self._units = {unit: unit_of(said, amounts.get(unit, {})) for unit, said in states.items()}

    def unit(self, address: bytes) -> Unit | None:
        """Return an obligation as it was last seen, `None` where it never was."""
        return self._units.get(address)

    def state(self, market: bytes, aspect: str) -> dict[str, Any] | None:
        """Return one aspect of a market, or `None` where nothing is known."""
        text = self.markets.get((market, aspect))
        return None if text is None else json.loads(text)

    def market(self, slot: int, market: bytes, aspect: str, state: Mapping[str, Any]) -> None:
        """Let an aspect be `state` from the end of a slot on."""
        text = written(state)
        if self.markets.get((market, aspect)) != text:
            self.markets[market, aspect] = text
            self._mints = None if aspect == TERMS else self._mints
            place = slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK
            self.rows.markets.append(MarketChange(*place, self.venue_id, market, aspect, text, ENGINE, Basis.OBSERVED))

    def hold(self, slot: int, address: bytes, held: Obligation, problem: str | None = None) -> None:
        """Let an obligation be this from the end of a slot on."""
        before = self._units.get(address)
        self._units[address] = Unit(held, problem)
        place = slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK
        text = written(unit_state(held, problem))
        if self._texts.get(address) != text:
            self._texts[address] = text
            self.rows.accounts.append(
                AccountChange(
                    *place, self.venue_id, address, held.owner, WHOLE_VENUE, OBLIGATION_SETTING, text, ENGINE, Basis.OBSERVED
                )
            )  # fmt: skip
        old = amounts_of(before.held) if before else {}
        new = amounts_of(held)
        moved = before is not None and before.held.owner != held.owner
        for (market, side), amount in (new | dict.fromkeys(old.keys() - new.keys(), 0)).items():
            if old.get((market, side), 0) != amount or (moved and amount):
                asset = self.mints.get(market, market)
                self.rows.positions.append(
                    PositionChange(
                        *place, self.venue_id, address, held.owner, market, side, asset, amount, ENGINE, Basis.OBSERVED
                    )
                )  # fmt: skip

    def history(
        self, slot: int, kind: str, unit: bytes, owner: bytes, reserve: bytes, *, tokens: int, **more: str
    ) -> None:
        """Note what changed between two looks: raw units of a reserve's token; `more`: what else is to be said."""
        mint = self.mints.get(reserve)
        if mint is None:
            return
        self.rows.events.append(
            LendingEvent(
                slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK, b"", self.venue_id, kind, reserve, owner, None, mint, tokens,
                written({"observed": True, "account": base58(unit), **more}), Basis.OBSERVED,
            )
        )  # fmt: skip

    def quarantine(self, slot: int, reason: str, data: bytes) -> None:
        """Keep an account that is not what it should be."""
        place = slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK
        self.rows.quarantined.append(Quarantined(*place, self.venue_id, reason, data))


def unit_state(held: Obligation, problem: str | None) -> dict[str, Any]:
    """Return the setting `obligation`: what an obligation is beside its amounts, and those that no column holds."""
    state: dict[str, Any] = {
        "owner": hexed(held.owner),
        "closeable": held.closeable,
        "deposits": [hexed(each.reserve) for each in held.deposits],
        "borrows": [
            [hexed(each.reserve), str(each.rate), *([str(each.amount)] if each.amount >= TOO_WIDE else [])]
            for each in held.borrows
        ],
    }
    if held.closeable:
        state["attributed"] = [str(each.attributed) for each in held.deposits]
    return state if problem is None else {**state, "problem": problem}


def unit_of(state: Mapping[str, Any], amounts: Mapping[tuple[bytes, Side], int]) -> Unit:
    """Read the setting `obligation`, with the amounts that belong to it."""
    supplies = [unhexed(text) for text in state["deposits"]]
    attributed = state.get("attributed", ["0"] * len(supplies))
    debts = [(unhexed(entry[0]), int(entry[1]), entry[2:]) for entry in state["borrows"]]
    held = Obligation(
        unhexed(state["owner"]),
        state["closeable"],
        tuple(
            Deposit(reserve, amounts.get((reserve, Side.SUPPLY), 0), int(debt))
            for reserve, debt in zip(supplies, attributed, strict=True)
        ),
        tuple(
            Borrow(reserve, rate, int(wide[0]) if wide else amounts.get((reserve, Side.BORROW), 0))
            for reserve, rate, wide in debts
        ),
    )
    return Unit(held, state.get("problem"))


def amounts_of(held: Obligation) -> Holdings:
    """Return the raw protocol amounts of an obligation."""
    supplies = {(each.reserve, Side.SUPPLY): each.amount for each in held.deposits}
    return supplies | {(each.reserve, Side.BORROW): each.amount for each in held.borrows}


def written(state: Mapping[str, Any]) -> str:
    """Write a state as text."""
    return _WRITER.encode(state)


def _entries(state: Mapping[str, Any]) -> Iterator[tuple[bytes, Side]]:
    for text in state["deposits"]:
        yield unhexed(text), Side.SUPPLY
    for entry in state["borrows"]:
        yield unhexed(entry[0]), Side.BORROW
