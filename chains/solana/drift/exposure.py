"""What an account holds and owes in tokens, and its perp positions as exposure."""

from __future__ import annotations

from collections.abc import Iterator

from chains.model import Reason, Side, UnitPosition, VenuePrice
from chains.solana.drift.accounts import DEPOSIT, PerpPosition, SpotPosition, User
from chains.solana.drift.book import Book
from chains.solana.drift.integers import PRICE, Refused, power_of_ten
from chains.solana.drift.interest import deposited_down
from chains.solana.drift.margin import ISOLATED_POOL, QUOTE, Balances, Calculation
from chains.solana.drift.perp import PerpValue
from chains.solana.drift.spot import Requirement, asset_weight, token_amount
from chains.solana.drift.states import SpotMarket

FULL = 10_000
BASE_UNIT = 10**8
"""One USD in `collateral_base` and `debt_base`."""


def exposure(number: int, value: PerpValue, position: PerpPosition) -> dict[str, int]:
    """Return a perp position under the program's names; `unrealized_pnl` has the unsettled funding in it."""
    numbers = {
        "base_asset_amount": position.base_asset_amount,
        "quote_asset_amount": position.quote_asset_amount,
        "quote_entry_amount": position.quote_entry_amount,
        "quote_break_even_amount": position.quote_break_even_amount,
        "unrealized_pnl": value.unrealized_pnl,
        "unsettled_funding": value.unsettled_funding,
        "weighted_pnl": value.weighted_pnl,
        "liability_value": value.liability_value,
        "position_margin_requirement": value.margin_requirement,
    }
    return {f"perp_{number}_{name}": amount for name, amount in numbers.items()}


def positions_of(
    user: User, balances: Balances, book: Book, found: Calculation | Reason | None
) -> Iterator[UnitPosition]:
    """Yield deposits and loans with interest, and of perp positions what they are worth in the token that they settle in.

    Isolated collateral and profit stand together, in the perp market; none of markets that are not known.
    """
    for spot in user.spot:
        market = book.accrued(spot.market_index)
        balance = balances.spot.get(spot.market_index, 0)
        if balance and not isinstance(market, Reason):
            yield from _of_spot(user, spot, market, book, balance)
    for perp in user.perp:
        yield from _of_perp(perp, balances, book, found)


def _of_spot(
    user: User, position: SpotPosition, market: SpotMarket, book: Book, balance: int
) -> Iterator[UnitPosition]:
    quoted = book.price(market)
    is_deposit = position.balance_type == DEPOSIT
    try:
        amount = abs(token_amount(market, position.balance_type, balance))
        weight = _threshold(user, market, amount, None if isinstance(quoted, Reason) else quoted.price)
    except Refused:
        return
    yield UnitPosition(
        market=market.address,
        asset=market.mint,
        side=Side.SUPPLY if is_deposit else Side.BORROW,
        symbol=market.symbol,
        decimals=market.decimals,
        amount_raw=amount,
        protocol_raw=balance,
        counts=weight > 0 if is_deposit else True,
        price=_venue_price(book, market),
        liquidation_threshold=weight if is_deposit else None,
    )


def _threshold(user: User, market: SpotMarket, amount: int, price: int | None) -> int:
    """Return the maintenance weight of a deposit, of its size; that of the quote asset is 1."""
    if market.market_index == QUOTE:
        return 0 if user.pool_id == ISOLATED_POOL else FULL
    return asset_weight(market, amount, price or 0, Requirement.MAINTENANCE)


def _of_perp(
    position: PerpPosition, balances: Balances, book: Book, found: Calculation | Reason | None
) -> Iterator[UnitPosition]:
    perp = book.perp(position.market_index)
    market = perp if isinstance(perp, Reason) else book.accrued(perp.quote_spot_market_index)
    if isinstance(perp, Reason) or isinstance(market, Reason):
        return
    value = found.perp.get(position.market_index) if isinstance(found, Calculation) else None
    profit = 0 if value is None else value.unrealized_pnl
    scaled = balances.isolated.get(position.market_index, 0)
    try:
        held = deposited_down(market, scaled)
    except Refused:
        return
    weight = FULL if value is None or held else value.asset_weight
    for side, amount, stored in (
        (Side.SUPPLY, held + max(profit, 0), scaled),
        (Side.BORROW, max(-profit, 0), 0),
    ):
        if amount:
            yield UnitPosition(
                market=perp.address,
                asset=market.mint,
                side=side,
                symbol=perp.symbol,
                decimals=market.decimals,
                amount_raw=amount,
                protocol_raw=stored,
                counts=weight > 0 or side is Side.BORROW,
                price=_venue_price(book, market),
                liquidation_threshold=weight if side is Side.SUPPLY else None,
            )


def _venue_price(book: Book, market: SpotMarket) -> VenuePrice | None:
    quoted = book.price(market)
    if isinstance(quoted, Reason):
        return None
    source = market.oracle if any(market.oracle) else market.address
    return VenuePrice(quoted.price, PRICE, source, quoted.time, quoted.slot)


def sum_base(position: UnitPosition) -> int:
    """Return what a position is worth in `BASE_UNIT`, rounded down for what is held and up for what is owed; 0 without a price."""
    if position.price is None:
        return 0
    value = position.amount_raw * position.price.answer_raw * BASE_UNIT
    scale = power_of_ten(position.decimals) * position.price.unit_raw
    return value // scale if position.side is Side.SUPPLY else -(-value // scale)
