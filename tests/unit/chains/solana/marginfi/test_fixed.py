"""I80F48: every step rounds down, and what has no room is refused as the program refuses it."""

from __future__ import annotations

import pytest

from chains.solana.marginfi.fixed import ONE, Overflowed, constant, div_down, fits, mul_down, power_of_ten, whole


def test_products_and_quotients_round_down() -> None:
    third = div_down(whole(1), whole(3))

    assert third == 2**48 // 3 == 93_824_992_236_885
    assert mul_down(third, whole(3)) == 281_474_976_710_655  # one less than 2^48
    assert mul_down(1, ONE - 1) == 0
    assert div_down(1, whole(2)) == 0


def test_constants_are_rounded_to_the_nearest() -> None:
    assert constant("2.12") == 596_726_950_626_591  # 2.12 · 2^48 = 596726950626590.72
    assert constant("1.96") == 551_690_954_352_886  # …885.76
    assert constant("0.05") == 14_073_748_835_533  # …532.8


def test_powers_of_ten_end_where_the_programs_table_does() -> None:
    assert power_of_ten(0) == ONE
    assert power_of_ten(23) == 10**23 * ONE
    for beyond in (-1, 24):
        with pytest.raises(Overflowed, match="table"):
            power_of_ten(beyond)


@pytest.mark.parametrize("bits", [2**127 - 1, -(2**127), 0])
def test_what_fits_is_kept(bits: int) -> None:
    assert fits(bits) == bits


@pytest.mark.parametrize("bits", [2**127, -(2**127) - 1])
def test_what_does_not_fit_is_refused(bits: int) -> None:
    with pytest.raises(Overflowed, match="no room"):
        fits(bits)


def test_a_division_by_zero_is_refused() -> None:
    with pytest.raises(Overflowed, match="zero"):
        div_down(ONE, 0)


def test_a_product_that_is_too_large_is_refused() -> None:
    with pytest.raises(Overflowed):
        mul_down(whole(2**40), whole(2**40))
    assert mul_down(whole(2**39), whole(2**39)) == 2**126
