"""An obligation's own arithmetic: what the program's RefreshObligation would write at a slot, after RefreshReserve of all its reserves.

Source: solendprotocol/solana-program-library `token-lending/program/src/processor.rs` (`process_refresh_obligation`). `native` has the
program's fields by name, values as wads of USD; the program's flags as 0 or 1. `allowed_borrow_value` and `borrowed_value_upper_bound` are
left out where a smoothed price is not known. `collateral_base` is `deposited_value`, `debt_base` the weighted `borrowed_value`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitPosition, UnitSnapshot, VenuePrice, VenueSnapshot, VenueUnit
from chains.solana.programs import doubts as unstated
from chains.solana.programs import known
from chains.solana.save import maths
from chains.solana.save.book import Book, Priced, Reserve
from chains.solana.save.layout import Borrow, Deposit, Obligation
from chains.solana.save.maths import BASIS_POINT, WAD, MathOverflow
from chains.solana.save.reserve import Pool, Terms, accrued, borrow_weight, value
from chains.solana.save.tips import OBLIGATION_SETTING, unit_of

MOST_ALLOWED, MOST_UNHEALTHY = 65_000_000 * WAD, 70_000_000 * WAD
"""Caps of every obligation, in USD, that are written into the program."""

MAX_UINT256 = 2**256 - 1


class Supplied(NamedTuple):
    """A deposit after the refresh: `amount` raw units of the collateral token, `tokens` what they stand for as a wad of raw token units."""

    reserve: bytes
    amount: int
    tokens: int
    market_value: int
    attributed: int


class Owed(NamedTuple):
    """A borrow after the refresh."""

    reserve: bytes
    rate: int
    amount: int
    market_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """All that RefreshObligation writes."""

    deposited_value: int
    borrowed_value: int
    allowed_borrow_value: int | None
    unhealthy_borrow_value: int
    borrowed_value_upper_bound: int | None
    borrowing_isolated_asset: bool
    super_unhealthy_borrow_value: int
    unweighted_borrowed_value: int
    closeable: bool
    deposits: tuple[Supplied, ...]
    borrows: tuple[Owed, ...]

    @property
    def native(self) -> dict[str, int]:
        """The fields of the whole obligation that are known."""
        names = [name for name in self.__slots__ if name not in {"deposits", "borrows"}]
        return {name: int(number) for name in names if (number := getattr(self, name)) is not None}


class _Used(NamedTuple):
    """A reserve that could be refreshed."""

    terms: Terms
    pool: Pool
    priced: Priced


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns an obligation of this market into the program's own numbers and its positions in tokens."""
    book = Book(snapshot)
    return known(snapshot, lambda unit: _Account(book, unit).venue_unit())


def doubts(snapshot: VenueSnapshot) -> tuple[Reason, ...]:
    """Return why nothing of the market can be known, whoever asks."""
    problem = Book(snapshot).problem
    return (*unstated(snapshot), *(() if problem is None else (problem,)))


def refreshed(book: Book, held: Obligation) -> Refreshed | tuple[Reason, ...]:
    """Return what the program would write into an obligation, or why it would refuse."""
    names = [each.reserve for each in held.deposits] + [each.reserve for each in held.borrows]
    reserves = {name: book.reserve(name) for name in names}
    if reasons := tuple(reason for reserve in reserves.values() for reason in reserve.reasons):
        return reasons
    used = {name: found for name, reserve in reserves.items() if (found := _used(reserve))}
    try:
        return _refreshed(held, used)
    except MathOverflow as problem:
        return (Reason("math_overflow", "", f"the program cannot refresh the obligation: {problem}"),)


def _used(reserve: Reserve) -> _Used | None:
    if reserve.terms is None or reserve.pool is None or reserve.priced is None:
        return None
    return _Used(reserve.terms, reserve.pool, reserve.priced)


def _refreshed(held: Obligation, used: dict[bytes, _Used]) -> Refreshed:
    supplies = [_supplied(each, used[each.reserve]) for each in held.deposits]
    debts = [_owed(each, used[each.reserve]) for each in held.borrows]
    deposited = _sum(each.market_value for each in supplies)
    unweighted = _sum(each.market_value for each in debts)
    supplies = [_attributed(each, unweighted, deposited) for each in supplies]
    return Refreshed(
        deposited_value=maths.stored(deposited),
        borrowed_value=_sum(_weighted(each.market_value, used[each.reserve]) for each in debts),
        allowed_borrow_value=_allowed(supplies, used),
        unhealthy_borrow_value=_cover(supplies, used, lambda terms: terms.liquidation_threshold),
        borrowed_value_upper_bound=_upper_bound(debts, used),
        borrowing_isolated_asset=any(used[each.reserve].terms.isolated for each in debts),
        super_unhealthy_borrow_value=_cover(supplies, used, lambda terms: terms.max_liquidation_threshold),
        unweighted_borrowed_value=maths.stored(unweighted),
        closeable=held.closeable and _attribution_exceeded(held, supplies, used),
        deposits=tuple(each for each in supplies if each.amount),
        borrows=tuple(_in_order(debts, used)),
    )


