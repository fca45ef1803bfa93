"""Haircuts for the next day, from what was known the day before: the fall of a price that is gone beyond with a given chance.

A model gives one haircut for each day from `WINDOW` on; none of them knows of the day that it is for. The recommended one is a mixture:
filtered historical simulation, weighted with a quarter of the worst that ever happened, and never below what plain history says.

Sources: Barone-Adesi, Giannopoulos and Vosper (1999) for filtered historical simulation; RiskMetrics (1996) for the weighted variance;
a quarter of stressed observations is one of the ways in which EU 153/2013, article 28, has margins not fall too low in calm times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.risk.history import Floats

WINDOW = 500
"""Days before the first estimate, and those that a moving window looks back on."""

FAST, SLOW = 0.94, 0.97
"""How much of the variance of the day before is kept; the slow one forgets half in 23 days."""

TAIL = 0.01
"""The chance of a fall beyond the haircut."""

STRESS_SHARE = 0.25
WORST_DAYS = 3
"""So much weight has the mean of so many worst days."""

BUFFER, RELEASED_AT = 0.25, 1.5
RISE_DAYS, RELEASED_DAYS, REFILLED_DAYS = 5, 20, 60
"""The buffer is so much of a haircut; it is gone for so many days once the filtered one is so many times that of the week before."""

_NORMAL_99 = 2.3263478740408408
_STUDENT_4_99 = 3.7469473879792 / math.sqrt(2)
"""Of a variable with variance 1, as the weighted variance is scaled."""

Model = Callable[[Floats], Floats]
"""Daily log returns (n) → haircuts of days `WINDOW`..n−1 (n − `WINDOW`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How a haircut follows its target: `step` is the grid, `rise` and `fall` the most of one day, as fractions of the price.

    It falls only after `patience` days in a row on which the target was lower by more than `slack`.
    """

    step: float = 0.005
    rise: float = 0.05
    fall: float = 0.005
    slack: float = 0.01
    patience: int = 10


def deviations(returns: Floats, decay: float) -> Floats:
    """Return the standard deviation for each day as the days before say it, and that of the day to come (n + 1).

    The first is of the first `WINDOW` days: no estimate rests on it, and after them nothing of it is left.
    """
    variance = float(np.var(returns[:WINDOW]))
    found = np.empty(len(returns) + 1)
    found[0] = variance
    for number, value in enumerate(returns.tolist(), start=1):
        variance = decay * variance + (1 - decay) * value * value
        found[number] = variance
    return np.sqrt(found)


def residuals(returns: Floats, decay: float = SLOW) -> Floats:
    """Return each day's log return in standard deviations of what was expected."""
    expected = deviations(returns, decay)[:-1]
    return np.divide(returns, expected, out=np.zeros_like(returns), where=expected > 0)


def fall(log_return: Floats) -> Floats:
    """Return the fraction of the price that a log return takes away."""
    return -np.expm1(log_return)


def normal(returns: Floats) -> Floats:
    """Weighted variance, and a normal distribution."""
    return fall(-_NORMAL_99 * deviations(returns, FAST)[WINDOW:-1])


def student(returns: Floats) -> Floats:
    """Weighted variance, and a Student distribution of four degrees of freedom."""
    return fall(-_STUDENT_4_99 * deviations(returns, SLOW)[WINDOW:-1])


def historical(returns: Floats) -> Floats:
    """The quantile of the last `WINDOW` days."""
    return fall(moving_quantile(returns))


def filtered(returns: Floats) -> Floats:
    """Filtered historical simulation: the quantile of the last `WINDOW` residuals, at today's deviation."""
    return fall(moving_quantile(residuals(returns)) * deviations(returns, SLOW)[WINDOW:-1])


def filtered_expanding(returns: Floats) -> Floats:
    """Filtered historical simulation over all residuals before."""
    pool = residuals(returns)
    quantiles = np.array([np.quantile(pool[:day], TAIL) for day in range(WINDOW, len(pool))])
    return fall(quantiles * deviations(returns, SLOW)[WINDOW:-1])


def stressed(returns: Floats) -> Floats:
    """The mean fall of the worst days before."""
    worst = [np.mean(fall(np.sort(returns[:day])[:WORST_DAYS])) for day in range(WINDOW, len(returns))]
    return np.array(worst)


def recommended(returns: Floats) -> Floats:
    """Three quarters of filtered historical simulation and one of stress, at least what plain history says."""
    mixed = (1 - STRESS_SHARE) * filtered(returns) + STRESS_SHARE * stressed(returns)
    return np.maximum(mixed, historical(returns))


def buffered(returns: Floats) -> Floats:
    """The published haircut and a quarter more, a buffer that is there to be used: it goes when the filtered one rises by half."""
    announced = filtered(returns)
    before = np.concatenate([np.full(min(RISE_DAYS, len(announced)), np.inf), announced[:-RISE_DAYS]])[: len(announced)]
    rose = announced > RELEASED_AT * before
    days = np.arange(len(announced))
    since = days - np.maximum.accumulate(np.where(rose, days, -RELEASED_DAYS - REFILLED_DAYS))
    there = np.clip((since - RELEASED_DAYS) / REFILLED_DAYS, 0.0, 1.0)
    own = publish(recommended(returns), Publishing())
    return np.minimum((1 + BUFFER * there) * own, 1.0)


def published(returns: Floats, rules: Publishing | None = None) -> Floats:
    """Follow the recommended haircut as it would be published: rounded up, rising soon and falling late."""
    return publish(recommended(returns), rules or Publishing())


def publish(targets: Floats, rules: Publishing) -> Floats:
    """Let a haircut follow its targets (n), the first at once."""
    steps = np.ceil(np.round(targets / rules.step, 9)) * rules.step
    found = np.empty_like(steps)
    current, lower_for = float(steps[0]) if len(steps) else 0.0, 0
    for day, target in enumerate(steps.tolist()):
        if target > current:
            current, lower_for = min(target, current + rules.rise), 0
        elif target < current - rules.slack:
            lower_for += 1
            current = max(current - rules.fall, target) if lower_for >= rules.patience else current
        else:
            lower_for = 0
        found[day] = current
    return found


MODELS: Mapping[str, Model] = {
    "ewma-normal": normal,
    "ewma-student": student,
    "historical": historical,
    "fhs": filtered,
    "fhs-expanding": filtered_expanding,
    "recommended": recommended,
    "published": published,
    "buffered": buffered,
}
"""Each by its name on the command line."""


def moving_quantile(values: Floats, tail: float = TAIL) -> Floats:
    """Return the quantile of the `WINDOW` values before each day from `WINDOW` on."""
    if len(values) <= WINDOW:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(values[:-1], WINDOW)
    return np.asarray(np.quantile(windows, tail, axis=1), np.float64)
