"""House numbers leave as decimals of fixed places, on the safe side."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

import pytest

from aggregator.margin import numbers
from aggregator.margin.numbers import text


@pytest.mark.parametrize(
    "value, down, up",
    [
        (0.3, "0.300000", "0.300000"),  # the float is a little below 0.3; the decimal that stands for it is not
        (2 / 3, "0.666666", "0.666667"),
        (-2 / 3, "-0.666667", "-0.666666"),
        (1e-9, "0.000000", "0.000001"),
        (-1e-9, "-0.000001", "0.000000"),
        (1e20, "100000000000000000000.000000", "100000000000000000000.000000"),
    ],
)
def test_ratios_have_six_places(value: float, down: str, up: str) -> None:
    assert (text(numbers.ratio_down(value)), text(numbers.ratio_up(value))) == (down, up)


def test_what_is_good_news_on_neither_side_goes_to_the_nearest() -> None:
    assert text(numbers.ratio_nearest(-2 / 3)) == "-0.666667"
    assert text(numbers.ratio_nearest(1 / 3)) == "0.333333"


def test_usd_have_eight_places() -> None:
    assert text(numbers.usd_down(1.234567899)) == "1.23456789"
    assert text(numbers.usd_up(1.234567891)) == "1.23456790"


def test_amounts_of_tokens_have_twelve_places_down() -> None:
    assert text(numbers.amount_down(2 / 3)) == "0.666666666666"


def test_prices_go_to_the_nearest() -> None:
    assert text(numbers.price(2009.9999999999998)) == "2010.000000000000"


def test_a_wad_is_cut_off() -> None:
    assert text(numbers.wad_down(999_999_999_999_999_999)) == "0.999999"
    assert text(numbers.wad_down(2**256 - 1)).endswith("39457.584007")


@pytest.mark.parametrize(
    "raw, decimals, written",
    [(1, 18, "0.000000000000000001"), (8_000_500_000, 6, "8000.500000"), (7, 0, "7"), (0, 6, "0.000000")],
)
def test_amounts_are_exact(raw: int, decimals: int, written: str) -> None:
    assert numbers.scaled(raw, decimals) == written


def test_the_largest_amount_is_exact() -> None:
    assert numbers.scaled(2**256 - 1, 0) == str(2**256 - 1)


def test_a_base_amount_is_in_whole_units_of_the_currency() -> None:
    assert numbers.base_amount(123_456_789, 10**8) == "1.23456789"
    assert numbers.base_amount(10**18 - 1, 10**18) == "0.99999999"
    assert numbers.base_amount(10**10 + 1, 10**18, owed=True) == "0.00000002"
    assert numbers.base_amount(123_456_789, 10**8, owed=True) == "1.23456789"


@pytest.mark.parametrize("unix_s, written", [(0, "1970-01-01T00:00:00Z"), (2**256, None), (-1, None)])
def test_a_time_is_rfc_3339_or_none(unix_s: int, written: str | None) -> None:
    assert numbers.rfc3339(unix_s) == written


@pytest.mark.parametrize(
    "value, shown",
    [("1234567.8", "1234567"), ("123456.78", "123456"), ("12345.678", "12345.6"), ("0.000012345678", "0.0000123456")],
)
def test_six_digits_are_kept_and_all_that_stand_before_the_point(value: str, shown: str) -> None:
    assert text(numbers.six_digits(Decimal(value), ROUND_FLOOR)) == shown


def test_no_more_than_18_places_are_kept() -> None:
    assert text(numbers.six_digits(Decimal("1.29E-17"), ROUND_FLOOR)) == "0.000000000000000012"
