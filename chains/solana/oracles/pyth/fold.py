"""Price accounts as observed into phases and observations, in the shape that every feed has.

Phase (`venue_id` feeds, market = the account): {"aggregator": "0x…" or null, "decimals": int, "fault": text or null, "problem": likewise}.
A fault is a price that must not be believed; a problem means that there is none. A positive exponent is multiplied out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chains.bounds import beyond
from chains.identifiers import base58
from chains.model import (
    END_OF_BLOCK,
    FEEDS,
    AccountBytes,
    Basis,
    FeedSpec,
    MarketChange,
    PriceObservation,
    Rows,
)
from chains.ports import StateReader
from chains.solana.oracles.pyth.account import RECEIVER, NoPrice, PriceUpdate, price_update

ENGINE = "pyth-solana-1"
PHASE = "phase"
LARGEST_SCALE = 30


class Pyth:
    """The price accounts that are configured on one chain."""

    def __init__(self, feeds: Iterable[FeedSpec]) -> None:
        self._feed_ids: dict[bytes, bytes | None] = {}
        for feed in feeds:
            self._feed_ids[feed.address] = feed.feed_id or self._feed_ids.get(feed.address)

    @property
    def addresses(self) -> Sequence[bytes]:
        """The accounts to look at."""
        return sorted(self._feed_ids)

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        rows = Rows()
        phases = {market: text for (market, aspect), text in state.markets(FEEDS).items() if aspect == PHASE}
        for address, account in seen:
            if address in self._feed_ids:
                self._enter(rows, phases, address, account)
        return rows

    def _enter(self, rows: Rows, phases: dict[bytes, str], address: bytes, account: AccountBytes) -> None:
        phase, update = self._judged(address, account)
        text = json.dumps(phase, separators=(",", ":"))
        if phases.get(address) != text:
            phases[address] = text
            rows.markets.append(
                MarketChange(account.slot, -1, END_OF_BLOCK, FEEDS, address, PHASE, text, ENGINE, Basis.OBSERVED)
            )
        if update is not None:
            scale = 10 ** max(update.exponent, 0)
            rows.prices.append(
                PriceObservation(
                    block=account.slot,
                    tx_index=-1,
                    ordinal=END_OF_BLOCK,
                    source=address,
                    answer_raw=update.price * scale,
                    round_id=update.posted_slot,
                    updated_at=update.publish_time,
                    basis=Basis.OBSERVED,
                    confidence_raw=update.confidence * scale,
                )
            )

    def _judged(self, address: bytes, account: AccountBytes) -> tuple[Mapping[str, Any], PriceUpdate | None]:
        if account.closed:
            return _phase(None, 0, problem="there is no account at this address"), None
        if account.owner != RECEIVER:
            owner = base58(account.owner)
            return _phase(None, 0, problem=f"the account belongs to program {owner}, not to the Pyth receiver"), None
        try:
            update = price_update(account.data)
        except NoPrice as error:
            return _phase(None, 0, problem=str(error)), None
        if abs(update.exponent) > LARGEST_SCALE:
            return _phase(None, 0, problem=f"the exponent {update.exponent} is beyond anything known"), None
        scale = 10 ** max(update.exponent, 0)
        if wrong := beyond(update.price * scale, update.confidence * scale, update.publish_time):
            return _phase(None, 0, problem=wrong), None
        return _phase(address, max(-update.exponent, 0), fault=self._fault(address, update)), update

    def _fault(self, address: bytes, update: PriceUpdate) -> str | None:
        wanted = self._feed_ids[address]
        if wanted is not None and update.feed_id != wanted:
            return f"the account holds the price of feed {update.feed_id.hex()}, configured is {wanted.hex()}"
        if update.signatures is not None:
            return f"only {update.signatures} guardian signatures of the price were verified, not all that are needed"
        return None


def _phase(
    source: bytes | None, decimals: int, *, fault: str | None = None, problem: str | None = None
) -> Mapping[str, Any]:
    return {
        "aggregator": None if source is None else "0x" + source.hex(),
        "decimals": decimals,
        "fault": fault,
        "problem": problem,
    }
