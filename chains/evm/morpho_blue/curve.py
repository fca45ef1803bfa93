"""The rate of the adaptive curve model: a curve around 90 % utilisation whose height moves with time.

Sources: morpho-blue-irm, `AdaptiveCurveIrm`, `ConstantsLib`, `ExpLib`.

Rates are wads a second. Signed divisions truncate toward zero, as Solidity's do.
"""

from __future__ import annotations

from typing import NamedTuple

from chains.evm.morpho_blue.maths import WAD, Totals, mul_div_down

_YEAR = 365 * 86_400
_STEEPNESS = 4 * WAD
_SPEED = 50 * WAD // _YEAR
_TARGET = 9 * WAD // 10
_LOWEST = WAD // 1_000 // _YEAR
_HIGHEST = 2 * WAD // _YEAR
INITIAL_RATE_AT_TARGET = 4 * WAD // 100 // _YEAR

_LN_2 = 693_147_180_559_945_309
_LN_WEI = -41_446_531_673_892_822_312
_EXP_BOUND = 93_859_467_695_000_404_319
_EXP_AT_BOUND = 57_716_089_161_558_943_949_701_069_502_944_508_345_128_422_502_756_744_429_568


class Rate(NamedTuple):
    """The average rate since the last update, and the rate at the target utilisation now."""

    average: int
    at_target: int


class Probe(NamedTuple):
    """A made-up market by which a model shows what it is: assets of both sides, and seconds since the last update."""

    supply_assets: int
    borrow_assets: int
    seconds: int


PROBES = (
    Probe(WAD, 45 * WAD // 100, 30 * 86_400),
    Probe(WAD, 97 * WAD // 100, 3 * 86_400),
    Probe(WAD, WAD, 10 * _YEAR),
    Probe(WAD, 0, 10 * _YEAR),
)
"""Below and above the target, and so long ago that the bounds are met: every constant of the model decides one of the answers."""


def borrow_rate(at_target: int, totals: Totals, now: int) -> Rate:
    """Return `AdaptiveCurveIrm._borrowRate` of a market; `at_target`: as of its last update, zero for one that never had any."""
    error = _error(totals)
    if at_target == 0:
        return Rate(_curve(INITIAL_RATE_AT_TARGET, error), INITIAL_RATE_AT_TARGET)
    adaptation = _times(_SPEED, error) * (now - totals.last_update)
    if adaptation == 0:
        return Rate(_curve(at_target, error), at_target)
    end = _moved(at_target, adaptation)
    middle = _moved(at_target, _to_zero(adaptation, 2))
    return Rate(_curve((at_target + end + 2 * middle) // 4, error), end)


def exp_approximately(x: int) -> int:
    """Return e^x of a wad: a power of two times a polynomial of second degree, bounded on both sides."""
    if x < _LN_WEI:
        return 0
    if x >= _EXP_BOUND:
        return _EXP_AT_BOUND
    half = _LN_2 // 2
    power = _to_zero(x + (half if x >= 0 else -half), _LN_2)
    rest = x - power * _LN_2
    small = WAD + rest + rest * rest // WAD // 2
    return small << power if power >= 0 else small >> -power


def _error(totals: Totals) -> int:
    """Return how far the utilisation is from its target: a wad from -1 to 1."""
    used = mul_div_down(totals.borrow_assets, WAD, totals.supply_assets) if totals.supply_assets else 0
    return _to_zero((used - _TARGET) * WAD, WAD - _TARGET if used > _TARGET else _TARGET)


def _curve(at_target: int, error: int) -> int:
    slope = WAD - _to_zero(WAD * WAD, _STEEPNESS) if error < 0 else _STEEPNESS - WAD
    return _times(_times(slope, error) + WAD, at_target)


def _moved(at_target: int, adaptation: int) -> int:
    return max(_LOWEST, min(_HIGHEST, _times(at_target, exp_approximately(adaptation))))


def _times(a: int, b: int) -> int:
    return _to_zero(a * b, WAD)


def _to_zero(a: int, b: int) -> int:
    """Divide by a positive number, toward zero."""
    return a // b if a >= 0 else -(-a // b)
