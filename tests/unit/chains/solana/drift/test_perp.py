"""What perp positions require and what their profit counts for, with the arithmetic beside the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from chains.solana.drift.accounts import PerpPosition
from chains.solana.drift.integers import Refused
from chains.solana.drift.perp import (
    Terms,
    funding_payment,
    liability_value,
    margin_ratio,
    perp_value,
    profit_weight,
    unrealized_pnl,
    worst_case,
)
from chains.solana.drift.spot import Prices, Requirement
from chains.solana.drift.states import PREDICTION, SETTLEMENT, PerpMarket, perp_of, perp_texts
from tests.unit.chains.solana.drift.builders import SOL_PERP, perp_market

SOL, USD = 10**9, 10**6
ONE = Prices(USD, None)


def market(**changes: Any) -> PerpMarket:
    found = perp_of(SOL_PERP, *perp_texts(perp_market(**changes)))
    assert isinstance(found, PerpMarket)
    return found


def position(base: int = 0, quote: int = 0, **changes: int) -> PerpPosition:
    return PerpPosition(
        **(dict.fromkeys(PerpPosition._fields, 0) | {"base_asset_amount": base, "quote_asset_amount": quote} | changes)
    )


def terms(requirement: Requirement = Requirement.MAINTENANCE, price: int = 100 * USD, **changes: Any) -> Terms:
    return Terms(requirement, price, ONE, 0, high_leverage=False)._replace(**changes)


def test_profit_is_what_closing_at_the_oracle_s_price_would_bring() -> None:
    assert unrealized_pnl(position(10 * SOL, -900 * USD), 100 * USD) == 100 * USD
    assert unrealized_pnl(position(-10 * SOL, 900 * USD), 100 * USD) == -100 * USD
    assert unrealized_pnl(position(0, -7), 100 * USD) == -7
    assert unrealized_pnl(position(-1, 0), 1_500 * USD) == -1  # −1.5, toward zero


@pytest.mark.parametrize(
    "base, rate, paid",
    [
        (2 * SOL, 3 * SOL, -6 * USD),  # 3 USD a SOL: longs pay
        (-2 * SOL, 3 * SOL, 6 * USD),
        (2 * SOL, -3 * SOL, 6 * USD),
        (-2 * SOL, -3 * SOL, -6 * USD),
        (0, 3 * SOL, 0),
        (SOL, 1_999, -1),  # 1.999 millionths
    ],
)
def test_funding_is_paid_by_one_side_to_the_other_and_rounded_toward_zero(base: int, rate: int, paid: int) -> None:
    funded = market(cumulative_funding_rate_long=rate + 5, cumulative_funding_rate_short=rate + 5)

    assert funding_payment(position(base, last_cumulative_funding_rate=5), funded) == paid


def test_each_side_has_its_own_funding_rate() -> None:
    funded = market(cumulative_funding_rate_long=SOL, cumulative_funding_rate_short=2 * SOL)

    assert funding_payment(position(SOL), funded) == -USD
    assert funding_payment(position(-SOL), funded) == 2 * USD


def test_a_position_requires_a_share_of_what_it_is_worth_at_worst() -> None:
    held = position(10 * SOL, -1_000 * USD, open_bids=5 * SOL, open_asks=-30 * SOL, open_orders=3)

    found = perp_value(held, market(), terms())

    # asks leave −20 SOL, worth 2,000: 5 % of it, and 0.01 for each order
    assert found.liability_value == 2_000 * USD
    assert found.margin_requirement == 100 * USD + 30_000


def test_of_equal_sides_the_asks_decide() -> None:
    assert worst_case(position(0, open_bids=SOL, open_asks=-SOL), 100 * USD, market()) == (SOL, 100 * USD)


def test_what_is_required_is_in_the_quote_token_s_price() -> None:
    found = perp_value(position(SOL, -100 * USD), market(), terms(quote=Prices(USD, 2 * USD)))

    assert found.liability_value == 200 * USD
    assert found.margin_requirement == 10 * USD


@pytest.mark.parametrize(
    "base, kind, price, liability",
    [
        (SOL, 0, 600_000, 600_000),
        (-SOL, 0, 600_000, 600_000),
        (SOL, PREDICTION, 600_000, 600_000),
        (-SOL, PREDICTION, 600_000, 400_000),
        (-SOL, PREDICTION, 1_200_000, 0),
    ],
)
def test_a_prediction_s_short_can_lose_no_more_than_to_one(base: int, kind: int, price: int, liability: int) -> None:
    assert liability_value(base, price, kind) == liability


def test_ratios_are_those_of_what_is_asked_for_and_grow_with_the_size() -> None:
    assert [margin_ratio(market(), SOL, each, high_leverage=False) for each in Requirement] == [1_000, 750, 500]
    # 500 − 100 + √(10^16) · 100 / 10^7 = 1,400
    large = market(imf_factor=100)
    assert margin_ratio(large, 10**15, Requirement.MAINTENANCE, high_leverage=False) == 1_400


def test_high_leverage_needs_less_until_the_size_takes_it_away() -> None:
    high = market(imf_factor=100, high_leverage_margin_ratio_initial=200, high_leverage_margin_ratio_maintenance=100)

    ratios = [
        margin_ratio(high, size, Requirement.INITIAL, high_leverage=True) for size in (0, 10**13, 4 * 10**13, 10**15)
    ]
    # premiums of 800, 900, 1,000 and 1,800 beside the usual 1,000: none, half and all of the way from 200 to 1,000
    assert ratios == [200, 600, 200, 1_800]
    assert margin_ratio(high, SOL, Requirement.MAINTENANCE, high_leverage=True) == 100
    assert margin_ratio(high, SOL, Requirement.MAINTENANCE, high_leverage=False) == 500
    half = market(high_leverage_margin_ratio_initial=200)
    assert margin_ratio(half, SOL, Requirement.INITIAL, high_leverage=True) == 1_000


def test_losses_count_in_full_and_profits_for_their_weight() -> None:
    sol = market(unrealized_pnl_maintenance_asset_weight=9_000)

    assert perp_value(position(10 * SOL, -900 * USD), sol, terms()).weighted_pnl == 90 * USD
    assert perp_value(position(10 * SOL, -1_100 * USD), sol, terms()).weighted_pnl == -100 * USD


def test_initially_a_profit_counts_for_a_hundred_at_most() -> None:
    rich = position(10 * SOL, 0)

    assert perp_value(rich, market(), terms(Requirement.INITIAL)).weighted_pnl == 100 * USD
    assert perp_value(rich, market(), terms(Requirement.FILL)).weighted_pnl == 800 * USD


def test_profits_and_losses_are_taken_at_the_worse_price_of_the_quote_token() -> None:
    uneven = Prices(USD, USD * 9 // 10)

    assert perp_value(position(0, 10 * USD), market(), terms(quote=uneven)).weighted_pnl == 9 * USD
    assert perp_value(position(0, -10 * USD), market(), terms(quote=uneven)).weighted_pnl == -10 * USD


def test_initial_weights_of_profits_shrink_with_size_and_with_what_all_users_are_owed() -> None:
    # 1.1 · 10^10 / (10^6 + √(10^12 · 1000 · 10 + 1) · 1000 / 10^5)
    discounted = market(unrealized_pnl_imf_factor=1_000)
    assert profit_weight(discounted, 10**12, Requirement.INITIAL) == 5_500
    assert profit_weight(discounted, 10**12, Requirement.MAINTENANCE) == 10_000

    owed = market(
        unrealized_pnl_max_imbalance=100 * USD, base_asset_amount_with_amm=5 * SOL, quote_asset_amount=-100 * USD
    )
    # 5 · 100 − 100 = 400 owed, four times as much as is allowed
    assert profit_weight(owed, USD, Requirement.INITIAL) == 2_000
    assert profit_weight(owed, USD, Requirement.MAINTENANCE) == 10_000
    assert profit_weight(owed, -USD, Requirement.INITIAL) == 10_000


def test_a_market_that_saw_no_price_yet_cannot_say_what_its_users_are_owed() -> None:
    with pytest.raises(Refused, match="last price"):
        profit_weight(market(unrealized_pnl_max_imbalance=1, last_oracle_price=0), USD, Requirement.INITIAL)


def test_a_market_that_settles_requires_nothing_and_pays_its_expiry_price() -> None:
    settling = market(status=SETTLEMENT, expiry_price=90 * USD)

    found = perp_value(position(10 * SOL, -1_000 * USD, open_orders=1), settling, terms())

    assert found.margin_requirement == 10_000
    assert found.unrealized_pnl == -100 * USD


def test_an_own_ratio_counts_where_it_is_higher() -> None:
    held = position(SOL, -100 * USD)

    assert perp_value(held, market(), terms(own_ratio=2_000)).margin_requirement == 20 * USD
    assert perp_value(held, market(), terms(own_ratio=100)).margin_requirement == 5 * USD
