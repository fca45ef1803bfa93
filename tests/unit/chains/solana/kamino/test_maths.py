"""Klend's fractions, compound interest and curve of rates."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.solana.kamino.maths import (
    ONE,
    SLOTS_PER_YEAR,
    U128,
    Point,
    Refused,
    basis_points,
    borrow_rate,
    ceil,
    compounded,
    div,
    fits,
    mul,
    percent,
    to_basis_points,
    to_percent,
    value_of,
    whole,
)

CURVE = (Point(0, 100), Point(8000, 800), Point(10_000, 15_000), *[Point(10_000, 15_000)] * 8)


def test_percents_and_basis_points_round_down_and_come_back_to_the_nearest() -> None:
    assert percent(74) == 74 * 2**60 // 100
    assert basis_points(1) == 2**60 // 10_000
    assert to_percent(percent(222)) == 222
    assert to_basis_points(basis_points(12_345)) == 12_345
    assert to_basis_points(basis_points(3) + basis_points(1) // 2 + 1) == 4


def test_products_and_quotients_round_down_and_what_is_owed_up() -> None:
    assert mul(3, ONE // 2) == 1
    assert div(whole(2), whole(3)) == 2 * ONE // 3
    assert ceil(whole(7)) == 7
    assert ceil(whole(7) + 1) == 8


@pytest.mark.parametrize("value", [-1, U128])
def test_a_fraction_that_the_program_cannot_hold_is_refused(value: int) -> None:
    with pytest.raises(Refused, match="128 bits"):
        fits(value)


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("slots", range(5))
def test_up_to_four_slots_interest_is_the_exact_power_rounded_as_the_program_multiplies(
    slots: int, *, chained: bool
) -> None:
    base = ONE + ONE // 10 // SLOTS_PER_YEAR
    powers = [ONE, base, mul(base, base), mul(mul(base, base), base), mul(mul(base, base), mul(base, base))]

    assert compounded(ONE // 10, slots, chained=chained) == powers[slots]


BASE = 1_827_945_054
"""A tenth a year per slot: 2^60 // 10 // 63,072,000."""


@pytest.mark.parametrize(
    "slots, chained, second, third",
    [
        # second: (BASE · n · BASE // 2^60) · (n - 1) // 2        third: (second · BASE // 2^60) · (n - 2) // 3
        (5, True, 14 * 4 // 2, 0),
        (1_000, True, 2_898 * 999 // 2, 0),
        (172_800, True, 500_806 * 172_799 // 2, 68 * 172_798 // 3),
        (63_072_000, True, 182_794_505 * 63_071_999 // 2, 9_139_725 * 63_071_998 // 3),
        # second: (BASE · BASE // 2^60 = 2) · n · (n - 1) // 2        third: (2 · BASE // 2^60 = 0) · n · (n - 1) · (n - 2) // 6
        (5, False, 2 * 5 * 4 // 2, 0),
        (1_000, False, 2 * 1_000 * 999 // 2, 0),
        (172_800, False, 2 * 172_800 * 172_799 // 2, 0),
        (63_072_000, False, 2 * 63_072_000 * 63_071_999 // 2, 0),
    ],
)
def test_beyond_each_term_is_made_of_the_one_before_or_of_a_rounded_power(
    slots: int, second: int, third: int, *, chained: bool
) -> None:
    assert compounded(ONE // 10, slots, chained=chained) == 2**60 + BASE * slots + second + third


def test_a_year_at_a_tenth_lacks_a_six_hundredth_part_of_the_debt_where_the_terms_are_of_rounded_powers() -> None:
    of_powers, chained = (compounded(ONE // 10, SLOTS_PER_YEAR, chained=each) for each in (False, True))

    assert round(Fraction(chained, ONE), 9) == Fraction("1.105166667")  # 1 + 0.1 + 0.1² / 2 + 0.1³ / 6
    assert round(Fraction(of_powers, ONE), 9) == Fraction("1.103450432")


@pytest.mark.parametrize("rate, chained", [(700_000, False), (7_000_000, False), (7_000_000, True)])
def test_growth_that_the_program_cannot_hold_on_the_way_is_refused(rate: int, *, chained: bool) -> None:
    # 2^68 = 2.95e20; before the division by 6 the third term is (7e6)^3 = 3.4e20, before that by 3 it is half of that
    with pytest.raises(Refused, match="128 bits"):
        compounded(rate * ONE, 10 * SLOTS_PER_YEAR, chained=chained)
    assert compounded(700_000 * ONE, 10 * SLOTS_PER_YEAR, chained=True) < U128


@given(rate=st.integers(0, 5 * ONE), slots=st.integers(5, 10 * SLOTS_PER_YEAR))
@settings(max_examples=30, deadline=None)
def test_beyond_it_is_never_more_than_compounding_and_never_less_than_simple_interest(rate: int, slots: int) -> None:
    base = Fraction(rate // SLOTS_PER_YEAR, ONE)
    terms = 1 + base * slots + base**2 * slots * (slots - 1) / 2 + base**3 * slots * (slots - 1) * (slots - 2) / 6

    of_powers, chained = (compounded(rate, slots, chained=each) for each in (False, True))

    assert ONE + rate // SLOTS_PER_YEAR * slots <= of_powers <= chained <= terms * ONE


def test_a_rate_lies_on_the_segment_that_rounded_basis_points_choose() -> None:
    # 40 % of the way up the first segment: 100 + (800 - 100) · 4000 / 8000 = 450 basis points
    assert abs(borrow_rate(CURVE, basis_points(4000)) - basis_points(450)) <= 1
    assert borrow_rate(CURVE, 0) == basis_points(100)
    assert borrow_rate(CURVE, basis_points(8000) + ONE // 100_000) == basis_points(800)
    assert borrow_rate(CURVE, 2 * ONE) == basis_points(15_000)


def test_a_curve_without_a_segment_for_a_utilisation_has_no_rate() -> None:
    with pytest.raises(Refused, match="no segment for a utilisation of 9000"):
        borrow_rate((Point(0, 1), Point(8000, 2)), basis_points(9000))


def test_a_value_is_the_product_of_amount_and_price_and_then_divided_by_the_token_s_unit() -> None:
    price = whole(150) + 7
    amount = whole(2_500_000_000) + 3

    assert value_of(amount, price, 9) == (amount * price >> 60) // 10**9
