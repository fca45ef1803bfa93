"""How much each observation weighs, and what the middle of weighted numbers is; all weights are integers, so that halves are exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate

from aggregator.oracle.observation import Used

SCALE = 1 << 20
SMALLEST = 5e-324


def weights(used: Sequence[Used]) -> list[int]:
    """Return what observations weigh, in their order.

    An operator weighs as much as its freshest feed, whose weight halves with each heartbeat of age; its feeds share that. One of two
    weighs half, and one of several always less, so that none decides alone. What a feed says of its own accuracy has no part in it:
    sureness would buy weight.
    """
    fresh = [freshness(item) for item in used]
    groups: dict[object, list[int]] = {}
    for place, item in enumerate(used):
        groups.setdefault(item.observation.operator or (item.observation.chain_id, item.observation.feed), []).append(
            place
        )
    of_group = {key: max(fresh[place] for place in places) for key, places in groups.items()}
    total, several = sum(of_group.values()), int(len(of_group) > 2)  # noqa: PLR2004 - of two, each may weigh a half
    owns = {key: sum(fresh[place] for place in places) for key, places in groups.items()}
    scale = math.lcm(*owns.values()) if len(groups) < len(used) else 1
    shares = [0] * len(used)
    for key, places in groups.items():
        others = total - of_group[key]
        allowed = min(of_group[key], max(others - several, 1)) if others else of_group[key]
        for place in places:
            shares[place] = allowed * fresh[place] * scale // owns[key] if scale > 1 else allowed
    return shares


def freshness(item: Used) -> int:
    """Halve the weight with each heartbeat of age; what does not age weighs all."""
    heartbeat_s = item.observation.heartbeat_s
    if not heartbeat_s:
        return SCALE
    return max(1, round(SCALE * math.exp2(-min(item.age_s / heartbeat_s, 20.0))))


QUARTER = Fraction(1, 4)


def quantile(values: Sequence[float], weighing: Sequence[int], share: Fraction) -> float:
    """Return the smallest value at or below which lies at least that share of the weight."""
    ordered = sorted(zip(values, weighing, strict=True))
    enough = share * sum(weighing)
    below = accumulate(weight for _, weight in ordered)
    return next(value for (value, _), reached in zip(ordered, below, strict=True) if reached >= enough)


def lower_median(values: Sequence[float], weighing: Sequence[int]) -> float:
    """Return the smallest value at or below which lies at least half of the weight."""
    return values[0] if len(values) == 1 else _reaching(sorted(zip(values, weighing, strict=True)), sum(weighing))


def upper_median(values: Sequence[float], weighing: Sequence[int]) -> float:
    """Return the largest value at or above which lies at least half of the weight."""
    if len(values) == 1:
        return values[0]
    return _reaching(sorted(zip(values, weighing, strict=True), reverse=True), sum(weighing))


def _reaching(ordered: Sequence[tuple[float, int]], total: int) -> float:
    reached = 0
    for value, weight in ordered:
        reached += weight
        if 2 * reached >= total:
            return value
    return ordered[-1][0]


def median(values: Sequence[float], weighing: Sequence[int]) -> float:
    """Return the mean of the lower and the upper median."""
    if len(values) == 1:
        return values[0]
    if len(values) == 3 and 2 * max(weighing) < sum(weighing):  # noqa: PLR2004 - the usual case, and a short way
        return sorted(values)[1]
    return (lower_median(values, weighing) + upper_median(values, weighing)) / 2


def mean(values: Sequence[float], weighing: Sequence[int]) -> float:
    """Return the weighted mean, within the values also where floats would round it out of them."""
    total = math.fsum(value * weight for value, weight in zip(values, weighing, strict=True)) / sum(weighing)
    return min(max(total, min(values)), max(values))


Middle = Callable[[Sequence[float], Sequence[int]], float]


def half_spread(values: Sequence[float], weighing: Sequence[int]) -> float:
    """Return half of what lies between the lower and the upper quarter of the weight; the outer quarters are those of few."""
    upper = -quantile([-value for value in values], weighing, QUARTER)
    return (upper - quantile(values, weighing, QUARTER)) / 2


def strays(prices: Sequence[float], weighing: Sequence[int], least: float, mads: float) -> list[bool]:
    """Tell which of three prices and more lie farther from the middle than is believed, in logarithms."""
    if len(prices) < 3:  # noqa: PLR2004 - of two nobody can tell which is wrong
        return [False] * len(prices)
    logs = [math.log(max(price, SMALLEST)) for price in prices]
    middle = median(logs, weighing)
    away = [abs(log - middle) for log in logs]
    limit = max(least, mads * 1.4826 * median(away, weighing))
    return [distance > limit for distance in away]
