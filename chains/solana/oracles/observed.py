"""Accounts that say a price or a rate, as observed, into phases and observations, in the shape that every feed has.

Phase (`venue_id` feeds, market = the account): {"aggregator": "0x…" or null, "decimals": int, "fault": text or null, "problem": likewise}.
A fault is a price that must not be believed; a problem means that there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chains.bounds import beyond
from chains.identifiers import base58
from chains.model import END_OF_BLOCK, FEEDS, AccountBytes, Basis, FeedSpec, MarketChange, PriceObservation, Rows
from chains.ports import StateReader

PHASE = "phase"


class NoAnswer(ValueError):
    """An account that says nothing usable; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an account says: `answer_raw` / 10^`decimals`, give or take `confidence_raw` at the same scale.

    `updated_at`: Unix seconds, zero for what holds whenever it is looked at; `round_id`: what counts its answers; `fault`: why it
    must not be believed.
    """

    answer_raw: int
    decimals: int
    updated_at: int
    round_id: int
    confidence_raw: int | None = None
    fault: str | None = None


Tell = Callable[[FeedSpec, AccountBytes], Told]
"""Reads an account of a feed; raises `NoAnswer`."""


class Observed:
    """The feeds of one kind that are configured on one chain."""

    def __init__(self, feeds: Iterable[FeedSpec], *, owners: Mapping[bytes, str], tell: Tell, engine: str) -> None:
        self._feeds: dict[bytes, FeedSpec] = {}
        for feed in feeds:
            held = self._feeds.get(feed.address)
            self._feeds[feed.address] = feed if held is None or held.feed_id is None else held
        self._owners = owners
        self._tell = tell
        self._engine = engine

    @property
    def addresses(self) -> Sequence[bytes]:
        """The accounts to look at."""
        return sorted(self._feeds)

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        rows = Rows()
        phases = {market: text for (market, aspect), text in state.markets(FEEDS).items() if aspect == PHASE}
        for address, account in seen:
            if address in self._feeds:
                self._enter(rows, phases, address, account)
        return rows

    def _enter(self, rows: Rows, phases: dict[bytes, str], address: bytes, account: AccountBytes) -> None:
        told = self._told(address, account)
        text = json.dumps(_phase(address, told), separators=(",", ":"))
        if phases.get(address) != text:
            phases[address] = text
            rows.markets.append(
                MarketChange(account.slot, -1, END_OF_BLOCK, FEEDS, address, PHASE, text, self._engine, Basis.OBSERVED)
            )
        if isinstance(told, Told):
            rows.prices.append(_observation(address, account.slot, told))

    def _told(self, address: bytes, account: AccountBytes) -> Told | str:
        """Return what an account says, or why it says nothing."""
        if account.closed:
            return "there is no account at this address"
        if account.owner not in self._owners:
            wanted = " or ".join(self._owners.values())
            return f"the account belongs to program {base58(account.owner)}, not to {wanted}"
        try:
            told = self._tell(self._feeds[address], account)
        except NoAnswer as error:
            return str(error)
        return beyond(told.answer_raw, told.confidence_raw, told.updated_at) or told


def _phase(address: bytes, told: Told | str) -> dict[str, Any]:
    if isinstance(told, str):
        return {"aggregator": None, "decimals": 0, "fault": None, "problem": told}
    return {"aggregator": "0x" + address.hex(), "decimals": told.decimals, "fault": told.fault, "problem": None}


def _observation(address: bytes, slot: int, told: Told) -> PriceObservation:
    return PriceObservation(
        block=slot,
        tx_index=-1,
        ordinal=END_OF_BLOCK,
        source=address,
        answer_raw=told.answer_raw,
        round_id=told.round_id,
        updated_at=told.updated_at,
        basis=Basis.OBSERVED,
        confidence_raw=told.confidence_raw,
    )
