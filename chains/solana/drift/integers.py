"""Integers as the program computes with them: of a width, divided toward zero, each overflow an error.

Source: drift-labs protocol-v2, `math/safe_math.rs`, `math/casting.rs`.
"""

from __future__ import annotations

from math import isqrt

PRICE = 10**6
"""One USD of a price, of a value in the quote currency, and one of the precisions of weights' size factors."""

WEIGHT = 10**4
"""One of a weight or of a margin ratio."""

BASE = 10**9
"""One of a perp market's base asset."""


class Refused(ArithmeticError):
    """A number that the program has no room for, or a state that it does not compute with: it refuses to go on."""


def unsigned(number: int, bits: int = 128) -> int:
    """Return a number as it is; raises `Refused` for one that is negative or has more bits."""
    if not 0 <= number < 1 << bits:
        raise Refused(f"{number} has no room in {bits} bits without a sign")
    return number


def signed(number: int, bits: int = 128) -> int:
    """Return a number as it is; raises `Refused` for one that has more bits."""
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise Refused(f"{number} has no room in {bits} bits")
    return number


def div_toward_zero(number: int, by: int) -> int:
    """Return a quotient rounded toward zero; raises `Refused` for a division by zero."""
    if by == 0:
        raise Refused("a division by zero")
    quotient = abs(number) // abs(by)
    return quotient if (number < 0) == (by < 0) else -quotient


def power_of_ten(exponent: int) -> int:
    """Return 10^`exponent`; raises `Refused` for one that has no room in 128 bits."""
    return unsigned(int(10 ** min(exponent, 64)))


def size_root(size: int) -> int:
    """Return the root of a size of 9 decimals, with 5 decimals, rounded down."""
    return isqrt(unsigned(size * 10 + 1))
