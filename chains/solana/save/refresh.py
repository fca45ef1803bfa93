"""What RefreshObligation writes of an obligation, upon reserves that were refreshed; values are wads of USD.

Source: solendprotocol/solana-program-library `token-lending/program/src/processor.rs` (`process_refresh_obligation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chains.model import Reason
from chains.solana.save import maths
from chains.solana.save.book import Book, Priced, Reserve
from chains.solana.save.layout import Borrow, Deposit, Obligation
from chains.solana.save.maths import BASIS_POINT, WAD, MathOverflow
from chains.solana.save.reserve import Pool, Terms, accrued, borrow_weight, value

MAX_UINT256 = 2**256 - 1

MOST_ALLOWED, MOST_UNHEALTHY = 65_000_000 * WAD, 70_000_000 * WAD
"""Caps of every obligation, in USD, that are written into the program."""


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


class Used(NamedTuple):
    """A reserve that could be refreshed."""

    terms: Terms
    pool: Pool
    priced: Priced


def refreshed(book: Book, held: Obligation) -> Refreshed | tuple[Reason, ...]:
    """Return what the program would write into an obligation, or why it would refuse."""
    names = [each.reserve for each in held.deposits] + [each.reserve for each in held.borrows]
    reserves = {name: book.reserve(name) for name in names}
    if reasons := tuple(reason for reserve in reserves.values() for reason in reserve.reasons):
        return reasons
    used = used_by(book, held)
    try:
        return refresh(held, used)
    except MathOverflow as problem:
        return (Reason("math_overflow", "", f"the program cannot refresh the obligation: {problem}"),)


def used_by(book: Book, held: Obligation) -> dict[bytes, Used]:
    """Return the reserves that an obligation names, as far as they could be refreshed."""
    names = [each.reserve for each in held.deposits] + [each.reserve for each in held.borrows]
    return {name: found for name in names if (found := _used(book.reserve(name)))}


def _used(reserve: Reserve) -> Used | None:
    if reserve.terms is None or reserve.pool is None or reserve.priced is None:
        return None
    return Used(reserve.terms, reserve.pool, reserve.priced)


def refresh(held: Obligation, used: Mapping[bytes, Used]) -> Refreshed:
    """Return what the program would write upon these reserves; raises `MathOverflow`."""
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


def _supplied(deposit: Deposit, used: Used) -> Supplied:
    tokens = used.pool.redeemed(deposit.amount)
    worth = maths.stored(value(used.priced.price, tokens, used.terms.decimals))
    return Supplied(deposit.reserve, deposit.amount, tokens, worth, deposit.attributed)


def _owed(borrow: Borrow, used: Used) -> Owed:
    amount = maths.stored(accrued(borrow.amount, borrow.rate, used.pool.rate))
    worth = maths.stored(value(used.priced.price, amount, used.terms.decimals))
    return Owed(borrow.reserve, used.pool.rate, amount, worth)


def _attributed(supply: Supplied, unweighted: int, deposited: int) -> Supplied:
    """Attribute to a deposit its share of the debt."""
    if deposited == 0:
        return supply._replace(attributed=0)
    return supply._replace(attributed=maths.div_down(maths.mul_down(supply.market_value, unweighted), deposited))


def _attribution_exceeded(held: Obligation, supplies: Sequence[Supplied], used: Mapping[bytes, Used]) -> bool:
    """Tell whether more debt is attributed to a reserve of the deposits than it may close."""
    totals = [
        max(used[now.reserve].pool.attributed - before.attributed, 0) + now.attributed
        for before, now in zip(held.deposits, supplies, strict=True)
    ]
    limits = [used[each.reserve].terms.close_limit * WAD for each in supplies]
    return any(total > limit for total, limit in zip(totals, limits, strict=True))


def _allowed(supplies: Sequence[Supplied], used: Mapping[bytes, Used]) -> int | None:
    parts = []
    for each in supplies:
        terms, price = used[each.reserve].terms, used[each.reserve].priced.lower
        if price is None:
            return None
        parts.append(maths.mul_down(value(price, each.tokens, terms.decimals), terms.ltv * BASIS_POINT))
    return min(_sum(parts), MOST_ALLOWED)


def _cover(supplies: Sequence[Supplied], used: Mapping[bytes, Used], share: Callable[[Terms], int]) -> int:
    parts = (maths.mul_down(each.market_value, share(used[each.reserve].terms) * BASIS_POINT) for each in supplies)
    return min(_sum(parts), MOST_UNHEALTHY)


def _upper_bound(debts: Sequence[Owed], used: Mapping[bytes, Used]) -> int | None:
    parts = []
    for each in debts:
        price = used[each.reserve].priced.upper
        if price is None:
            return None
        worth = value(price, each.amount, used[each.reserve].terms.decimals)
        parts.append(_weighted(worth, used[each.reserve]))
    return _sum(parts)


def _weighted(worth: int, used: Used) -> int:
    return maths.mul_down(worth, borrow_weight(used.terms))


def _sum(parts: Iterable[int]) -> int:
    total = 0
    for part in parts:
        total = maths.add(total, part)
    return maths.stored(total)


def _in_order(debts: list[Owed], used: Mapping[bytes, Used]) -> Iterator[Owed]:
    """Yield debts as the refresh leaves them: the weightiest (of equals the greatest address) changed places with the first."""
    weights = [(used[each.reserve].terms.added_weight, each.reserve, i) for i, each in enumerate(debts) if each.amount]
    if weights:
        _, _, heaviest = max(weights)
        debts[0], debts[heaviest] = debts[heaviest], debts[0]
    yield from (each for each in debts if each.amount)


def health_of(answer: Refreshed) -> int:
    """Return how far the threshold covers the weighted debt, a wad down: below one just where the program liquidates for it."""
    if answer.borrowed_value == 0:
        return MAX_UINT256
    ratio = answer.unhealthy_borrow_value * WAD // answer.borrowed_value
    return ratio if answer.borrowed_value < answer.unhealthy_borrow_value else min(ratio, WAD - 1)


def is_liquidatable(answer: Refreshed) -> bool:
    """Tell whether the debt has reached the threshold, or the obligation may be closed, where both sides have value."""
    if answer.deposited_value == 0 or answer.borrowed_value == 0:
        return False
    return answer.closeable or answer.borrowed_value >= answer.unhealthy_borrow_value
