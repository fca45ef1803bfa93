"""What a perp position requires and what its profit or loss counts for.

Source: drift-labs protocol-v2, `math/margin.rs` (`calculate_perp_position_value_and_pnl`), `math/position.rs`, `math/funding.rs`,
`state/perp_market.rs`, `state/user.rs` (`PerpPosition`), `math/amm.rs` (`calculate_net_user_pnl`). Values have 6 decimals of USD.
"""

from __future__ import annotations

from typing import NamedTuple

from chains.solana.drift.accounts import PerpPosition
from chains.solana.drift.integers import BASE, PRICE, WEIGHT, Refused, div_toward_zero, signed, unsigned
from chains.solana.drift.spot import OPEN_ORDER, Prices, Requirement, discounted_weight, premium_weight, ratio_for
from chains.solana.drift.states import PREDICTION, SETTLEMENT, PerpMarket

MOST_INITIAL_PROFIT = 100 * PRICE
"""As much profit of a position counts for its owner's initial margin."""

_TO_QUOTE = 1000
"""What is of 9 decimals, over what is of 6."""

_FUNDING = PRICE * 1000
_PERCENTAGE = 10**6


class Terms(NamedTuple):
    """For what, and on what terms of the account's own, a position is looked at; `price`: of the market's oracle, `quote`: of its money."""

    requirement: Requirement
    price: int
    quote: Prices
    own_ratio: int
    high_leverage: bool


class PerpValue(NamedTuple):
    """What a position requires; what its profit, funding included, counts for and is; what it owes at worst."""

    margin_requirement: int
    weighted_pnl: int
    unrealized_pnl: int
    unsettled_funding: int
    liability_value: int
    asset_weight: int


def perp_value(position: PerpPosition, market: PerpMarket, terms: Terms) -> PerpValue:
    """Return what a position is to its account; raises `Refused`."""
    settling = market.status == SETTLEMENT
    funding = funding_payment(position, market)
    profit = signed(unrealized_pnl(position, market.expiry_price if settling else terms.price) + funding)
    size, liability = worst_case(position, terms.price, market)
    liability = unsigned(liability * unsigned(terms.quote.high)) // PRICE
    required = 0
    if not settling:
        ratio = max(terms.own_ratio, margin_ratio(market, size, terms.requirement, high_leverage=terms.high_leverage))
        required = unsigned(liability * ratio) // WEIGHT
    weight = profit_weight(market, profit, terms.requirement)
    return PerpValue(
        margin_requirement=required + position.open_orders * OPEN_ORDER,
        weighted_pnl=_weighted(profit, weight, terms),
        unrealized_pnl=profit,
        unsettled_funding=funding,
        liability_value=liability,
        asset_weight=weight,
    )


def _weighted(profit: int, weight: int, terms: Terms) -> int:
    price = terms.quote.current
    if profit:
        price = terms.quote.low if profit > 0 else terms.quote.high
    if weight != WEIGHT:
        profit = div_toward_zero(signed(profit * weight), WEIGHT)
    if price != PRICE:
        profit = div_toward_zero(signed(profit * price), PRICE)
    return min(profit, MOST_INITIAL_PROFIT) if terms.requirement is Requirement.INITIAL else profit


def funding_payment(position: PerpPosition, market: PerpMarket) -> int:
    """Return what funding since the position was last touched adds to its profit."""
    base = position.base_asset_amount
    rate = market.cumulative_funding_rate_long if base > 0 else market.cumulative_funding_rate_short
    change = signed(rate - position.last_cumulative_funding_rate)
    paid = abs(change) * abs(base) // _FUNDING
    return signed(div_toward_zero(paid if (base > 0) != (change > 0) else -paid, _TO_QUOTE), 64)


def unrealized_pnl(position: PerpPosition, price: int) -> int:
    """Return a position's profit at a price, without funding."""
    value = div_toward_zero(signed(position.base_asset_amount * max(price, 0)), BASE)
    return signed(value + position.quote_asset_amount)


def worst_case(position: PerpPosition, price: int, market: PerpMarket) -> tuple[int, int]:
    """Return size and liability after the orders on that side are filled which leaves the larger liability."""
    bids, asks = (
        signed(position.base_asset_amount + orders, 64) for orders in (position.open_bids, position.open_asks)
    )
    of_bids, of_asks = (liability_value(base, price, market.contract_type) for base in (bids, asks))
    return (abs(asks), of_asks) if of_asks >= of_bids else (abs(bids), of_bids)


def liability_value(base: int, price: int, contract_type: int) -> int:
    """Return what may be lost: the whole value, of a prediction's short what its price may still rise."""
    loss = max(price, 0)
    if contract_type == PREDICTION:
        loss = max(PRICE - abs(price), 0) if base < 0 else abs(price)
    return unsigned(abs(base) * loss) // BASE


def margin_ratio(market: PerpMarket, size: int, requirement: Requirement, *, high_leverage: bool) -> int:
    """Return what of a liability is required, 10^4 = all of it."""
    usual = ratio_for(requirement, market.margin_ratio_initial, market.margin_ratio_maintenance)
    high_initial, high_maintenance = (
        market.high_leverage_margin_ratio_initial,
        market.high_leverage_margin_ratio_maintenance,
    )
    high = high_leverage and high_initial > 0 and high_maintenance > 0
    ratio = ratio_for(requirement, high_initial, high_maintenance) if high else usual
    if high and requirement is not Requirement.MAINTENANCE:
        grown = premium_weight(size, market.imf_factor, usual, WEIGHT, bounded=False)
        return _high_leverage_ratio(usual, grown, ratio)
    return premium_weight(size, market.imf_factor, ratio, WEIGHT)


def _high_leverage_ratio(usual: int, grown: int, ratio: int) -> int:
    """Return the ratio that lies as far from the high leverage's to the usual one as the size's premium has come."""
    if grown >= usual:
        return ratio if grown == usual else grown
    if usual // 5 == 0:
        raise Refused("a division by zero")
    share = max(_PERCENTAGE - (usual - grown) * _PERCENTAGE // (usual // 5), 0)
    return unsigned(max(usual - ratio, 1) * share // _PERCENTAGE + ratio, 32)


def profit_weight(market: PerpMarket, profit: int, requirement: Requirement) -> int:
    """Return what of a profit counts, 10^4 = all; of a loss all does."""
    if requirement is Requirement.MAINTENANCE:
        return market.unrealized_pnl_maintenance_asset_weight if profit > 0 else WEIGHT
    weight, limit = market.unrealized_pnl_initial_asset_weight, market.unrealized_pnl_max_imbalance
    if weight > 0 and limit > 0:
        imbalance = _net_user_pnl(market)
        if imbalance > limit:
            weight = weight * limit // imbalance
    if profit <= 0:
        return WEIGHT
    factor = market.unrealized_pnl_imf_factor
    return discounted_weight(unsigned(profit * _TO_QUOTE), factor, weight) if weight > 0 else 0


def _net_user_pnl(market: PerpMarket) -> int:
    """Return the profit of all users together at the price that the market last saw."""
    price = market.last_oracle_price
    if price <= 0:
        raise Refused("the market's last price is not positive")
    base = market.base_asset_amount_with_amm + market.base_asset_amount_with_unsettled_lp
    value = div_toward_zero(signed(base * price), BASE)
    cost = market.quote_asset_amount + market.quote_asset_amount_with_unsettled_lp + market.net_unsettled_funding_pnl
    return signed(value + cost)
