"""A market's own arithmetic: what its program's refresh would write of each obligation at the slot, and what it would let happen.

`native` holds the fields of a refreshed obligation under the program's names (values in fractions of 60 bits, `_sf`), those of its
deposits and borrows behind `deposits.<reserve>.` and `borrows.<reserve>.`, and `loan_to_value_sf`, `unhealthy_loan_to_value_sf` as
`liquidate_obligation` compares them. `health_factor_wad` = unhealthy_borrow_value · 1e18 / borrow-factor adjusted debt, down, and below
1e18 just where the program liquidates for the loan-to-value, if it takes any of the deposits. `collateral_base`, `debt_base`: the deposited
value, down, and the adjusted debt, up, in 1e-8 USD.

An obligation can be liquidated for other reasons than its loan-to-value: it is marked for deleveraging, a reserve is over its limits, a
debt's term is over. Where one of them may apply, the verdict is unknown unless the loan-to-value decides, and the reason says which. While
the program would refuse to liquidate because a price is old or blocked, the numbers stand in `native`, and the verdict is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from chains.identifiers import base58
from chains.model import (
    WHOLE_VENUE,
    Reason,
    Side,
    UnitPosition,
    UnitSnapshot,
    VenuePrice,
    VenueSnapshot,
    VenueUnit,
)
from chains.solana.kamino.engines import KNOWN, UNKNOWN, Engine, engine_of
from chains.solana.kamino.journal import (
    LIQUIDITY,
    MARKET_STATE,
    OBLIGATION,
    PRICE,
    PROBLEM,
    RESERVE_STATE,
    Liquidity,
    Market,
    Obligation,
    Reserve,
    liquidity_of,
    market_of,
    obligation_of,
    reserve_of,
)
from chains.solana.kamino.liquidating import Liquidable
from chains.solana.kamino.liquidation import ADJUSTED_DEBT, Verdict, loans_to_value, verdict_of
from chains.solana.kamino.maths import BITS, ONE, ceil
from chains.solana.kamino.options import stated_slots, version_at
from chains.solana.kamino.prices import price_of
from chains.solana.kamino.refresh import (
    Clock,
    Conditions,
    Refreshed,
    RefreshedObligation,
    price_is_kept,
    refresh_obligation,
    refresh_reserve,
)
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known

BASE_UNIT = 10**8
USD = "USD"
_BPS_PER_PERCENT = 100


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an obligation into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    stated = stated_slots(snapshot.venue.options)
    return known(snapshot, lambda unit: _Unit(book, unit).venue_unit(), stated)


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the market can be known, whoever asks."""
    return (*unstated(snapshot, stated_slots(snapshot.venue.options)), *Book(snapshot).problems)


class Book:
    """A market at a slot: its reserves refreshed once for all of its obligations, or why one cannot be."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.clock = Clock(snapshot.at.number, snapshot.at.time)
        self.version = version_at(snapshot.venue.options, snapshot.at.number)
        self.engine: Engine | None = engine_of(self.version)
        self.engine_version = f"klend-{UNKNOWN if self.version is None else '.'.join(map(str, self.version))}"
        text = snapshot.markets.get((WHOLE_VENUE, MARKET_STATE))
        self.market: Market | None = None if text is None else market_of(text)
        self.problems = tuple(self._problems())
        self._doubts = {
            market: json.loads(text) for (market, aspect), text in snapshot.markets.items() if aspect == PROBLEM
        }
        self._prices = {
            market: text
            for (market, aspect), text in snapshot.markets.items()
            if aspect == PRICE and not self._doubts.get(market)
        }
        self.terms = {
            market: reserve_of(market, text)
            for (market, aspect), text in snapshot.markets.items()
            if aspect == RESERVE_STATE
        }
        self._refreshed: dict[bytes, Refreshed | Reason] = {}

    @property
    def base_unit(self) -> int | None:
        """One USD in the base amounts, `None` for a market that quotes in something else."""
        return BASE_UNIT if self.market is not None and self.market.quote_currency == USD else None

    def reserve(self, address: bytes) -> Refreshed | Reason:
        """Return a reserve as the program's refresh would leave it, or why it would fail or is not known."""
        if address not in self._refreshed:
            self._refreshed[address] = self._refresh(address)
        return self._refreshed[address]

    def _problems(self) -> Iterator[Reason]:
        name = self.snapshot.venue.id
        if self.engine is None:
            said = "`program_version` names none" if self.version is None else f"version {self.engine_version} runs"
            yield Reason("unsupported_version", name, f"{said}; exact engines are there for klend {KNOWN}")
        if self.market is None:
            yield Reason("no_lending_market", name, "the account of the lending market was never read")
        problem = json.loads(self.snapshot.markets.get((WHOLE_VENUE, PROBLEM), "null"))
        if problem:
            yield Reason("malformed_account", name, problem)

    def _refresh(self, address: bytes) -> Refreshed | Reason:
        name = base58(address)
        reserve, text = self.terms.get(address), self.snapshot.markets.get((address, LIQUIDITY))
        if reserve is None or text is None:
            return Reason("no_reserve", name, "the account of the reserve was never read")
        if self._doubts.get(address):
            return Reason("malformed_account", name, self._doubts[address])
        if self.engine is None or self.market is None:
            return self.problems[0]
        return self._priced(self.market, self.engine, reserve, liquidity_of(text))

    def _priced(self, market: Market, engine: Engine, reserve: Reserve, liquidity: Liquidity) -> Refreshed | Reason:
        unknown = unsupported(market, engine, reserve, liquidity)
        if unknown is not None:
            return unknown
        conditions = Conditions(market, engine, self.clock)
        if price_is_kept(market, reserve, liquidity, self.clock):
            return refresh_reserve(conditions, reserve, liquidity, None)
        priced = price_of(reserve, self._prices, engine, self.clock.time)
        if isinstance(priced, Reason):
            return priced
        return refresh_reserve(conditions, reserve, liquidity, priced)


