"""A market's own arithmetic: what its program's refresh would write of each obligation at the slot, and what it would let happen.

`native` holds the fields of a refreshed obligation under the program's names (values in fractions of 60 bits, `_sf`), those of its
deposits and borrows behind `deposits.<reserve>.` and `borrows.<reserve>.`, and `loan_to_value_sf`, `unhealthy_loan_to_value_sf` as
`liquidate_obligation` compares them. `health_factor_wad` = unhealthy_borrow_value · 1e18 / borrow-factor adjusted debt, down, and below
1e18 just where the program liquidates for the loan-to-value. `collateral_base`, `debt_base`: the deposited value, down, and the adjusted
debt, up, in 1e-8 USD.

An obligation can be liquidated for other reasons than its loan-to-value: it is marked for deleveraging, a reserve is over its limits, a
debt's term is over. Where one of them may apply, the verdict is unknown unless the loan-to-value decides, and the reason says which. While
the program would refuse to liquidate because a price is old or blocked, the numbers stand in `native`, and the verdict is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

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
from chains.solana.kamino.maths import BITS, ONE, ceil, div, whole
from chains.solana.kamino.options import version_at
from chains.solana.kamino.prices import LIQUIDATION_CHECKS, USAGE, price_of
from chains.solana.kamino.refresh import (
    Clock,
    Conditions,
    Leg,
    Refreshed,
    RefreshedObligation,
    price_is_kept,
    refresh_obligation,
    refresh_reserve,
)

WAD = 10**18
BASE_UNIT = 10**8
USD = "USD"
_BPS_PER_PERCENT = 100


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an obligation into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return lambda unit: _Unit(book, unit).venue_unit()


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
        unsupported = _unsupported(market, engine, reserve, liquidity)
        if unsupported is not None:
            return unsupported
        if price_is_kept(market, reserve, liquidity, self.clock):
            return refresh_reserve(market, reserve, liquidity, None, self.clock)
        priced = price_of(reserve, self._prices, engine, self.clock.time)
        if isinstance(priced, Reason):
            return priced
        return refresh_reserve(market, reserve, liquidity, priced, self.clock)


def _unsupported(market: Market, engine: Engine, reserve: Reserve, liquidity: Liquidity) -> Reason | None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """Whether the program liquidates, and the health factor, each `None` where that is not known."""

    liquidatable: bool | None
    health_factor_wad: int | None
    reasons: tuple[Reason, ...]


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
            verdict = _Verdict(liquidatable=None, health_factor_wad=None, reasons=refreshed)
        base = self.book.base_unit
        return VenueUnit(
            venue_id=self.book.snapshot.venue.id,
            unit_id=self.unit.unit_id,
            owner=self.unit.owner,
            native=None if fields is None else {**fields, **_ltvs(fields)},
            health_factor_wad=verdict.health_factor_wad,
            liquidatable=verdict.liquidatable,
            has_debt=any(self._debts().values()),
            collateral_base=None if fields is None or base is None else fields["deposited_value_sf"] * base >> BITS,
            debt_base=None if fields is None or base is None else ceil(fields[_ADJUSTED] * base),
            base_unit=base,
            positions=positions,
            reasons=verdict.reasons,
            engine_version=self.book.engine_version,
        )

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

    def _verdict(self, refreshed: RefreshedObligation) -> _Verdict:
        fields = refreshed.fields
        noted = tuple(self._noted())
        if fields[_ADJUSTED] == 0:
            return _Verdict(liquidatable=False, health_factor_wad=None, reasons=noted)
        refused = _refused(fields["price_status"], self.unit.unit_id)
        if refused is not None:
            return _Verdict(liquidatable=None, health_factor_wad=None, reasons=(refused, *noted))
        if fields["deposited_value_sf"] == 0:
            return _Verdict(liquidatable=False, health_factor_wad=0, reasons=noted)
        ltvs = _ltvs(fields)
        unhealthy = ltvs["loan_to_value_sf"] >= ltvs["unhealthy_loan_to_value_sf"]
        health = fields["unhealthy_borrow_value_sf"] * WAD // fields[_ADJUSTED]
        if unhealthy and self._ltv_decides():
            return _Verdict(liquidatable=True, health_factor_wad=min(health, WAD - 1), reasons=noted)
        others = tuple(self._other_causes(refreshed))
        if others:
            return _Verdict(liquidatable=None, health_factor_wad=None, reasons=(*others, *noted))
        shown = min(health, WAD - 1) if unhealthy else max(health, WAD)
        return _Verdict(liquidatable=False, health_factor_wad=shown, reasons=noted)

    def _ltv_decides(self) -> bool:
        """Whether the market lets anybody liquidate for the loan-to-value."""
        book = self.book
        settings = book.engine is not None and book.engine.settings
        return not (settings and book.market is not None and book.market.price_triggered_liquidation_disabled)

    def _noted(self) -> Iterator[Reason]:
        """Yield what people should know and what changes no number."""
        market, engine, name = self.book.market, self.book.engine, base58(self.unit.unit_id)
        if market is None or engine is None or not engine.settings or self.obligation is None:
            return
        if market.price_triggered_liquidation_disabled:
            yield Reason(
                "price_triggered_liquidation_disabled", name, "the market liquidates nobody for the loan-to-value"
            )
        if market.emergency_mode:
            yield Reason("emergency_mode", name, "the market is in emergency mode, which stops its operations")
        if self.obligation.orders and market.obligation_order_execution_enabled:
            yield Reason(
                "obligation_orders", name, "anybody may execute the orders that the owner placed on the obligation"
            )

    def _other_causes(self, refreshed: RefreshedObligation) -> Iterator[Reason]:
        """Yield reasons for which the program may liquidate whatever the loan-to-value is."""
        market, engine, now = self.book.market, self.book.engine, self.book.clock.time
        if market is None or engine is None or self.obligation is None:
            return
        name = base58(self.unit.unit_id)
        if (
            market.autodeleverage_enabled
            and engine.settings
            and self.obligation.autodeleverage_margin_call_started_timestamp
        ):
            yield Reason("marked_for_deleveraging", name, "the obligation is marked for deleveraging")
        for leg in (*refreshed.deposits, *refreshed.borrows):
            if market.autodeleverage_enabled and _over_its_limit(leg, engine, now):
                detail = "the reserve is over its limit and may be deleveraged"
                yield Reason("reserve_deleveraging", base58(leg.refreshed.reserve.address), detail)
        for leg in refreshed.borrows if engine.settings else ():
            if _is_due(leg.refreshed.reserve, self.obligation, market, now):
                detail = "the debt's term is over or the reserve's debt has matured"
                yield Reason("debt_is_due", base58(leg.refreshed.reserve.address), detail)

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


_ADJUSTED = "borrow_factor_adjusted_debt_value_sf"


def _alone(book: Book, obligation: Obligation, found: Refreshed, side: Side, raw: int) -> Iterator[UnitPosition]:
    """Yield one position by itself, nothing where its own numbers cannot be had."""
    assert book.market is not None  # noqa: S101 - who asks has looked
    assert book.engine is not None  # noqa: S101
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


def _ltvs(fields: Mapping[str, int]) -> dict[str, int]:
    """Return the two ratios that decide a liquidation; nothing without collateral, where the program stops at the division."""
    deposited = fields["deposited_value_sf"]
    if deposited == 0:
        return {}
    return {
        "loan_to_value_sf": div(fields[_ADJUSTED], deposited),
        "unhealthy_loan_to_value_sf": div(fields["unhealthy_borrow_value_sf"], deposited),
    }


def _refused(status: int, unit_id: bytes) -> Reason | None:
    missing = LIQUIDATION_CHECKS & ~status
    if not missing:
        return None
    if missing == USAGE:
        return Reason(
            "price_usage_blocked", base58(unit_id), "the market blocks the use of a price, nobody can be liquidated"
        )
    return Reason(
        "venue_price_refused", base58(unit_id), "a price is too old for the program, it would refuse to liquidate"
    )


def _over_its_limit(leg: Leg, engine: Engine, now: int) -> bool:
    """Whether a reserve holds or lends more than its limit and has called for long enough; the call is not read before 1.8."""
    reserve, liquidity = leg.refreshed.reserve, leg.refreshed.liquidity
    if leg.threshold_pct is None:
        crossed, since = (
            liquidity.borrowed_amount_sf > whole(reserve.borrow_limit),
            liquidity.borrow_limit_crossed_timestamp,
        )
    else:
        crossed, since = (
            liquidity.total_supply > whole(reserve.deposit_limit),
            liquidity.deposit_limit_crossed_timestamp,
        )
    if not engine.settings:
        return crossed
    called = since > 0 and now - since >= reserve.deleveraging_margin_call_period_secs
    return bool(reserve.autodeleverage_enabled) and crossed and called


def _is_due(reserve: Reserve, obligation: Obligation, market: Market, now: int) -> bool:
    matured = market.mature_reserve_debt_liquidation_enabled and 0 < reserve.debt_maturity_timestamp <= now
    borrowed_at = obligation.borrows[reserve.address].last_borrowed_at_timestamp
    term = reserve.debt_term_seconds
    over = market.obligation_borrow_debt_term_liquidation_enabled and 0 < term <= now - borrowed_at
    return bool(matured or over)


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
