"""Klend's numbers: fractions of 60 bits (`U68F60`, `_sf`) and their wide form (`_bsf`), compound interest, the curve of rates.

Sources: klend `utils/fraction.rs`, `utils/borrow_rate_curve.rs`, `state/reserve.rs`. Everything is unsigned and rounds down unless its
name says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

BITS = 60
ONE = 1 << BITS
HALF = 1 << (BITS - 1)
U128 = 1 << 128
SLOTS_PER_YEAR = 63_072_000
"""Two slots per second, whatever they really take."""

FULL_BPS = 10_000
PERCENT = 100
EXACT_POWERS = 4
"""Up to so many slots interest compounds exactly; beyond, by three terms of the binomial series."""


MOST_DECIMALS = 19


class Refused(ArithmeticError):
    """What the program itself refuses to compute, as a number that its type cannot hold: it stops there."""


def fits(value: int) -> int:
    """Return a fraction's bits; raises `Refused` for what no `U68F60` holds."""
    if not 0 <= value < U128:
        raise Refused(f"{value} is no unsigned fraction of 128 bits")
    return value


def whole(amount: int) -> int:
    """Return an integer as a fraction."""
    return amount << BITS


def mul(a: int, b: int) -> int:
    """Multiply two fractions."""
    return a * b >> BITS


def div(a: int, b: int) -> int:
    """Divide two fractions."""
    return (a << BITS) // b


def percent(value: int) -> int:
    """Return percents as a fraction."""
    return whole(value) // PERCENT


def basis_points(value: int) -> int:
    """Return basis points as a fraction."""
    return whole(value) // FULL_BPS


def to_basis_points(fraction: int) -> int:
    """Return a fraction in basis points, to the nearest."""
    return (fraction * FULL_BPS + HALF) >> BITS


def to_percent(fraction: int) -> int:
    """Return a fraction in percent, to the nearest."""
    return (fraction * PERCENT + HALF) >> BITS


def ceil(fraction: int) -> int:
    """Return a fraction as an integer, up."""
    return -(-fraction >> BITS)


def compounded(rate: int, slots: int, *, chained: bool) -> int:
    """Return what one unit grows to in so many slots at a rate per year (`approximate_compounded_interest`); raises `Refused`.

    `chained`: each term of the series is made of the one before it; otherwise of powers of the rate per slot, whose rounding counts once
    for each pair and triple of slots and makes the growth less.
    """
    base = rate // SLOTS_PER_YEAR
    if slots <= EXACT_POWERS:
        return _power(ONE + base, slots)
    first = fits(base * slots)
    if chained:
        second = fits(mul(first, base) * (slots - 1)) // 2
        third = fits(mul(second, base) * (slots - 2)) // 3
    else:
        squared = mul(base, base)
        second = fits(squared * slots * (slots - 1)) // 2
        third = fits(mul(squared, base) * slots * (slots - 1) * (slots - 2)) // 6
    return fits(ONE + first + second + third)


def _power(growth: int, exponent: int) -> int:
    squared = mul(growth, growth)
    return (ONE, growth, squared, mul(squared, growth), mul(squared, squared))[exponent]


class Point(NamedTuple):
    """A point of the curve, both in basis points."""

    utilization: int
    rate: int


def borrow_rate(curve: Sequence[Point], utilization: int) -> int:
    """Return the rate per year at a utilisation (`BorrowRateCurve::get_borrow_rate`); raises `Refused` where the program has none.

    Rounded basis points choose the segment; at a segment's ends the rate is the point's own.
    """
    capped = min(utilization, ONE)
    rounded = to_basis_points(capped)
    for start, end in pairwise(curve):
        if start.utilization <= rounded <= end.utilization:
            return _on_segment(start, end, capped, rounded)
    raise Refused(f"the curve has no segment for a utilisation of {rounded} basis points")


def _on_segment(start: Point, end: Point, utilization: int, rounded: int) -> int:
    if rounded == start.utilization:
        return basis_points(start.rate)
    if rounded == end.utilization:
        return basis_points(end.rate)
    along = fits(utilization - basis_points(start.utilization))
    risen = along * (end.rate - start.rate) // (end.utilization - start.utilization)
    return risen + basis_points(start.rate)


def value_of(amount: int, price: int, decimals: int) -> int:
    """Return the value of an amount of a token's smallest units, all fractions; raises `Refused`."""
    if decimals > MOST_DECIMALS:
        raise Refused(f"a token of {decimals} decimals is more than the program knows")
    return int(fits(mul(amount, price)) // 10**decimals)
