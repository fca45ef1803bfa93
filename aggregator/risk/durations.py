"""Do breaches come alone? How long it takes from one to the next, by a Weibull law beside the one without memory.

Source: Christoffersen and Pelletier (2004): of a right model the days between breaches have no memory, so that the law's exponent is 1;
below 1 they come in clusters.
"""

from __future__ import annotations

import math

import numpy as np

from aggregator.risk.coverage import Breaches
from aggregator.risk.history import Floats

FEWEST = 4
"""Breaches; of fewer nothing is concluded."""

LOWEST, HIGHEST = 0.05, 10.0
ROUNDS = 80


def duration_p(breached: Breaches) -> float | None:
    """Return the chance of durations that have as much memory of a model that has none; `None` with too few breaches."""
    at = np.flatnonzero(breached)
    if len(at) < FEWEST:
        return None
    between = np.diff(at).astype(np.float64)
    open_ended = np.array([at[0] + 1, len(breached) - at[-1]], np.float64)
    best = _highest(between, open_ended)
    statistic = 2 * (_likelihood(best, between, open_ended) - _likelihood(1.0, between, open_ended))
    return math.erfc(math.sqrt(max(statistic, 0.0) / 2))


def _likelihood(exponent: float, between: Floats, open_ended: Floats) -> float:
    """Return the logarithm of the likelihood at the best scale; the first and the last duration are known to be at least as long."""
    powers = float(np.sum(between**exponent) + np.sum(open_ended**exponent))
    count = len(between)
    scale = count / powers
    return (
        count * (math.log(scale) + math.log(exponent))
        + (exponent - 1) * float(np.sum(np.log(between)))
        - scale * powers
    )


def _highest(between: Floats, open_ended: Floats) -> float:
    """Find the exponent of the highest likelihood, which has one summit, by golden sections of its logarithm."""
    low, high, part = math.log(LOWEST), math.log(HIGHEST), (math.sqrt(5) - 1) / 2
    for _ in range(ROUNDS):
        left, right = high - part * (high - low), low + part * (high - low)
        if _likelihood(math.exp(left), between, open_ended) < _likelihood(math.exp(right), between, open_ended):
            low = left
        else:
            high = right
    return math.exp((low + high) / 2)
