"""A haircut model walked forward over a price history: each day's fall beside what the days before had announced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from aggregator.risk.coverage import Coverage, coverage
from aggregator.risk.history import BadHistory, Floats, History
from aggregator.risk.models import MODELS, TAIL, WINDOW, fall


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How a model did on an asset over the days `first`..`last`; haircuts and falls are fractions of the price.

    `worst_beyond`: the most that a day fell beyond its haircut; `largest_rise`: the most that the haircut rose within five days.
    """

    asset: str
    model: str
    first: date
    last: date
    coverage: Coverage
    mean_haircut: float
    largest_haircut: float
    worst_beyond: float
    largest_rise: float


def backtest(history: History, model: str, *, since: date | None = None, haircuts: Floats | None = None) -> Backtest:
    """Walk a model forward and judge the days from `since` on, all that it estimates by default.

    `haircuts`: what the model gives, where that is known already.

    Raises `BadHistory` where it has not enough days, and `KeyError` for a model that is none of `MODELS`.
    """
    first = WINDOW + 1
    if since is not None:
        first = max(first, (since - history.first).days)
    if len(history.closes) <= first:
        needed = history.first + timedelta(days=first)
        raise BadHistory(
            f"{history.asset}: the prices end on {history.last}; with {WINDOW} days to learn from, the first that can be judged is {needed}"
        )
    skipped = first - WINDOW - 1
    haircuts = (MODELS[model](history.returns) if haircuts is None else haircuts)[skipped:]
    falls = fall(history.returns[WINDOW + skipped :])
    beyond = falls - haircuts
    return Backtest(
        asset=history.asset,
        model=model,
        first=history.day(first),
        last=history.last,
        coverage=coverage(beyond > 0, TAIL),
        mean_haircut=float(np.mean(haircuts)),
        largest_haircut=float(np.max(haircuts)),
        worst_beyond=max(float(np.max(beyond)), 0.0),
        largest_rise=_largest_rise(haircuts),
    )


def _largest_rise(haircuts: np.ndarray[tuple[int], np.dtype[np.float64]], days: int = 5) -> float:
    if len(haircuts) <= days:
        return max(float(haircuts[-1] - haircuts[0]), 0.0)
    return max(float(np.max(haircuts[days:] - haircuts[:-days])), 0.0)
