"""Did as many days go beyond a haircut as were announced, and did they come alone? The statistics of backtests.

Sources: Kupiec (1995), proportion of failures; Christoffersen (1998), independence and conditional coverage; the traffic light of the
Basel Committee (1996), whose borders are those of 250 days at 99 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Breaches: TypeAlias = npt.NDArray[np.bool_]

_GREEN, _YELLOW, _LIGHT_DAYS = 4, 9, 250


class Light(StrEnum):
    """The traffic light of the last 250 days: `none` where there are fewer."""

    NONE = "none"
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a series of days says of a haircut that `tail` of all days may go beyond.

    `kupiec_p`: chance of a number of breaches that is as unlikely, in either direction, of a model that is right; `too_many_p`: of at
    least as many; `independence_p`: of breaches that follow each other as often; `conditional_p`: of both.
    """

    days: int
    breaches: int
    tail: float
    kupiec_p: float
    too_many_p: float
    independence_p: float
    conditional_p: float
    light: Light

    @property
    def rate(self) -> float:
        """The share of days beyond the haircut."""
        return self.breaches / self.days

    def holds(self, significance: float = 0.05) -> bool:
        """Whether the breaches are not too many; too few are no failure of a haircut."""
        return self.too_many_p >= significance


def coverage(breached: Breaches, tail: float) -> Coverage:
    """Judge a series of days (n > 0) by which of them went beyond the haircut."""
    days, breaches = len(breached), int(np.count_nonzero(breached))
    failures = 2 * (_likelihood(days, breaches, breaches / days) - _likelihood(days, breaches, tail))
    order = _order_ratio(breached)
    return Coverage(
        days=days,
        breaches=breaches,
        tail=tail,
        kupiec_p=_one_degree(failures),
        too_many_p=at_least(breaches, days, tail),
        independence_p=_one_degree(order),
        conditional_p=math.exp(-max(failures + order, 0.0) / 2),
        light=_light(breached),
    )


def at_least(count: int, days: int, chance: float) -> float:
    """Return how likely so many days or more are, each with the same chance."""
    below = math.fsum(
        math.exp(math.lgamma(days + 1) - math.lgamma(k + 1) - math.lgamma(days - k + 1) + _likelihood(days, k, chance))
        for k in range(count)
    )
    return min(max(1.0 - below, 0.0), 1.0)


def _likelihood(days: int, breaches: int, chance: float) -> float:
    """Return the logarithm of the likelihood of one series with so many breaches."""
    hit = breaches * math.log(chance) if breaches else 0.0
    return hit + ((days - breaches) * math.log1p(-chance) if breaches < days else 0.0)


def _order_ratio(breached: Breaches) -> float:
    """Return twice the logarithm of how much likelier the series is where a breach may depend on the day before."""
    before, after = breached[:-1], breached[1:]
    calm_then = int(np.count_nonzero(~before & after))
    calm = int(np.count_nonzero(~before))
    hit_then = int(np.count_nonzero(before & after))
    hit = int(np.count_nonzero(before))
    if calm + hit == 0:
        return 0.0
    apart = sum(_likelihood(n, k, k / n) for n, k in ((calm, calm_then), (hit, hit_then)) if n)
    together = calm_then + hit_then
    return 2 * (apart - _likelihood(calm + hit, together, together / (calm + hit)))


def _one_degree(statistic: float) -> float:
    """Return the chance of a chi-squared variable of one degree of freedom beyond a value."""
    return math.erfc(math.sqrt(max(statistic, 0.0) / 2))


def _light(breached: Breaches) -> Light:
    if len(breached) < _LIGHT_DAYS:
        return Light.NONE
    recent = int(np.count_nonzero(breached[-_LIGHT_DAYS:]))
    return Light.GREEN if recent <= _GREEN else Light.YELLOW if recent <= _YELLOW else Light.RED
