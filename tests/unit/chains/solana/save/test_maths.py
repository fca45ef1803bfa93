"""The program's decimals and rates: down, and refused where they have no room."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chains.solana.save import maths
from chains.solana.save.maths import WAD, MathOverflow


def test_every_division_is_down() -> None:
    assert maths.div_down(maths.whole(2), maths.whole(3)) == 666_666_666_666_666_666
    assert maths.mul_down(666_666_666_666_666_666, maths.whole(3)) == 1_999_999_999_999_999_998
    assert maths.mul_down(1, WAD - 1) == 0
    assert maths.rate_div_down(2 * WAD, 3 * WAD) == 666_666_666_666_666_666


def test_a_power_is_the_programs_squaring_with_its_rounding_at_each_step() -> None:
    # 1.1^5 = 1.1 · (1.1²)², and 1.000000001^3 = 1.000000001 · 1.000000002000000001 down
    assert maths.rate_power(1_100_000_000_000_000_000, 5) == 1_610_510_000_000_000_000
    assert maths.rate_power(WAD + 10**9, 3) == 1_000_000_003_000_000_003
    assert maths.rate_power(2 * WAD, 7) == 128 * WAD
    assert maths.rate_power(WAD, 2**64 - 1) == WAD
    assert maths.rate_power(5 * WAD, 0) == WAD


def test_a_power_needs_room_for_the_square_behind_its_last_bit() -> None:
    # 5² = 25 fits; 5^2 also squares 25 to 625 WAD², which 128 bits do not hold (18.4² = 340)
    with pytest.raises(MathOverflow):
        maths.rate_power(5 * WAD, 2)
    assert maths.rate_power(4 * WAD, 2) == 16 * WAD


@pytest.mark.parametrize(
    "operation, operands",
    [
        (maths.subtract, (1, 2)),
        (maths.div_down, (WAD, 0)),
        (maths.rate_div_down, (WAD, 0)),
        (maths.whole, (2**192 // WAD + 1,)),
        (maths.add, (2**192 - 1, 1)),
        (maths.times, (2**191, 2)),
        (maths.mul_down, (2**96, 2**96)),
        (maths.div_down, (2**192 // WAD + 1, WAD)),
        (maths.rate, (2**128,)),
        (maths.rate_mul_down, (2**64, 2**64)),
        (maths.rate_div_down, (2**128 // WAD + 1, WAD)),
        (maths.stored, (2**128,)),
        (maths.fits_64, (-1,)),
        (maths.fits_64, (2**64,)),
        (maths.power_of_ten, (20,)),
        (maths.power_of_ten, (-1,)),
        (maths.ten_128, (39,)),
    ],
)
def test_what_has_no_room_is_refused(operation: Callable[..., int], operands: tuple[int, ...]) -> None:
    with pytest.raises(MathOverflow):
        operation(*operands)


def test_the_last_numbers_with_room_are_taken() -> None:
    assert maths.power_of_ten(19) == 10**19
    assert maths.ten_128(38) == 10**38
    assert maths.stored(2**128 - 1) == 2**128 - 1
    assert maths.mul_down(2**96, 2**96 - 1) == 2**96 * (2**96 - 1) // WAD
    assert maths.rate_mul_down(2**64, 2**64 - 1) == 2**64 * (2**64 - 1) // WAD
