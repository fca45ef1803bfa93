"""The chance that what an account may lose is gone within a day: how far its boundary is, in the deviations of a day.

All prices move together in the direction in which the least unlikely move reaches the boundary (the first-order reliability method,
Hasofer and Lind 1974); how often a day goes that far is told by the lowest prices of past days, each in the deviations that were
expected of it (filtered historical simulation).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.margin.risk import RiskInputs
from aggregator.risk.grid import CHANCES
from aggregator.risk.history import Floats

ROUNDS = 3
"""How often the direction is taken again at the point that was found."""

HALVINGS = 40
FARTHEST = 64.0
"""Deviations; no day ever went so far."""

FULL_SCORE = 100
BEST_CHANCE = 1e-3
"""The chance up to which the score is full; it falls with the logarithm to 0 at a chance of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What an identity adds to equity at today's price in USD, as the margin counts it; negative for what is owed."""

    identity: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """An equity in USD: its legs, which move with their prices, and `fixed`, which does not."""

    legs: tuple[Leg, ...]
    fixed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unestimated:
    """Nothing can be said, since of these identities, which are owed, nobody knows how they move."""

    identities: tuple[str, ...]


def breach_chance(stand: Stand, risk: RiskInputs, calm: Collection[str] = ()) -> float | Unestimated:
    """Return the chance that equity is gone at some moment of the next day; 1 where it is gone already.

    `calm`: identities that are taken to stand still where nothing was estimated. Collateral of which nothing was estimated is left
    out, as if it were worthless: the chance can only be lower.
    """
    found = distance(stand, risk, calm)
    return found if isinstance(found, Unestimated) else chance_beyond(found, risk.minima)


def distance(stand: Stand, risk: RiskInputs, calm: Collection[str] = ()) -> float | Unestimated:
    """Return how far the boundary is, in deviations of a day; infinite where no move within `FARTHEST` reaches it."""
    order = {item.identity: number for number, item in enumerate(risk.assets)}
    weights: dict[int, float] = {}
    fixed, unknown = [stand.fixed], set()
    for leg in stand.legs:
        if leg.identity in order:
            place = order[leg.identity]
            weights[place] = weights.get(place, 0.0) + leg.weight
        elif leg.identity in calm:
            fixed.append(leg.weight)
        elif leg.weight < 0:
            unknown.add(leg.identity)
    if unknown:
        return Unestimated(identities=tuple(sorted(unknown)))
    places = sorted(place for place, weight in weights.items() if weight != 0)
    swings = [risk.assets[place].swing for place in places]
    covariance = [
        [risk.correlation[row][column] * swings[y] * swings[x] for x, column in enumerate(places)]
        for y, row in enumerate(places)
    ]
    return _nearest([weights[place] for place in places], math.fsum(fixed), covariance)


def chance_beyond(deviations: float, minima: Sequence[float]) -> float:
    """Return how often a day's lowest price is as many deviations below; `minima` as `RiskInputs` has them.

    Beyond all that was seen it is the smallest chance that is kept: nobody can say that it is less.
    """
    if deviations <= 0:
        return 1.0
    falls = [-fall for fall in minima]
    right = bisect.bisect_left(falls, -deviations)
    if right == 0:
        return CHANCES[0]
    if right == len(falls):
        return 1.0
    left = right - 1
    wide = falls[right] - falls[left]
    part = (-deviations - falls[left]) / wide if wide > 0 else 1.0
    return CHANCES[left] * math.pow(CHANCES[right] / CHANCES[left], part)


def either(chances: Sequence[float]) -> float:
    """Return the chance that one of several happens, as if they had nothing to do with each other: together they are less likely."""
    return 1.0 - float(math.prod(1 - chance for chance in chances))


def breach_score(chance: float) -> int:
    """Return 0 to 100: a third less for each factor of ten in the chance, 100 at a thousandth and below, rounded down."""
    scale = -FULL_SCORE / 3 * math.log10(max(chance, BEST_CHANCE))
    return int(min(max(scale, 0.0), FULL_SCORE) + 1e-9)


def minima_of(falls: Floats) -> tuple[float, ...]:
    """Return how far days went, at each of `CHANCES`; `falls`: in deviations, positive downward, any order."""
    ordered = np.sort(np.asarray(falls, np.float64))
    shares = np.asarray(CHANCES)
    return tuple(np.quantile(ordered, 1 - shares, method="higher").tolist())


Vector = Sequence[float]


def _nearest(weights: Vector, fixed: float, covariance: Sequence[Vector]) -> float:
    """Walk along the direction of steepest descent to the boundary, and take the direction again from there."""
    if math.fsum(weights) + fixed <= 0:
        return 0.0
    slope, nearest = weights, math.inf
    for _ in range(ROUNDS):
        moved = [_dot(row, slope) for row in covariance]
        spread = _dot(slope, moved)
        if spread <= 0:
            break
        direction = [-move / math.sqrt(spread) for move in moved]
        found = _root(weights, fixed, direction)
        nearest = min(nearest, found)
        if math.isinf(found):
            break
        slope = [weight * math.exp(found * way) for weight, way in zip(weights, direction, strict=True)]
    return nearest


def _dot(left: Vector, right: Vector) -> float:
    return math.fsum(one * other for one, other in zip(left, right, strict=True))


def _root(weights: Vector, fixed: float, direction: Vector) -> float:
    """Return how far along a direction equity is gone, rounded toward today."""
    pairs = tuple(zip(weights, direction, strict=True))

    def equity(far: float) -> float:
        return sum(weight * math.exp(far * way) for weight, way in pairs) + fixed

    near, far = 0.0, 1.0
    while equity(far) > 0:
        near, far = far, 2 * far
        if far > FARTHEST:
            return math.inf
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if equity(middle) > 0:
            near = middle
        else:
            far = middle
    return near
