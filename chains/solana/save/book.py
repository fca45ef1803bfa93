"""A lending market at a slot: each of its reserves as RefreshReserve would leave it, or why the program refuses.

Source: solendprotocol/solana-program-library `token-lending/program/src/processor.rs` (`_refresh_reserve`, `get_price`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, VenueSnapshot
from chains.solana.save import maths
from chains.solana.save.maths import BASIS_POINT, MathOverflow
from chains.solana.save.options import Engine, engine_of
from chains.solana.save.price import Now, Refused, Taken, price_at, unchecked_price
from chains.solana.save.reserve import Pool, Terms, pool_of, terms_of
from chains.solana.save.tips import LENDING_MARKET, POOL, PRICE, TERMS

NOT_SEEN = "price_not_seen"
_WHOLE = 10_000


class Found(NamedTuple):
    """A price and the account that it is from."""

    source: bytes
    taken: Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a reserve's token is worth to the program: wads of USD, as of `taken` of the price account `source`.

    `smoothed` is `None` where it is not known how the program scales it; `extra` where the reserve has no extra oracle.
    """

    price: int
    smoothed: int | None
    extra: int | None
    source: bytes
    taken: Taken

    @property
    def lower(self) -> int | None:
        """The price that collateral may be borrowed against, `None` where it is not known."""
        return None if self.smoothed is None else min(self._all(self.smoothed))

    @property
    def upper(self) -> int | None:
        """The price that a debt counts at when more is to be borrowed, `None` where it is not known."""
        return None if self.smoothed is None else max(self._all(self.smoothed))

    def _all(self, smoothed: int) -> tuple[int, ...]:
        return (self.price, smoothed) if self.extra is None else (self.price, smoothed, self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A reserve with interest up to the slot and its price; `reasons`: why the program cannot refresh it, or what is not known of it."""

    address: bytes
    terms: Terms | None = None
    pool: Pool | None = None
    priced: Priced | None = None
    reasons: tuple[Reason, ...] = field(default=())


class Book:
    """The reserves of a market at a slot, each computed when it is first asked for."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.now = Now(snapshot.at.number, snapshot.at.time)
        self.engine: Engine = engine_of(snapshot.venue.options, snapshot.at.number)
        self._reserves: dict[bytes, Reserve] = {}

    @property
    def problem(self) -> Reason | None:
        """Why nothing of the market is known, `None` where something is."""
        found = (self._state(WHOLE_VENUE, LENDING_MARKET) or {}).get("problem")
        return Reason("market_unreadable", self.snapshot.venue.id, found) if found else None

    def reserve(self, address: bytes) -> Reserve:
        """Return a reserve as the program would refresh it."""
        if address not in self._reserves:
            self._reserves[address] = self._refreshed(address)
        return self._reserves[address]

    def _refreshed(self, address: bytes) -> Reserve:
        said, stored = self._state(address, TERMS), self._state(address, POOL)
        subject = base58(address)
        if stored is None or said is None:
            return Reserve(address=address, reasons=(Reason("reserve_unknown", subject, "the reserve was never seen"),))
        if "problem" in stored:
            return Reserve(address=address, reasons=(Reason("reserve_unreadable", subject, stored["problem"]),))
        terms, before = terms_of(said), pool_of(stored)
        try:
            pool = before.at(self.now.slot, terms)
        except MathOverflow as problem:
            detail = f"the program cannot bring the reserve up to date: {problem}"
            return Reserve(address=address, terms=terms, reasons=(Reason("math_overflow", subject, detail),))
        priced = self._unsupported(terms, subject) or self._priced(terms, before, subject)
        if isinstance(priced, Priced):
            return Reserve(address=address, terms=terms, pool=pool, priced=priced)
        return Reserve(address=address, terms=terms, pool=pool, reasons=priced)

    def _unsupported(self, terms: Terms, subject: str) -> tuple[Reason, ...]:
        least, most = self.engine.least_offset, self.engine.most_offset
        if self.engine.clamps or least <= terms.price_offset <= most:
            return ()
        detail = f"{self.engine.name} has no exact rule here for a price offset of {terms.price_offset} basis points"
        return (Reason("unsupported_version", subject, detail),)

    def _priced(self, terms: Terms, before: Pool, subject: str) -> Priced | tuple[Reason, ...]:
        """Return the reserve's prices, or why the program has none; the extra oracle's is not scaled."""
        found = self._first(terms, subject)
        if not isinstance(found, Found):
            return found
        offset = min(max(terms.price_offset, self.engine.least_offset), self.engine.most_offset)
        scale = (_WHOLE + offset) * BASIS_POINT
        smoothed: int | None = before.smoothed
        try:
            price = maths.stored(maths.mul_down(found.taken.price, scale))
            if found.taken.smoothed is not None:
                smoothed = maths.stored(maths.mul_down(found.taken.smoothed, scale))
            extra = None if terms.extra is None else unchecked_price(self._seen(terms.extra), self.now).price
        except Refused as refusal:
            return (Reason(refusal.code, base58(terms.extra or b""), f"of the extra oracle: {refusal}"),)
        except MathOverflow as problem:
            return (Reason("math_overflow", subject, f"the program cannot scale the price: {problem}"),)
        if terms.pyth is None:
            smoothed = price if offset == 0 else None
        return Priced(price=price, smoothed=smoothed, extra=extra, source=found.source, taken=found.taken)

    def _first(self, terms: Terms, subject: str) -> Found | tuple[Reason, ...]:
        """Return the price of the first of the reserve's two oracles that has one."""
        refusals: list[Reason] = []
        for source in (terms.pyth, terms.switchboard):
            try:
                if source is not None:
                    return Found(source, price_at(self._seen(source), self.now))
            except Refused as refusal:
                refusals.append(Reason(refusal.code, base58(source or b""), str(refusal)))
                if refusal.code == NOT_SEEN:
                    break
        return tuple(refusals) or (Reason("no_price_source", subject, "the reserve names no price account"),)

    def _seen(self, source: bytes) -> dict[str, Any]:
        state = self._state(source, PRICE)
        if state is None:
            raise Refused(NOT_SEEN, "the price account was not read yet")
        return state

    def _state(self, market: bytes, aspect: str) -> dict[str, Any] | None:
        text = self.snapshot.markets.get((market, aspect))
        return None if text is None else dict(json.loads(text))
