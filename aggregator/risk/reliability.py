"""Do things announced with a chance of one in ten happen one time in ten? The chance of a breach, walked forward over price histories.

Each day, for each asset and at each of `DISTANCES`, the chance that the lowest price of the day is so far below the last one is said
from the days before alone, and then it is looked at what the day did.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from aggregator.risk.bars import Bars
from aggregator.risk.breach import chance_beyond, minima_of
from aggregator.risk.history import BadHistory, Floats
from aggregator.risk.models import WINDOW
from aggregator.told import Told, each_told, untold

DISTANCES = (0.02, 0.035, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4)
"""Falls as fractions of the price."""

EDGES = (0.0, 0.0005, 0.002, 0.005, 0.02, 0.05, 0.15, 0.4, 0.7, 1.0 + 1e-9)
"""Of the classes of announced chances."""

MOST_DEVIATIONS = 3.0
"""A class whose realised share is farther from what was announced is wrong: a right model has one in four hundred."""

FEWEST_EXPECTED = 5.0
"""A class in which the days announced or had fewer breaches says nothing by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """The cases whose announced chance was from `low` to below `high`: how many, on how many `days`, and how many of them came true."""

    low: float
    high: float
    cases: int
    days: int
    announced: float
    realised: float

    @property
    def deviations(self) -> float:
        """How far the realised share is from the announced one; cases of one day are taken for one, since all prices move together."""
        spread = math.sqrt(max(self.announced * (1 - self.announced), 1e-12) / self.days)
        return (self.realised - self.announced) / spread

    @property
    def telling(self) -> bool:
        """Whether there were, or should have been, enough breaches to say anything."""
        return self.days * max(self.announced, self.realised) >= FEWEST_EXPECTED

    @property
    def holds(self) -> bool:
        return not self.telling or abs(self.deviations) <= MOST_DEVIATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How announced chances came true over days `first`..`last`; `brier`: the mean squared error, `climate`: that of always announcing
    the share of all cases that came true.
    """

    assets: tuple[str, ...]
    first: date
    last: date
    cases: int
    classes: tuple[Class, ...]
    brier: float
    climate: float

    @property
    def holds(self) -> bool:
        """Whether every class came true about as often as was announced, and announcing was better than knowing the average."""
        return self.brier < self.climate and all(each.holds for each in self.classes)


def reliability(
    histories: Sequence[Bars],
    *,
    since: date | None = None,
    until: date | None = None,
    stretch: float = 1.0,
    told: Told = untold,
) -> Reliability:
    """Announce and compare for each day from `since` to `until`, all that can be by default.

    What days did is learnt up to the day before; the first `WINDOW` days are only learnt from. `stretch`: what all falls that were
    learnt are multiplied with, which makes a model that is wrong on purpose. Raises `BadHistory` where no day is left.
    """
    announced, realised, numbers = _cases(histories, since or date.min, until or date.max, stretch, told)
    if not len(announced):
        names = ", ".join(bars.history.asset for bars in histories)
        raise BadHistory(f"{names}: no day to judge; a day needs {WINDOW} days of each asset before it")
    return reliability_of([bars.history.asset for bars in histories], announced, realised, numbers)


def reliability_of(assets: Sequence[str], announced: Floats, realised: Floats, numbers: Floats) -> Reliability:
    """Compare chances with what came true, 1 or 0, a case each; `numbers`: the ordinal of its day."""
    share = float(np.mean(realised))
    days = sorted({int(number) for number in numbers.tolist()})
    return Reliability(
        assets=tuple(assets),
        first=date.fromordinal(days[0]),
        last=date.fromordinal(days[-1]),
        cases=len(announced),
        classes=tuple(_classes(announced, realised, numbers)),
        brier=float(np.mean((announced - realised) ** 2)),
        climate=share * (1 - share),
    )


def _cases(
    histories: Sequence[Bars], since: date, until: date, stretch: float, told: Told
) -> tuple[Floats, Floats, Floats]:
    """Return announced chances, 1 or 0 for what came true, and the ordinal of the day, a case each."""
    starts = [bars.history.first for bars in histories]
    first = min(starts)
    last = max(bars.history.last for bars in histories)
    learnt = _by_day(histories, first, last)
    cases: list[tuple[float, bool, int]] = []
    for number in each_told(told, "days", range(WINDOW + 1, (last - first).days + 1)):
        day = first + timedelta(days=number)
        judged = [bars for bars in histories if _can_judge(bars, day)]
        if not since <= day <= until or not judged:
            continue
        known = learnt[:number]
        minima = minima_of(stretch * known[np.isfinite(known)])
        cases += [
            (chance, came_true, day.toordinal())
            for bars in judged
            for chance, came_true in _announce(bars, (day - bars.history.first).days, minima)
        ]
    columns = np.array(cases, np.float64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _by_day(histories: Sequence[Bars], first: date, last: date) -> Floats:
    """Return the depth of each day from `first` on (days × assets), not a number where an asset has none."""
    table = np.full(((last - first).days + 1, len(histories)), np.nan)
    for column, bars in enumerate(histories):
        start = (bars.history.first - first).days + 1
        table[start : start + len(bars.depths), column] = bars.depths
    return table


def _can_judge(bars: Bars, day: date) -> bool:
    return bars.history.first + timedelta(days=WINDOW) < day <= bars.history.last


def _announce(bars: Bars, number: int, minima: Sequence[float]) -> Iterator[tuple[float, bool]]:
    """Yield chance and outcome at each distance, on the day of a number."""
    swing, fallen = float(bars.swings[number - 1]), float(bars.falls[number - 1])
    if swing <= 0:
        return
    for distance in DISTANCES:
        move = -math.log1p(-distance)
        yield chance_beyond(move / swing, minima), fallen >= move


def _classes(announced: Floats, realised: Floats, numbers: Floats) -> Iterator[Class]:
    for low, high in pairwise(EDGES):
        within = (announced >= low) & (announced < high)
        if within.any():
            yield Class(
                low=low,
                high=min(high, 1.0),
                cases=int(within.sum()),
                days=len(set(numbers[within].tolist())),
                announced=float(announced[within].mean()),
                realised=float(realised[within].mean()),
            )
