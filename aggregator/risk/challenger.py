"""A haircut that is learnt: a quantile of the next day's fall, linear in what volatility and trading look like today.

It is a challenger: until it has passed its score card it may raise a haircut and never lower one. What it learns from is the days before
alone, learnt anew every `EVERY` days.

Source: Koenker and Bassett (1978) for regression quantiles; the smoothed check function is minimised by Newton's steps (Zheng 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aggregator.risk.bars import Bars
from aggregator.risk.coverage import Coverage, Light, coverage
from aggregator.risk.history import BadHistory, Floats
from aggregator.risk.models import FAST, SLOW, TAIL, WINDOW, deviations, fall, filtered

EVERY = 20
RIDGE = 0.02
"""Weight of the squares of all slopes, against the mean check loss in deviations."""

SMOOTHING = 0.1
SETTLED = 1e-9
FARTHEST = 4.0
"""Deviations from the middle of what was learnt from, beyond which a feature says no more."""

ROUNDS = 100
LONGEST_LOOK = 60
OUT_OF_SAMPLE = 730
"""Days that a challenger must have been right over."""

SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCard:
    """How a challenger did beside filtered simulation over the same days; losses are mean check losses, lower is better.

    `failed`: the tests that it did not pass; without any it is `promoted` and may stand by itself.
    """

    asset: str
    days: int
    challenger: Coverage
    champion: Coverage
    loss: float
    champion_loss: float
    raised: float
    failed: tuple[str, ...]

    @property
    def promoted(self) -> bool:
        return not self.failed


def learnt(bars: Bars, volumes: Floats | None = None) -> Floats:
    """Return the learnt haircut of each day from 2 · `WINDOW` on, and of the one to come, as fractions of the price.

    `volumes`: what was traded each day, any unit; without them nothing is learnt of it. Raises `BadHistory` for too few days.
    """
    returns = bars.history.returns
    first = 2 * WINDOW
    if len(returns) < first:
        raise BadHistory(
            f"{bars.history.asset}: {len(returns) + 1} days; a challenger learns from {first + 1} at least"
        )
    swings = deviations(returns, SLOW)
    seen = features(bars, volumes)
    scaled = np.divide(-returns, swings[:-1], out=np.zeros_like(returns), where=swings[:-1] > 0)
    found = np.empty(len(returns) + 1 - first)
    for begin in range(first, len(returns) + 1, EVERY):
        rows = slice(LONGEST_LOOK, begin)
        middle, spread = seen[rows].mean(axis=0), seen[rows].std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        weights = regression_quantile((seen[rows] - middle) / spread, scaled[rows], 1 - TAIL)
        days = slice(begin, min(begin + EVERY, len(returns) + 1))
        inputs = np.clip((seen[days] - middle) / spread, -FARTHEST, FARTHEST)
        deep = np.maximum(weights[0] + inputs @ weights[1:], 0.0)
        found[begin - first : begin - first + len(deep)] = deep * swings[days]
    return fall(-found)


def features(bars: Bars, volumes: Floats | None) -> Floats:
    """Return what is known before each day and the one to come (returns + 1, features), as logarithms of ratios where it is a size."""
    closes, returns = np.log(bars.history.closes), bars.history.returns
    slow = np.maximum(deviations(returns, SLOW), 1e-9)
    count = len(returns) + 1
    peak = np.array([closes[max(0, day - LONGEST_LOOK) : day + 1].max() for day in range(count)])
    week = closes - closes[np.maximum(np.arange(count) - 5, 0)]
    last = np.concatenate([[0.0], returns])
    columns = [
        np.log(np.maximum(deviations(returns, FAST), 1e-9) / slow),
        np.log(np.maximum(bars.swings, 1e-9) / slow),
        week / slow,
        (peak - closes) / slow,
        np.abs(last) / slow,
        *_traded(volumes, last, count),
    ]
    return np.stack(columns, axis=1)


def _traded(volumes: Floats | None, last: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the volume of the day against that of a month, and how far prices move per volume against the same (Amihud 2002)."""
    if volumes is None:
        return np.zeros(count), np.zeros(count)
    logs = np.log(np.maximum(volumes, 1e-9))
    moved = np.log(np.abs(last) + 1e-4) - logs
    return logs - _monthly(logs), moved - _monthly(moved)


def _monthly(values: Floats, days: int = 30) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - days, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts), np.float64)


def regression_quantile(inputs: Floats, outputs: Floats, share: float) -> Floats:
    """Return intercept and slopes (1 + features) of the quantile of outputs (n) that is linear in inputs (n, features)."""
    rows = np.hstack([np.ones((len(inputs), 1)), inputs])
    penalty = np.diag([0.0, *[RIDGE] * inputs.shape[1]])
    weights = np.zeros(rows.shape[1])
    weights[0] = np.quantile(outputs, share)
    for _ in range(ROUNDS):
        left = (outputs - rows @ weights) / SMOOTHING
        below = 1 / (1 + np.exp(np.clip(left, -50, 50)))
        slope = rows.T @ (below - share) / len(rows) + penalty @ weights
        curve = (rows.T * (below * (1 - below) / SMOOTHING)) @ rows / len(rows) + penalty + 1e-6 * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        size = float(np.abs(step).max())
        weights -= step * min(1.0, 0.5 / size) if size > 0 else step
        if size < SETTLED:
            break
    return np.asarray(weights, np.float64)


def score_card(bars: Bars, volumes: Floats | None = None) -> ScoreCard:
    """Compare the challenger with filtered simulation over the days that both announce; raises `BadHistory` for too few."""
    haircuts = learnt(bars, volumes)[:-1]
    champions = filtered(bars.history.returns)[-len(haircuts) :] if len(haircuts) else haircuts
    if len(haircuts) == 0:
        raise BadHistory(f"{bars.history.asset}: no day is left to judge a challenger by")
    falls = fall(bars.history.returns[-len(haircuts) :])
    own, other = coverage(falls > haircuts, TAIL), coverage(falls > champions, TAIL)
    loss, champion_loss = check_loss(falls, haircuts), check_loss(falls, champions)
    return ScoreCard(
        asset=bars.history.asset,
        days=len(haircuts),
        challenger=own,
        champion=other,
        loss=loss,
        champion_loss=champion_loss,
        raised=float(np.mean(haircuts > champions)),
        failed=tuple(_failed(own, loss, champion_loss)),
    )


def check_loss(falls: Floats, haircuts: Floats) -> float:
    """Return the mean loss that the right quantile has the least of."""
    beyond = falls - haircuts
    return float(np.mean(np.where(beyond > 0, (1 - TAIL) * beyond, -TAIL * beyond)))


def _failed(own: Coverage, loss: float, champion_loss: float) -> list[str]:
    tests = {
        f"{OUT_OF_SAMPLE} days": own.days >= OUT_OF_SAMPLE,
        "Kupiec": own.kupiec_p >= SIGNIFICANCE,
        "Christoffersen": own.conditional_p >= SIGNIFICANCE,
        "traffic light": own.light in {Light.GREEN, Light.NONE},
        "check loss": math.isfinite(loss) and loss <= champion_loss,
    }
    return [name for name, passed in tests.items() if not passed]
