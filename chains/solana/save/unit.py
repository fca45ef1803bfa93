"""An obligation's own arithmetic: what the program's RefreshObligation would write at a slot, after RefreshReserve of all its reserves.

Source: solendprotocol/solana-program-library `token-lending/program/src/processor.rs` (`process_refresh_obligation`). `native` has the
program's fields by name, values as wads of USD; the program's flags as 0 or 1. `allowed_borrow_value` and `borrowed_value_upper_bound` are
left out where a smoothed price is not known. `collateral_base` is `deposited_value`, `debt_base` the weighted `borrowed_value`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenuePrice, VenueSnapshot, VenueUnit
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known
from chains.solana.save.book import Book, Priced, Reserve
from chains.solana.save.layout import Borrow, Deposit
from chains.solana.save.liquidating import Liquidable
from chains.solana.save.maths import WAD, MathOverflow
from chains.solana.save.refresh import Refreshed, health_of, is_liquidatable, refreshed
from chains.solana.save.reserve import Terms, accrued
from chains.solana.save.tips import OBLIGATION_SETTING, unit_of


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an obligation of this market into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: _Account(book, unit).venue_unit())


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the market can be known, whoever asks."""
    problem = Book(snapshot).problem
    return (*unstated(snapshot), *(() if problem is None else (problem,)))


class _Account:
    """One obligation of a market at a slot."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        state = json.loads(unit.settings[WHOLE_VENUE, OBLIGATION_SETTING])
        self.held, self.problem = unit_of(state, unit.positions)
        self.answer = self._answer()

    def venue_unit(self) -> VenueUnit:
        answer = self.answer if isinstance(self.answer, Refreshed) else None
        has_debt = any(each.amount for each in self.held.borrows)
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=answer.native if answer else None,
            health_factor_wad=health_of(answer) if answer and has_debt else None,
            liquidatable=is_liquidatable(answer) if answer else None,
            has_debt=has_debt,
            collateral_base=answer.deposited_value if answer else None,
            debt_base=answer.borrowed_value if answer else None,
            base_unit=WAD,
            positions=tuple(self._positions()),
            reasons=tuple(self._reasons()),
            engine_version=self.book.engine.name,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the obligation as it would be liquidated, or why that is not known."""
        return Liquidable.of(self.book, self.held) if isinstance(self.answer, Refreshed) else tuple(self._reasons())

    def _answer(self) -> Refreshed | tuple[Reason, ...]:
        if self.book.problem is not None:
            return (self.book.problem,)
        if self.problem is not None:
            return (Reason("unreadable_account", base58(self.unit.unit_id), self.problem),)
        return refreshed(self.book, self.held)

    def _reasons(self) -> Iterator[Reason]:
        if not isinstance(self.answer, Refreshed):
            yield from (each._replace(subject=each.subject or base58(self.unit.unit_id)) for each in self.answer)
        elif self.answer.allowed_borrow_value is None or self.answer.borrowed_value_upper_bound is None:
            detail = "how the program scales the smoothed price of a reserve without a Pyth account is not known"
            yield Reason("smoothed_price_unknown", base58(self.unit.unit_id), detail)

    def _positions(self) -> Iterator[UnitPosition]:
        """Yield what can be told in tokens: interest needs no price."""
        for deposit in self.held.deposits:
            reserve = self.book.reserve(deposit.reserve)
            tokens = _tokens(reserve, deposit)
            if deposit.amount and reserve.terms and tokens is not None:
                threshold = reserve.terms.liquidation_threshold
                yield _position(reserve, reserve.terms, tokens, deposit.amount, threshold)
        for borrow in self.held.borrows:
            reserve = self.book.reserve(borrow.reserve)
            tokens = _tokens(reserve, borrow)
            if borrow.amount and reserve.terms and tokens is not None:
                yield _position(reserve, reserve.terms, tokens, borrow.amount, None)


def _tokens(reserve: Reserve, entry: Deposit | Borrow) -> int | None:
    """Return raw token units, of a deposit down and of a debt up, `None` where the program itself cannot say them."""
    if reserve.pool is None:
        return None
    try:
        if isinstance(entry, Deposit):
            return reserve.pool.redeemed(entry.amount) // WAD
        return -(-accrued(entry.amount, entry.rate, reserve.pool.rate) // WAD)
    except MathOverflow:
        return None


def _position(reserve: Reserve, terms: Terms, tokens: int, raw: int, threshold: int | None) -> UnitPosition:
    return UnitPosition(
        market=reserve.address,
        asset=terms.asset,
        side=Side.BORROW if threshold is None else Side.SUPPLY,
        symbol="",
        decimals=terms.decimals,
        amount_raw=tokens,
        protocol_raw=raw,
        counts=threshold != 0,
        price=_price(reserve.priced) if reserve.priced else None,
        liquidation_threshold=threshold,
    )


def _price(priced: Priced) -> VenuePrice:
    return VenuePrice(priced.price, WAD, priced.source, priced.taken.time, priced.taken.slot)
