"""I80F48 as the program computes with it: signed 128-bit integers of 2⁻⁴⁸, each step rounded down, each overflow an error.

Source: the crate `fixed` (`FixedI128<U48>`: `checked_mul`, `checked_div`, `checked_add`, `from_num`), as the program uses it. Of negative
numbers only sums occur.
"""

from __future__ import annotations

from fractions import Fraction

FRACTION_BITS = 48
ONE = 1 << FRACTION_BITS
_LIMIT = 1 << 127

LARGEST_POWER = 23
"""The program's table of powers of ten ends here."""


class Overflowed(ArithmeticError):
    """A number that the program has no room for, or that it cannot divide by: it refuses to go on."""


def fits(bits: int) -> int:
    """Return a number as it is; raises `Overflowed` for one of more than 128 bits."""
    if not -_LIMIT <= bits < _LIMIT:
        raise Overflowed(f"{bits} has no room in an I80F48")
    return bits


def whole(number: int) -> int:
    """Return an integer as I80F48; raises `Overflowed`."""
    return fits(number << FRACTION_BITS)


def mul_down(a: int, b: int) -> int:
    """Return a product, rounded down; raises `Overflowed`."""
    return fits(a * b >> FRACTION_BITS)


def div_down(a: int, b: int) -> int:
    """Return a quotient of numbers that are not negative, rounded down; raises `Overflowed`, also for a division by zero."""
    if b == 0:
        raise Overflowed("a division by zero")
    return fits((a << FRACTION_BITS) // b)


def power_of_ten(exponent: int) -> int:
    """Return 10^`exponent` as I80F48; raises `Overflowed` beyond the program's table."""
    if not 0 <= exponent <= LARGEST_POWER:
        raise Overflowed(f"10^{exponent} is not in the program's table")
    return whole(10**exponent)


def constant(decimal: str) -> int:
    """Return a decimal constant of the program's source, rounded to the nearest as its compiler does."""
    return round(Fraction(decimal) * ONE)
