"""What deposits and loans of a spot market count for.

Source: drift-labs protocol-v2, `state/spot_market.rs`, `state/user.rs` (`SpotPosition`, `OrderFillSimulation`), `math/spot_balance.rs`,
`math/margin.rs`. Values have 6 decimals of USD.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from chains.solana.drift.accounts import DEPOSIT, SpotPosition
from chains.solana.drift.integers import (
    BASE,
    PRICE,
    WEIGHT,
    div_toward_zero,
    power_of_ten,
    signed,
    size_root,
    unsigned,
)
from chains.solana.drift.interest import borrowed_up, deposited_down
from chains.solana.drift.states import SpotMarket

OPEN_ORDER = PRICE // 100
"""What each open order requires: 0.01 USD."""

_ROOT = 10**5
_IMF = 10**6


class Requirement(Enum):
    """For what the program asks for margin."""

    INITIAL = "initial"
    FILL = "fill"
    MAINTENANCE = "maintenance"


class Prices(NamedTuple):
    """A price, and its average of five minutes where a check is strict."""

    current: int
    average: int | None

    @property
    def low(self) -> int:
        """Return the price of what is owned."""
        return self.current if self.average is None else min(self.current, self.average)

    @property
    def high(self) -> int:
        """Return the price of what is owed."""
        return self.current if self.average is None else max(self.current, self.average)


class Filled(NamedTuple):
    """A position after its orders on one side are filled, and what is paid or received for them."""

    tokens: int
    orders_value: int
    value: int
    weighted: int

    @property
    def contribution(self) -> int:
        """Return what it adds to the free collateral."""
        return signed(self.weighted + self.orders_value)


def premium_weight(size: int, factor: int, weight: int, precision: int, *, bounded: bool = True) -> int:
    """Return a liability's weight, which grows with the root of its size; at least `weight` where it is bounded."""
    if factor == 0:
        return weight
    steps = unsigned(size_root(size) * factor) // (_ROOT * _IMF // precision)
    grown = unsigned(weight - weight // 5 + steps, 32)
    return max(weight, grown) if bounded else grown


def discounted_weight(size: int, factor: int, weight: int) -> int:
    """Return an asset's weight, which shrinks with the root of its size."""
    if factor == 0:
        return weight
    shrunk = (_IMF + _IMF // 10) * WEIGHT // (_IMF + unsigned(size_root(size) * factor) // _ROOT)
    return min(weight, shrunk)


def token_amount(market: SpotMarket, balance_type: int, balance: int) -> int:
    """Return the raw token units of a scaled balance, negative for a loan."""
    return deposited_down(market, balance) if balance_type == DEPOSIT else -borrowed_up(market, balance)


def token_value(tokens: int, decimals: int, price: int) -> int:
    """Return the value of tokens at a price, rounded down, and so away from zero for what is owed."""
    return signed(tokens * price) // power_of_ten(decimals)


def strict_value(tokens: int, decimals: int, prices: Prices) -> int:
    """Return the value of tokens at the price of their side."""
    return token_value(tokens, decimals, prices.low if tokens > 0 else prices.high)


def asset_weight(market: SpotMarket, size: int, price: int, requirement: Requirement) -> int:
    """Return the weight of a deposit of `size` raw units."""
    maintenance = market.maintenance_asset_weight
    if requirement is Requirement.MAINTENANCE:
        weight = maintenance
    else:
        weight = _scaled_initial_weight(market, price)
        if requirement is Requirement.FILL:
            weight = unsigned(weight + maintenance, 32) // 2
    return discounted_weight(_in_base(market, size), market.imf_factor, weight)


def liability_weight(market: SpotMarket, size: int, requirement: Requirement) -> int:
    """Return the weight of a loan of `size` raw units."""
    weight = ratio_for(requirement, market.initial_liability_weight, market.maintenance_liability_weight)
    return premium_weight(_in_base(market, size), market.imf_factor, weight, WEIGHT)


def ratio_for(requirement: Requirement, initial: int, maintenance: int) -> int:
    """Return what is asked for initially, to be kept, or halfway between."""
    match requirement:
        case Requirement.INITIAL:
            return initial
        case Requirement.FILL:
            return unsigned(initial + maintenance, 32) // 2
        case Requirement.MAINTENANCE:
            return maintenance


def _scaled_initial_weight(market: SpotMarket, price: int) -> int:
    """Return the initial weight of deposits, which shrinks with what all deposits are worth beyond a limit."""
    start = market.scale_initial_asset_weight_start
    if start == 0:
        return market.initial_asset_weight
    deposits = deposited_down(market, market.deposit_balance)
    value = unsigned(token_value(deposits, market.decimals, price))
    return market.initial_asset_weight if value < start else unsigned(market.initial_asset_weight * start) // value


def _in_base(market: SpotMarket, size: int) -> int:
    """Return a size with 9 decimals."""
    precision = power_of_ten(market.decimals)
    return size // (precision // BASE) if precision > BASE else unsigned(size * BASE) // precision


def worst_case(
    market: SpotMarket, position: SpotPosition, tokens: int, prices: Prices, requirement: Requirement
) -> Filled:
    """Return the position after the orders on that side are filled which leaves less free collateral."""
    value = strict_value(tokens, market.decimals, prices)
    if position.open_bids == 0 and position.open_asks == 0:
        return Filled(tokens, 0, value, _weighted(market, tokens, value, prices, requirement))
    bids, asks = (
        _filled(market, tokens, value, orders, prices, requirement)
        for orders in (position.open_bids, position.open_asks)
    )
    return asks if asks.contribution <= bids.contribution else bids


def _filled(  # noqa: PLR0917 - what the program's closure sees
    market: SpotMarket, tokens: int, value: int, orders: int, prices: Prices, requirement: Requirement
) -> Filled:
    paid = token_value(-orders, market.decimals, prices.high)
    after, value_after = signed(tokens + orders), signed(value - paid)
    return Filled(after, paid, value_after, _weighted(market, after, value_after, prices, requirement))


def _weighted(market: SpotMarket, tokens: int, value: int, prices: Prices, requirement: Requirement) -> int:
    if value == 0:
        return 0
    if value > 0:
        weight = asset_weight(market, abs(tokens), prices.current, requirement)
    else:
        weight = liability_weight(market, abs(tokens), requirement)
    return div_toward_zero(signed(value * weight), WEIGHT)


def with_own_ratio(market: SpotMarket, filled: Filled, price: int, ratio: int) -> Filled:
    """Return a position weighed by the margin ratio that its owner has set for himself, where that is stricter."""
    if ratio == 0 or filled.weighted == 0:
        return filled
    size = abs(filled.tokens)
    if filled.weighted < 0:
        weight = max(liability_weight(market, size, Requirement.INITIAL), unsigned(ratio + WEIGHT, 32))
    else:
        weight = min(asset_weight(market, size, price, Requirement.INITIAL), max(WEIGHT - ratio, 0))
    return filled._replace(weighted=div_toward_zero(signed(filled.value * weight), WEIGHT))
