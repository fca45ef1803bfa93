"""The program's own numbers: decimals of 18 places in 192 bits, rates in 128, each operation down and refused where it has no room.

Source: solendprotocol/solana-program-library `token-lending/sdk/src/math/{decimal,rate}.rs`. A decimal is stored in 128 bits.
"""

from __future__ import annotations

WAD = 10**18
PERCENT = WAD // 100
BASIS_POINT = WAD // 10_000
SLOTS_PER_YEAR = 63_072_000
"""The program counts two slots a second, whatever the cluster does."""

_DECIMAL, _RATE, _STORED, _U64 = 1 << 192, 1 << 128, 1 << 128, 1 << 64


class MathOverflow(ArithmeticError):
    """The program fails here: a number has no room, is below zero, or is divided by zero."""


def whole(amount: int) -> int:
    """Return a whole number as a decimal."""
    return _fits(amount * WAD, _DECIMAL)


def add(a: int, b: int) -> int:
    """Add two decimals."""
    return _fits(a + b, _DECIMAL)


def subtract(a: int, b: int) -> int:
    """Subtract a decimal from one that is not less."""
    return _fits(a - b, _DECIMAL)


def mul_down(a: int, b: int) -> int:
    """Multiply two decimals."""
    return _fits(a * b, _DECIMAL) // WAD


def times(a: int, factor: int) -> int:
    """Multiply a decimal by a plain number."""
    return _fits(a * factor, _DECIMAL)


def div_down(a: int, b: int) -> int:
    """Divide two decimals."""
    return _quotient(_fits(a * WAD, _DECIMAL), b)


def rate(value: int) -> int:
    """Take a decimal for a rate."""
    return _fits(value, _RATE)


def rate_mul_down(a: int, b: int) -> int:
    """Multiply two rates: the product before the division needs room too."""
    return _fits(a * b, _RATE) // WAD


def rate_div_down(a: int, b: int) -> int:
    """Divide two rates."""
    return _quotient(_fits(a * WAD, _RATE), b)


def rate_power(base: int, exponent: int) -> int:
    """Raise a rate by squaring, as `Rate::try_pow` does: the square behind the last bit needs room too."""
    result = base if exponent % 2 else WAD
    while exponent > 0:
        exponent //= 2
        base = rate_mul_down(base, base)
        if exponent % 2:
            result = rate_mul_down(result, base)
    return result


def power_of_ten(exponent: int, room: int = _U64) -> int:
    """Return ten to a power; by default it must fit 64 bits."""
    if exponent < 0:
        raise MathOverflow("a negative power of ten")
    return _fits(10 ** min(exponent, 64), room)


def ten_128(exponent: int) -> int:
    """Return ten to a power that must fit 128 bits."""
    return power_of_ten(exponent, _STORED)


def stored(value: int) -> int:
    """Check that a decimal can be written into an account."""
    return _fits(value, _STORED)


def fits_64(value: int) -> int:
    """Check that a number fits 64 bits."""
    return _fits(value, _U64)


def _fits(value: int, room: int) -> int:
    if not 0 <= value < room:
        raise MathOverflow("the program's number has no room for this")
    return value


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise MathOverflow("the program divides by zero")
    return a // b
