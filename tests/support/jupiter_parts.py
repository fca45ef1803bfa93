"""What a modelled vault of Jupiter Lend is made of, and the big numbers of its debt factors, written from the program's `bn.rs`."""

from __future__ import annotations

from dataclasses import dataclass

from chains.solana.jupiter_lend.maths import COLD_TICK, FOUR_DECIMALS, ratio_at_tick

X30 = 0x3FFFFFFF
BILLION = 10**9
RATE = 10**15
PRICE = 10**12
INITIAL_FACTOR = ((1 << 35) - 1) << 15 | 1 << 14
FULL = (1 << 50) - 1
MIN_DEBT, MIN_BRANCH, MIN_TICK_DEBT = 1_000, 100, 100


class Reverted(Exception):
    """The program refuses the instruction."""


@dataclass
class ModelTick:
    liquidated: bool = False
    total_ids: int = 0
    raw_debt: int = 0
    fully: bool = False
    branch: int = 0
    factor: int = 0

    def liquidate(self, branch: int, factor: int) -> None:
        self.raw_debt, self.liquidated, self.factor, self.branch = 0, True, factor, branch


@dataclass
class ModelBranch:
    status: int = 0
    minima_tick: int = COLD_TICK
    partials: int = 0
    debt: int = 0
    factor: int = 0
    connected: int = 0
    connected_minima: int = COLD_TICK


@dataclass
class ModelPosition:
    supply_only: bool = True
    tick: int = COLD_TICK
    tick_id: int = 0
    supply: int = 0
    dust: int = 0


@dataclass(frozen=True)
class Terms:
    """Factors in thousandths, the penalty in basis points."""

    collateral_factor: int = 800
    threshold: int = 850
    max_limit: int = 900
    penalty: int = 100
    borrow_fee: int = 0


@dataclass
class ModelState:
    branch_liquidated: bool = False
    topmost_tick: int = COLD_TICK
    current_branch: int = 1
    total_branches: int = 1
    total_supply: int = 0
    total_borrow: int = 0
    absorbed_debt: int = 0
    absorbed_col: int = 0
    absorbed_dust: int = 0


@dataclass
class Fetched:
    """What the program's own fetch of a position says, before anything is done to it."""

    supply: int
    debt: int
    tick: int


def msb(number: int) -> int:
    return number.bit_length()


def split(number: int) -> tuple[int, int]:
    return number >> 15, number & 0x7FFF


def shrink(factor: int, by: int) -> int:
    """`mul_div_big_number`: a factor times a number of 2^64ths."""
    if factor == 0 or by == 0:
        return 0
    coefficient, exponent = split(factor)
    product = coefficient * by
    excess = max(msb(product) - 35, 0)
    exponent += excess - 64
    if not 0 < exponent <= 0x7FFF:
        raise Reverted("LibraryBnError")
    return product >> excess << 15 | exponent


def over(one: int, other: int) -> int:
    """`div_big_number`: the factor between two branches."""
    if one == 0 or other == 0:
        raise Reverted("LibraryDivisionByZero")
    (a, e1), (b, e2) = split(one), split(other)
    quotient = (a << 64) // b
    excess = 30 if quotient >> 64 == 1 else 29
    exponent = e1 + 16384 + excess - e2 - 64
    if not 0 < exponent <= 0x7FFF:
        raise Reverted("LibraryBnError")
    return quotient >> excess << 15 | exponent


def product_of(one: int, other: int) -> int:
    """`mul_big_number`."""
    (a, e1), (b, e2) = split(one), split(other)
    excess = 35 if a * b >= 1 << 69 else 34
    exponent = e1 + e2 + excess - 16384
    if exponent < 0:
        raise Reverted("LibraryBnError")
    return FULL if exponent > 0x7FFF else (a * b >> excess) << 15 | exponent


def part_of(normal: int, factor: int, connection: int) -> int:
    """`mul_div_normal`."""
    if factor == 0 or connection == 0:
        return 0
    (a, e1), (b, e2) = split(factor), split(connection)
    if e2 < e1:
        raise Reverted("LibraryBnError")
    if e2 - e1 >= 128:
        return 0
    denominator = (b << e2 - e1) % 2**128
    if denominator == 0:
        raise Reverted("LibraryDivisionByZero")
    found = normal * a // denominator
    if found >= 2**64:
        raise Reverted("LibraryBnError")
    return found


def between(tick: int, partials: int) -> int:
    ratio = ratio_at_tick(tick)
    below = ratio * FOUR_DECIMALS // 10015
    return below + (ratio - below) * partials // X30
