"""The programs' fixed-point arithmetic: ticks and their ratios, and the big numbers that debt factors are.

A tick's ratio is 1.0015^tick × 2^48: raw debt over raw collateral. A debt factor has 35 bits of coefficient above 15 of exponent.
Sources: the programs' library, `math/tick.rs`, `math/bn.rs`, `math/safe_math.rs` (February 2026). What a step of theirs would refuse
raises `Refused`; a shift that loses bits there loses the same here.
"""

from __future__ import annotations

from functools import lru_cache

ONE_X48 = 1 << 48
MIN_TICK, MAX_TICK, COLD_TICK = -16383, 16383, -(2**31)
"""The range of ticks; and the tick of a position or branch that has none."""

MIN_RATIO, MAX_RATIO = 6093, 13002088133096036565414295
SPACING, FOUR_DECIMALS, THREE_DECIMALS = 10_015, 10_000, 1_000
FULL_PARTIALS = (1 << 30) - 1
"""So many parts lie between a tick and the next."""

U64, U128 = 2**64 - 1, 2**128 - 1

EXPONENT_BITS, COEFFICIENT_BITS = 15, 35
FULL_FACTOR = (1 << EXPONENT_BITS + COEFFICIENT_BITS) - 1
"""The factor of those who are liquidated to nothing."""

_EXPONENT_MASK = (1 << EXPONENT_BITS) - 1
_DECIMALS = 16_384
_NO_BITS_LEFT = 129

_FACTORS = (
    0xFF9DD7DE423466C2, 0xFF3BD55F4488AD27, 0xFE78410FD6498B74, 0xFCF2D9987C9BE179, 0xF9EF02C4529258B0, 0xF402D288133A85A1,
    0xE895615B5BEB6386, 0xD34F17A00FFA00A8, 0xAE6B7961714E2055, 0x76D6461F27082D75, 0x372A3BFE0745D8B7, 0x0BE32CBEE4897976,
    0x008D4F70C9FF4925, 0x00004E009AE55194,
)  # fmt: skip
"""2^64 / 1.0015^(2^n), rounded down."""

_E13 = 10**13
_THRESHOLDS = (
    10015000000000, 10030022500000, 10060135135051, 10120631893548, 10242718992470, 10491329235871, 11006798913544,
    12114962232319, 14677230989051, 21542110950596, 46406254420777, 215354044936586, 4637736467054931, 2150859953785115391,
)  # fmt: skip
"""1.0015^(2^n) × 10^13, rounded down."""


class Refused(ArithmeticError):
    """The program refuses this step; the text is its own word for it, or what was too large."""


def u128(number: int) -> int:
    """Return a number that the program keeps in 128 bits; raises `Refused` where it does not fit."""
    if not 0 <= number <= U128:
        raise Refused("a number does not fit 128 bits")
    return number


def u64(number: int) -> int:
    """Return a number that the program keeps in 64 bits; raises `Refused` where it does not fit."""
    if not 0 <= number <= U64:
        raise Refused("a number does not fit 64 bits")
    return number


def div_up(a: int, b: int) -> int:
    """Divide, never below the exact quotient."""
    return -(-a // b)


@lru_cache(maxsize=MAX_TICK - MIN_TICK + 1)
def ratio_at_tick(tick: int) -> int:
    """Return a tick's ratio, X48; raises `Refused` for one out of range."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise Refused("LibraryTickOutOfBounds")
    factor = 1 << 64
    for bit, multiplier in enumerate(_FACTORS):
        if abs(tick) >> bit & 1:
            factor = factor * multiplier >> 64
    if tick < 0:
        return factor >> 16
    factor = U128 // factor
    return (factor >> 16) + (factor % 0x10000 != 0)


def tick_at_ratio(ratio: int) -> tuple[int, int]:
    """Return the highest tick that is not above a ratio, and its ratio as the program computes it from this one; raises `Refused`."""
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise Refused("LibraryTickRatioOutOfBounds")
    below_one = ratio < ONE_X48
    factor = ONE_X48 * _E13 // ratio if below_one else ratio * _E13 // ONE_X48
    tick = 0
    for bit in reversed(range(len(_THRESHOLDS))):
        if factor >= _THRESHOLDS[bit]:
            tick |= 1 << bit
            factor = factor * _E13 // _THRESHOLDS[bit]
    exact = ratio * factor // _THRESHOLDS[0] if below_one else ratio * _E13 // factor
    if exact > ratio:
        raise Refused("LibraryTickInvalidPerfectRatio")
    return ~tick if below_one else tick, exact


def ratio_with_partials(tick: int, partials: int) -> int:
    """Return the ratio so many parts above the tick below `tick`."""
    ratio = ratio_at_tick(tick)
    below = ratio * FOUR_DECIMALS // SPACING
    return below + (ratio - below) * partials // FULL_PARTIALS


def scaled_by(normal: int, factor: int, connection: int) -> int:
    """Return `normal` × `factor` ÷ `connection`, rounded down (`mul_div_normal`); raises `Refused`."""
    u64(normal)
    if factor == 0 or connection == 0:
        return 0
    coefficient, exponent = _parts(factor)
    divisor, divisor_exponent = _parts(connection)
    shift = divisor_exponent - exponent
    if shift < 0:
        raise Refused("LibraryBnError")
    if shift >= _NO_BITS_LEFT - 1:
        return 0
    denominator = divisor << shift & U128
    if denominator == 0:
        raise Refused("LibraryDivisionByZero")
    result = normal * coefficient // denominator
    if result > U64:
        raise Refused("LibraryBnError")
    return result


def factor_product(one: int, other: int) -> int:
    """Return the product of two factors (`mul_big_number`), `FULL_FACTOR` where it is too large for one; raises `Refused`."""
    coefficient, exponent = _parts(one)
    other_coefficient, other_exponent = _parts(other)
    product = coefficient * other_coefficient
    overflow = COEFFICIENT_BITS if product > (1 << 69) - 1 else COEFFICIENT_BITS - 1
    exponent += other_exponent + overflow
    if exponent < _DECIMALS:
        raise Refused("LibraryBnError")
    exponent -= _DECIMALS
    return FULL_FACTOR if exponent > _EXPONENT_MASK else (product >> overflow << EXPONENT_BITS & U64) | exponent


def _parts(factor: int) -> tuple[int, int]:
    return factor >> EXPONENT_BITS, factor & _EXPONENT_MASK
