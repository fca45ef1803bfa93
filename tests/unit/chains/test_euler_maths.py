"""The vault kit's arithmetic: rounding, ramps and the boundary of liquidation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.evm.euler_v2.maths import (
    MAX_SANE_AMOUNT,
    RAY,
    WAD,
    Debt,
    Ltv,
    Status,
    accrued,
    assets_up,
    health_factor_wad,
    rpow,
    violates,
)

YEAR = 31_536_000


def test_a_debt_is_rounded_up_to_a_raw_unit() -> None:
    assert [assets_up(owed) for owed in (0, 1, 2**31, 2**31 + 1)] == [0, 1, 1, 2]


def test_a_power_rounds_each_product_to_the_nearest() -> None:
    assert rpow(RAY + 1, 2) == RAY + 2  # (1e27 + 1)² = 1e54 + 2e27 + 1
    assert rpow(3 * RAY // 2, 3) == 3_375 * 10**24
    assert (rpow(0, 0), rpow(0, 3)) == (RAY, 0)


def test_a_power_that_no_word_holds_is_none() -> None:
    assert rpow(2**127, 2, 1) == 2**254
    assert rpow(2**128, 2, 1) is None
    assert rpow(RAY + 10**24, YEAR) is None


@settings(max_examples=50)
@given(st.integers(0, 3 * 10**20), st.integers(0, 10 * YEAR))
def test_a_power_is_the_product_of_its_factors_but_for_rounding(rate: int, seconds: int) -> None:
    once, again = rpow(RAY + rate, seconds), rpow(RAY + rate, seconds + 1)

    assert once is not None
    assert again is not None
    assert abs(again - once * (RAY + rate) // RAY) <= max(again // 10**18, 100)


def test_interest_grows_debts_and_makes_shares_for_the_fee() -> None:
    status = Status(shares=1_000_000, borrows=500_000 << 31, cash=500_000, rate=10**20, at=100)

    later = accrued(status, 1_000, 100 + 1_000_000)

    # (1 + 1e-7)^1e6 = 1.10517091254979…: 52,585 units of interest, a tenth of it is the fee
    assert later.accumulator == 1_105_170_912_549_793_416_638_386_741
    assert assets_up(later.borrows) == 552_586
    assert later.fees == later.shares - status.shares == 1_052_586 * 1_000_000 // (1_052_586 - 5_258) - 1_000_000
    assert (later.cash, later.at) == (status.cash, 1_000_100)


def test_no_time_is_no_interest() -> None:
    status = Status(shares=5, borrows=2**40, cash=7, rate=10**20, at=100)

    assert accrued(status, 1_000, 100) is status


def test_a_vault_that_would_outgrow_its_numbers_stands_still() -> None:
    status = Status(shares=1, borrows=MAX_SANE_AMOUNT << 31, rate=10**20, at=0)

    assert accrued(status, 0, 1_000_000) is status


def test_a_fee_whose_shares_do_not_fit_is_not_taken() -> None:
    status = Status(shares=MAX_SANE_AMOUNT, borrows=1_000 << 31, rate=RAY, at=0)

    later = accrued(status, 5_000, 1)

    assert later == Status(shares=MAX_SANE_AMOUNT, borrows=2_000 << 31, accumulator=2 * RAY, rate=RAY, at=1), (
        "half of 1,000 units of interest would be shares beyond 2^112"
    )


def test_debts_whose_product_with_the_accumulator_does_not_fit_are_kept() -> None:
    status = Status(shares=10, borrows=1 << 140, accumulator=1 << 150, rate=RAY, at=0)

    later = accrued(status, 1_000, 1)

    assert (later.borrows, later.accumulator, later.at) == (1 << 140, 1 << 151, 1)


def test_an_accumulator_that_would_overflow_is_kept() -> None:
    status = Status(shares=10, borrows=10 << 31, rate=10**24, at=0)

    assert accrued(status, 0, YEAR) == Status(shares=10, borrows=10 << 31, rate=10**24, at=YEAR)


def test_a_debt_follows_the_accumulator_downward_and_nothing_stays_nothing() -> None:
    assert Debt(owed=10, accumulator=3).at(4) == 13
    assert Debt(owed=0, accumulator=0).at(4) == 0


def test_shares_are_worth_what_backs_them_with_a_virtual_deposit() -> None:
    status = Status(shares=1_000_000, cash=2_000_000, borrows=1)

    assert status.assets == 2_000_001
    assert status.assets_down(1_000_000) == 1_000_000 * 3_000_001 // 2_000_000


RAMP = Ltv(borrow=7_500, liquidation=7_900, initial=8_200, target=1_100, ramp=100)


@pytest.mark.parametrize(
    "now, ltv", [(1_000, 8_200), (1_001, 8_197), (1_050, 8_050), (1_099, 7_903), (1_100, 7_900), (2_000, 7_900)]
)
def test_a_lowered_ltv_ramps_down_in_time(now: int, ltv: int) -> None:
    assert RAMP.liquidation_at(now) == ltv


def test_a_raised_ltv_holds_at_once() -> None:
    assert Ltv(borrow=0, liquidation=9_000, initial=8_200, target=1_100, ramp=100).liquidation_at(1_000) == 9_000


def test_equal_is_too_little() -> None:
    assert [violates(value, 100) for value in (99, 100, 101)] == [True, True, False]
    assert health_factor_wad(100, 100) == WAD - 1
    assert health_factor_wad(101, 100) == WAD + 10**16
    assert (health_factor_wad(0, 0), health_factor_wad(1, 0)) == (0, 2**256 - 1)


@given(st.integers(0, 2**200), st.integers(0, 2**200))
def test_a_health_factor_is_below_one_just_where_a_vault_may_liquidate(collateral: int, liability: int) -> None:
    assert (health_factor_wad(collateral, liability) < WAD) == violates(collateral, liability)
