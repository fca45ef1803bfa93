"""What deposits and loans count for, with the arithmetic beside the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from chains.solana.drift.accounts import SpotPosition
from chains.solana.drift.integers import Refused
from chains.solana.drift.spot import (
    Prices,
    Requirement,
    asset_weight,
    discounted_weight,
    liability_weight,
    premium_weight,
    strict_value,
    token_amount,
    token_value,
    with_own_ratio,
    worst_case,
)
from chains.solana.drift.states import SpotMarket, spot_of, spot_texts
from tests.unit.chains.solana.drift.builders import INTEREST, SOL, spot_market

SOL_UNIT, USD = 10**9, 10**6
AT_100 = Prices(100 * USD, None)


def market(**changes: Any) -> SpotMarket:
    found = spot_of(SOL, *spot_texts(spot_market(**changes)))
    assert isinstance(found, SpotMarket)
    return found


def position(balance_type: int = 0, *, bids: int = 0, asks: int = 0, orders: int = 0) -> SpotPosition:
    return SpotPosition(1, balance_type, bids, asks, orders)


def test_deposits_are_rounded_down_and_loans_up() -> None:
    grown = market(cumulative_deposit_interest=INTEREST * 3 // 2, cumulative_borrow_interest=INTEREST * 3 // 2)

    assert token_amount(grown, 0, 3) == 4  # 3 · 1.5 = 4.5
    assert token_amount(grown, 1, 3) == -5


def test_values_are_rounded_down_which_is_away_from_zero_for_debts() -> None:
    assert token_value(1, 9, 1_500_000_000) == 1
    assert token_value(-1, 9, 1_500_000_000) == -2


def test_a_strict_price_is_the_worse_of_now_and_the_average() -> None:
    prices = Prices(100 * USD, 90 * USD)

    assert strict_value(SOL_UNIT, 9, prices) == 90 * USD
    assert strict_value(-SOL_UNIT, 9, prices) == -100 * USD
    assert (AT_100.low, AT_100.high) == (100 * USD, 100 * USD)


def test_weights_are_those_of_what_is_asked_for() -> None:
    sol = market()

    assert [asset_weight(sol, 0, 100 * USD, each) for each in Requirement] == [8_000, 8_500, 9_000]
    assert [liability_weight(sol, 0, each) for each in Requirement] == [12_000, 11_500, 11_000]


def test_a_large_deposit_counts_less_and_a_large_loan_more() -> None:
    # √(10^15 · 10 + 1) = 10^8 of five decimals; 1.1 · 10^10 / (10^6 + 10^8 · 1000 / 10^5) = 1.1 · 10^10 / 2 · 10^6
    assert discounted_weight(10**15, 1_000, 9_000) == 5_500
    # 11,000 − 2,200 + 10^8 · 1000 / 10^7 = 18,800
    assert premium_weight(10**15, 1_000, 11_000, 10_000) == 18_800
    assert premium_weight(0, 1_000, 11_000, 10_000) == 11_000
    assert premium_weight(0, 1_000, 11_000, 10_000, bounded=False) == 8_800
    assert discounted_weight(10**15, 0, 9_000) == 9_000


def test_a_size_is_taken_with_nine_decimals_whatever_the_token_has() -> None:
    by_decimals = [
        asset_weight(market(decimals=places, imf_factor=1_000), 10**places * 10**6, USD, Requirement.MAINTENANCE)
        for places in (6, 9, 11)
    ]

    assert by_decimals == [5_500, 5_500, 5_500]


def test_initial_weights_shrink_when_all_deposits_are_worth_more_than_a_limit() -> None:
    full = market(deposit_balance=4_000 * SOL_UNIT, scale_initial_asset_weight_start=100_000 * USD)

    assert asset_weight(full, 0, 100 * USD, Requirement.INITIAL) == 2_000  # 8,000 · 100,000 / 400,000
    assert asset_weight(full, 0, 100 * USD, Requirement.FILL) == 5_500
    assert asset_weight(full, 0, 100 * USD, Requirement.MAINTENANCE) == 9_000
    assert asset_weight(full, 0, 24 * USD, Requirement.INITIAL) == 8_000


def test_without_orders_a_position_is_as_it_is() -> None:
    filled = worst_case(market(), position(), 2 * SOL_UNIT, AT_100, Requirement.MAINTENANCE)

    assert filled == (2 * SOL_UNIT, 0, 200 * USD, 180 * USD)


def test_orders_are_filled_on_the_side_that_leaves_less() -> None:
    both = position(bids=5 * SOL_UNIT, asks=-3 * SOL_UNIT, orders=2)

    filled = worst_case(market(), both, 2 * SOL_UNIT, AT_100, Requirement.MAINTENANCE)

    # bids: 7 SOL count 630, 500 are paid: 130;  asks: −1 SOL counts −110, 300 are received: 190
    assert filled == (7 * SOL_UNIT, -500 * USD, 700 * USD, 630 * USD)


def test_of_sides_that_leave_the_same_it_is_the_asks() -> None:
    even = market(maintenance_asset_weight=10_000, maintenance_liability_weight=10_000)

    filled = worst_case(even, position(bids=SOL_UNIT, asks=-SOL_UNIT), 0, AT_100, Requirement.MAINTENANCE)

    assert (filled.tokens, filled.contribution) == (-SOL_UNIT, 0)


def test_an_own_ratio_counts_where_it_is_stricter_and_after_the_side_was_chosen() -> None:
    sol = market()
    deposit = worst_case(sol, position(), SOL_UNIT, AT_100, Requirement.INITIAL)
    loan = worst_case(sol, position(1), -SOL_UNIT, AT_100, Requirement.INITIAL)

    assert with_own_ratio(sol, deposit, 100 * USD, 5_000).weighted == 50 * USD
    assert with_own_ratio(sol, loan, 100 * USD, 5_000).weighted == -150 * USD
    assert with_own_ratio(sol, deposit, 100 * USD, 1_000).weighted == 80 * USD
    assert with_own_ratio(sol, loan, 100 * USD, 1_000).weighted == -120 * USD
    assert with_own_ratio(sol, deposit, 100 * USD, 20_000).weighted == 0
    assert with_own_ratio(sol, deposit, 100 * USD, 0) is deposit


def test_weighing_rounds_toward_zero() -> None:
    odd = market(maintenance_liability_weight=10_001, maintenance_asset_weight=9_999)

    assert worst_case(odd, position(1), -1, Prices(USD * 1_000, None), Requirement.MAINTENANCE).weighted == -1
    assert worst_case(odd, position(), 1, Prices(USD * 1_000, None), Requirement.MAINTENANCE).weighted == 0


def test_what_has_no_room_is_refused() -> None:
    with pytest.raises(Refused, match="no room"):
        token_amount(market(cumulative_deposit_interest=2**127), 0, 2**64 - 1)
    with pytest.raises(Refused, match="no room"):
        premium_weight(2**127, 2**32 - 1, 11_000, 10_000)
    with pytest.raises(Refused, match="20 decimals"):
        token_amount(market(decimals=20), 0, 1)