def _supplied(deposit: Deposit, used: _Used) -> Supplied:
    tokens = used.pool.redeemed(deposit.amount)
    worth = maths.stored(value(used.priced.price, tokens, used.terms.decimals))
    return Supplied(deposit.reserve, deposit.amount, tokens, worth, deposit.attributed)


def _owed(borrow: Borrow, used: _Used) -> Owed:
    amount = maths.stored(accrued(borrow.amount, borrow.rate, used.pool.rate))
    worth = maths.stored(value(used.priced.price, amount, used.terms.decimals))
    return Owed(borrow.reserve, used.pool.rate, amount, worth)


def _attributed(supply: Supplied, unweighted: int, deposited: int) -> Supplied:
    """Attribute to a deposit its share of the debt."""
    if deposited == 0:
        return supply._replace(attributed=0)
    return supply._replace(attributed=maths.div_down(maths.mul_down(supply.market_value, unweighted), deposited))


def _attribution_exceeded(held: Obligation, supplies: Sequence[Supplied], used: dict[bytes, _Used]) -> bool:
    """Tell whether more debt is attributed to a reserve of the deposits than it may close."""
    totals = [
        max(used[now.reserve].pool.attributed - before.attributed, 0) + now.attributed
        for before, now in zip(held.deposits, supplies, strict=True)
    ]
    limits = [used[each.reserve].terms.close_limit * WAD for each in supplies]
    return any(total > limit for total, limit in zip(totals, limits, strict=True))


def _allowed(supplies: Sequence[Supplied], used: dict[bytes, _Used]) -> int | None:
    parts = []
    for each in supplies:
        terms, price = used[each.reserve].terms, used[each.reserve].priced.lower
        if price is None:
            return None
        parts.append(maths.mul_down(value(price, each.tokens, terms.decimals), terms.ltv * BASIS_POINT))
    return min(_sum(parts), MOST_ALLOWED)


def _cover(supplies: Sequence[Supplied], used: dict[bytes, _Used], share: Callable[[Terms], int]) -> int:
    parts = (maths.mul_down(each.market_value, share(used[each.reserve].terms) * BASIS_POINT) for each in supplies)
    return min(_sum(parts), MOST_UNHEALTHY)


def _upper_bound(debts: Sequence[Owed], used: dict[bytes, _Used]) -> int | None:
    parts = []
    for each in debts:
        price = used[each.reserve].priced.upper
        if price is None:
            return None
        worth = value(price, each.amount, used[each.reserve].terms.decimals)
        parts.append(_weighted(worth, used[each.reserve]))
    return _sum(parts)


def _weighted(worth: int, used: _Used) -> int:
    return maths.mul_down(worth, borrow_weight(used.terms))


def _sum(parts: Iterable[int]) -> int:
    total = 0
    for part in parts:
        total = maths.add(total, part)
    return maths.stored(total)


def _in_order(debts: list[Owed], used: dict[bytes, _Used]) -> Iterator[Owed]:
    """Yield debts as the refresh leaves them: the weightiest (of equals the greatest address) changed places with the first."""
    weights = [(used[each.reserve].terms.added_weight, each.reserve, i) for i, each in enumerate(debts) if each.amount]
    if weights:
        _, _, heaviest = max(weights)
        debts[0], debts[heaviest] = debts[heaviest], debts[0]
    yield from (each for each in debts if each.amount)


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
            health_factor_wad=_health(answer) if answer and has_debt else None,
            liquidatable=_liquidatable(answer) if answer else None,
            has_debt=has_debt,
            collateral_base=answer.deposited_value if answer else None,
            debt_base=answer.borrowed_value if answer else None,
            base_unit=WAD,
            positions=tuple(self._positions()),
            reasons=tuple(self._reasons()),
            engine_version=self.book.engine.name,
        )

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


def _health(answer: Refreshed) -> int:
    """Return how far the threshold covers the weighted debt, a wad down: below one just where the program liquidates for it."""
    if answer.borrowed_value == 0:
        return MAX_UINT256
    ratio = answer.unhealthy_borrow_value * WAD // answer.borrowed_value
    return ratio if answer.borrowed_value < answer.unhealthy_borrow_value else min(ratio, WAD - 1)


def _liquidatable(answer: Refreshed) -> bool:
    """Tell whether the debt has reached the threshold, or the obligation may be closed; without a debt's value it is neither."""
    return answer.borrowed_value > 0 and (answer.closeable or answer.borrowed_value >= answer.unhealthy_borrow_value)