def unsupported(market: Market, engine: Engine, reserve: Reserve, liquidity: Liquidity) -> Reason | None:
    """Name what later versions compute and this folder does not."""
    if not engine.settings:
        return None
    name = base58(reserve.address)
    if reserve.interest_rate_basis:
        detail = f"interest accrues on basis {reserve.interest_rate_basis}, not by slots"
        return Reason("unsupported_interest", name, detail)
    if reserve.rewards_amount_per_slot and liquidity.rewards_amount_available and market.reserve_rewards_max_apr_bps:
        detail = "the reserve pays rewards to depositors, which are not computed here"
        return Reason("unsupported_rewards", name, detail)
    return None


class _Unit:
    """One obligation of a market at a slot."""

    def __init__(self, book: Book, unit: UnitSnapshot) -> None:
        self.book = book
        self.unit = unit
        text = unit.settings.get((WHOLE_VENUE, OBLIGATION))
        self.obligation: Obligation | None = None if text is None else obligation_of(text)

    def venue_unit(self) -> VenueUnit:
        """Value the obligation, or say why that cannot be done."""
        refreshed = self._refreshed()
        if isinstance(refreshed, RefreshedObligation):
            fields: Mapping[str, int] | None = refreshed.fields
            positions = tuple(self._positions(refreshed))
            verdict = self._verdict(refreshed)
        else:
            fields, positions = None, tuple(self._partial())
            verdict = Verdict(liquidatable=None, health_factor_wad=None, reasons=refreshed)
        base = self.book.base_unit
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=None if fields is None else {**fields, **loans_to_value(fields)},
            health_factor_wad=verdict.health_factor_wad,
            liquidatable=verdict.liquidatable,
            has_debt=any(self._debts().values()),
            collateral_base=None if fields is None or base is None else fields["deposited_value_sf"] * base >> BITS,
            debt_base=None if fields is None or base is None else ceil(fields[ADJUSTED_DEBT] * base),
            base_unit=base,
            positions=positions,
            reasons=verdict.reasons,
            engine_version=self.book.engine_version,
            liquidating=self.liquidating,
        )

    def liquidating(self) -> Liquidable | tuple[Reason, ...]:
        """Return the obligation as it would be liquidated, or why that is not known."""
        refreshed = self._refreshed()
        if not isinstance(refreshed, RefreshedObligation):
            return refreshed
        if self.book.base_unit is None:
            detail = "the market counts in something else than USD"
            return (Reason("liquidation_unknown", self.book.snapshot.venue.id, detail),)
        conditions, obligation = self._known()
        return Liquidable.of(conditions, self.unit.unit_id, obligation, refreshed)

    def _known(self) -> tuple[Conditions, Obligation]:
        """Return what an obligation that was refreshed has."""
        assert self.book.market is not None  # noqa: S101 - what was refreshed has a market, an engine and an obligation
        assert self.book.engine is not None  # noqa: S101 - ditto
        assert self.obligation is not None  # noqa: S101 - ditto
        return Conditions(self.book.market, self.book.engine, self.book.clock), self.obligation

    def _deposits(self) -> dict[bytes, int]:
        listed = () if self.obligation is None else self.obligation.deposits
        return {reserve: self.unit.positions.get((reserve, Side.SUPPLY), 0) for reserve in listed}

    def _debts(self) -> dict[bytes, int]:
        listed = {} if self.obligation is None else self.obligation.borrows
        return {
            reserve: self.unit.positions.get((reserve, Side.BORROW), 0) if debt.wide is None else debt.wide
            for reserve, debt in listed.items()
        }

    def _refreshed(self) -> RefreshedObligation | tuple[Reason, ...]:
        book, obligation = self.book, self.obligation
        if book.problems or book.engine is None or book.market is None:
            return book.problems
        name = base58(self.unit.unit_id)
        if obligation is None:
            return (Reason("no_obligation", name, "the account of the obligation was never read"),)
        if obligation.problem:
            return (Reason("malformed_account", name, obligation.problem),)
        needed = {*obligation.deposits, *obligation.borrows}
        reserves = {address: book.reserve(address) for address in sorted(needed)}
        missing = tuple(found for found in reserves.values() if isinstance(found, Reason))
        if missing:
            return missing
        there = {address: found for address, found in reserves.items() if isinstance(found, Refreshed)}
        amounts = (self._deposits(), self._debts())
        conditions = Conditions(book.market, book.engine, book.clock)
        found = refresh_obligation(conditions, obligation, amounts, there)
        return (found,) if isinstance(found, Reason) else found

    def _verdict(self, refreshed: RefreshedObligation) -> Verdict:
        conditions, obligation = self._known()
        return verdict_of(conditions, self.unit.unit_id, obligation, refreshed)

    def _positions(self, refreshed: RefreshedObligation) -> Iterator[UnitPosition]:
        for side, legs in ((Side.SUPPLY, refreshed.deposits), (Side.BORROW, refreshed.borrows)):
            for leg in legs:
                amount = leg.amount >> BITS if side is Side.SUPPLY else ceil(leg.amount)
                yield _position(leg.refreshed, side, leg.raw, amount, leg.threshold_pct)

    def _partial(self) -> Iterator[UnitPosition]:
        """Yield the positions whose reserves are known, of an obligation that is not valued as a whole."""
        engine, obligation = self.book.engine, self.obligation
        if engine is None or obligation is None or self.book.market is None:
            return
        for side, held in ((Side.SUPPLY, self._deposits()), (Side.BORROW, self._debts())):
            for address, raw in held.items():
                found = self.book.reserve(address)
                if isinstance(found, Refreshed):
                    yield from _alone(self.book, obligation, found, side, raw)


