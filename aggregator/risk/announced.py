"""Chances of falls within days, announced from the days before alone, and what came of them: forecasts by paths, walked forward."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from aggregator.risk.history import BadHistory
from aggregator.risk.models import WINDOW
from aggregator.risk.paths import DAYS, falls, usable
from aggregator.risk.reliability import Reliability, reliability_of
from aggregator.risk.series import Series
from aggregator.told import Told, each_told, untold

DISTANCES = (0.03, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5)
"""Falls as fractions of the price; farther than those of a day, since a week goes farther."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcing:
    """Every how many `days`, and for as many days to come; cases lie within `since` and `until`.

    `pool`: how many days before are drawn from, all by default; `stretch`: what drawn falls are multiplied with, which makes a model that
    is wrong on purpose.
    """

    days: int
    pool: int | None = None
    since: date = date.min
    until: date = date.max
    stretch: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.days <= DAYS:
            raise ValueError(f"paths have 1 to {DAYS} days, not {self.days}")
        if self.pool is not None and self.pool < WINDOW:
            raise ValueError(f"a pool has {WINDOW} days at least, not {self.pool}")


def announced(histories: Sequence[Series], how: Announcing, told: Told = untold) -> Reliability:
    """Announce how likely each price is to be so far below within the days to come, at each of `DISTANCES`, and compare.

    No two cases of an asset share a day. Raises `BadHistory` where nothing is left to judge.
    """
    cases = [case for one in histories for case in _cases(one, how, told)]
    if not cases:
        names = ", ".join(one.identity for one in histories)
        raise BadHistory(f"{names}: nothing to judge; a day needs {WINDOW} days of each asset before it, with lows")
    columns = np.array(cases, np.float64)
    return reliability_of([one.identity for one in histories], columns[:, 0], columns[:, 1], columns[:, 2])


def _cases(one: Series, how: Announcing, told: Told) -> Iterator[tuple[float, bool, int]]:
    lowest = np.log(np.fmin(np.fmin(one.lows[1:], one.closes[1:]), one.closes[:-1]))
    places = range(WINDOW, len(one.days) - how.days, how.days)
    for place in each_told(told, f"{one.identity} over {how.days} d", places):
        if not _judged(one, place, how):
            continue
        known = one.until(date.fromordinal(int(one.days[place])))
        if len(usable(known)) < WINDOW:
            continue
        drawn = how.stretch * falls(known, days=how.days, pool=how.pool)
        fallen = math.log(one.closes[place]) - float(lowest[place : place + how.days].min())
        for distance in DISTANCES:
            move = -math.log1p(-distance)
            yield float(np.mean(drawn >= move)), fallen >= move, int(one.days[place])


def _judged(one: Series, place: int, how: Announcing) -> bool:
    """Whether all days to come are known, lows included, and lie within what was asked for."""
    begins, ends = int(one.days[place]) + 1, int(one.days[place + how.days])
    whole = ends == begins + how.days - 1 and bool(one.ranged[place : place + how.days].all())
    return whole and how.since.toordinal() <= begins and ends <= how.until.toordinal()