def _alone(book: Book, obligation: Obligation, found: Refreshed, side: Side, raw: int) -> Iterator[UnitPosition]:
    """Yield one position by itself, nothing where its own numbers cannot be had."""
    assert book.market is not None  # noqa: S101 - who asks has looked
    assert book.engine is not None  # noqa: S101 - ditto
    address = found.reserve.address
    amounts: tuple[Mapping[bytes, int], Mapping[bytes, int]] = (
        ({address: raw}, {}) if side is Side.SUPPLY else ({}, {address: raw})
    )
    conditions = Conditions(book.market, book.engine, book.clock)
    alone = refresh_obligation(conditions, obligation, amounts, {address: found})
    if isinstance(alone, RefreshedObligation):
        for leg in (*alone.deposits, *alone.borrows):
            amount = leg.amount >> BITS if side is Side.SUPPLY else ceil(leg.amount)
            yield _position(found, side, raw, amount, leg.threshold_pct)


def _position(found: Refreshed, side: Side, raw: int, amount: int, threshold_pct: int | None) -> UnitPosition:
    reserve, liquidity, priced = found
    source = reserve.token.pyth or reserve.token.scope or reserve.address
    return UnitPosition(
        market=reserve.address,
        asset=reserve.mint,
        side=side,
        symbol=reserve.symbol,
        decimals=reserve.decimals,
        amount_raw=amount,
        protocol_raw=raw,
        counts=side is Side.BORROW or bool(threshold_pct),
        price=VenuePrice(
            answer_raw=liquidity.market_price_sf,
            unit_raw=ONE,
            source=source if priced is None else priced.source,
            updated_at=liquidity.market_price_last_updated_ts,
            block=liquidity.slot if priced is None else priced.slot,
        ),
        liquidation_threshold=None if threshold_pct is None else threshold_pct * _BPS_PER_PERCENT,
    )
