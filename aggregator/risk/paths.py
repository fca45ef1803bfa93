"""Paths of all prices together: days that happened, in two runs as they followed each other, each moving the deviation of the next.

Days are drawn for all assets at once, so that what fell together falls together, and with those after them (filtered historical simulation
by blocks), since weeks in which markets break are not made of days that do not know each other. From day to day the variance goes a
part of the way back to what it usually is, so that a week that begins calm need not stay so. What has too short a history goes with the
market by a t-copula (Demarta and McNeil 2005). Within a day prices are looked at thrice: all at their lowest, all at their highest, and at
the end.

Sources: Barone-Adesi, Giannopoulos and Vosper (1999); blocks on a circle: Politis and Romano (1992); for lows and highs that nobody knows,
the law of the extremes of a Brownian bridge (Glasserman 2003, 6.4); a variance that goes back to its mean: Bollerslev (1986).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.margin.risk import RiskInputs
from aggregator.risk.bars import DECAY
from aggregator.risk.draws import fractions, shares
from aggregator.risk.history import Floats
from aggregator.risk.market import PRIMES, UNSURE
from aggregator.risk.models import WINDOW
from aggregator.risk.series import Days, Series
from aggregator.risk.student import given, quantiles_of_four

MODEL = "paths 2"
"""The name of how paths are drawn; another one whenever the same inputs come to give other chances."""

PATHS = 2_000
DAYS = 7
STEPS = 1 + DAYS
"""An hour, which is the beginning of the first day, and days."""

RUNS = 2
"""Of days that followed each other, in a path."""

POINTS = 3
"""Looks at prices within a step: lowest, highest, last."""

REVERSION = 0.05
"""Of the way from a day's variance to the usual one, how much the next day goes; chosen by the log score of weeks before 2024, by
somebody who had seen those after it too."""

HOUR = math.sqrt(1 / 24)
"""How much of a day's move an hour is taken to make."""

PARKINSON = 4 * math.log(2)
VARIANCE_OF_FOUR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Relative moves (identities, `count` · `STEPS` · `POINTS`) against today's prices, path by path, step by step.

    `simulated`: identities whose own history was too short, so that they go with the market.
    """

    identities: tuple[str, ...]
    count: int
    moves: Floats
    simulated: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Moves:
    """Log moves of many days in the deviations that were expected of them; `ratio`: of a day's variance to what was expected."""

    low: Floats
    high: Floats
    close: Floats
    ratio: Floats

    def where(self, chosen: NDArray[np.bool_], other: _Moves) -> _Moves:
        names = ("low", "high", "close", "ratio")
        return _Moves(**{name: np.where(chosen, getattr(self, name), getattr(other, name)) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """Which day of the market's each day of each path is (days, paths), and where its move stands among all of the market's."""

    days: Days
    tails: Floats


def paths(risk: RiskInputs, series: Mapping[str, Series], *, count: int = PATHS, seed: int = 0) -> Paths:
    """Draw paths of everything that is estimated; `series`: by identity, up to the day before the first of a path.

    The same inputs and seed give the same paths. An identity is drawn alike whatever else there is, but the market.
    """
    order = {asset.identity: place for place, asset in enumerate(risk.assets)}
    known = {name: series[name] for name in order if name in series}
    long = {name for name, one in known.items() if len(usable(one)) >= WINDOW}
    market = max(known, key=lambda name: (len(usable(known[name])), name), default=None)
    drawn = _draw(known[market] if market in long else None, DAYS, count, seed)
    found = np.empty((len(order), count, STEPS, POINTS))
    for name, place in order.items():
        to_market = 1.0 if market is None or name == market else risk.correlation[place][order[market]]
        moves = _copied(drawn, name, to_market, seed)
        if name in long:
            moves = _own(known[name], drawn.days, moves, name, seed)
        swing = risk.assets[place].swing * (1.0 if name in long else UNSURE)
        _walk(found[place], moves, swing, _usual(known[name]) if name in long else swing * swing)
    return Paths(
        identities=tuple(order),
        count=count,
        moves=np.expm1(found).reshape(len(order), count * STEPS * POINTS),
        simulated=tuple(name for name in order if name not in long),
    )


def falls(one: Series, *, days: int, pool: int | None = None, count: int = PATHS, seed: int = 0) -> Floats:
    """Return how far paths of one identity go below its last price within so many days, `DAYS` at most, as log moves, 0 or more.

    `pool`: from how many of the last days is drawn, all by default. Raises `ValueError` for a history of less than `WINDOW` days.
    """
    if len(usable(one)) < WINDOW:
        raise ValueError(f"{one.identity} has less than {WINDOW} days to draw from")
    drawn = _draw(one, days, count, seed, pool)
    found = np.empty((count, 1 + days, POINTS))
    moves = _own(one, drawn.days, _copied(drawn, one.identity, 1.0, seed), one.identity, seed)
    _walk(found, moves, one.swings[-1], _usual(one))
    return np.asarray(np.maximum(-found.min(axis=(1, 2)), 0.0), np.float64)


def usable(one: Series) -> NDArray[np.int64]:
    """Return the places of the returns that can be drawn: of single days, of which some deviation was expected."""
    return np.flatnonzero(one.consecutive & (one.swings[:-1] > 0))


def _draw(market: Series | None, days: int, count: int, seed: int, pool: int | None = None) -> _Drawn:
    """Draw days evenly: numbers of each path step by the root of their own prime, from a place that the seed gives.

    The first two say with which days of the past the two runs of a path begin, the third after how many of its days the second does.
    After the last day of the past comes the first. Without a market each day is drawn by itself.
    """
    numbers = max(days, RUNS + 1)
    begins = shares(seed, "days", (numbers,))
    steps = np.sqrt(np.array(PRIMES[:numbers], np.float64))
    drawn = fractions(begins[:, None] + steps[:, None] * np.arange(1, count + 1))
    if market is None:
        return _Drawn(days=np.full((days, count), -1, np.int64), tails=quantiles_of_four(_inside(drawn[:days])))
    places = usable(market)[0 if pool is None else -pool :]
    moves = market.returns[places] / market.swings[:-1][places]
    ranks = np.empty(len(moves))
    ranks[np.argsort(moves, kind="stable")] = (np.arange(len(moves)) + 0.5) / len(moves)
    later = np.arange(days)[:, None]
    first, second = ((drawn[run] * len(moves)).astype(np.int64) + later for run in range(RUNS))
    picked = np.where(later < 1 + (drawn[RUNS] * days).astype(np.int64), first, second) % len(moves)
    return _Drawn(days=market.return_days[places][picked], tails=quantiles_of_four(ranks[picked]))


def _copied(drawn: _Drawn, name: str, correlation: float, seed: int) -> _Moves:
    """Draw moves that go with the market's: Student variables of four degrees of freedom, and extremes by the law of the bridge."""
    chances = _inside(shares(seed, name, (3, *drawn.tails.shape)))
    tails = drawn.tails if correlation >= 1 else given(drawn.tails, max(correlation, -1.0), chances[0])
    return _bridged(tails / math.sqrt(VARIANCE_OF_FOUR), chances[1], chances[2])


def _bridged(close: Floats, below: Floats, above: Floats) -> _Moves:
    """Add the extremes of a walk of variance 1 that ends where it does; `below`, `above`: the chances that they are drawn by."""
    low = (close - np.sqrt(close * close - 2 * np.log(below))) / 2
    high = (close + np.sqrt(close * close - 2 * np.log(above))) / 2
    return _Moves(low=low, high=high, close=close, ratio=close * close)


def _own(one: Series, days: Days, other: _Moves, name: str, seed: int) -> _Moves:
    """Return what the identity itself did on each drawn day, and the `other` moves where nobody knows."""
    places = np.searchsorted(one.return_days, days)
    there = places < len(one.returns)
    places = np.where(there, places, 0)
    there &= (one.return_days[places] == days) & np.isin(places, usable(one))
    expected = np.where(one.swings[:-1] > 0, one.swings[:-1], 1.0)
    before = one.closes[:-1]
    low = np.log(np.fmin(np.fmin(one.lows[1:], before), one.closes[1:]) / before) / expected
    high = np.log(np.fmax(np.fmax(one.highs[1:], before), one.closes[1:]) / before) / expected
    ranged = _Moves(low=low, high=high, close=one.returns / expected, ratio=(high - low) ** 2 / PARKINSON)
    chances = _inside(shares(seed, f"{name} between", (2, *days.shape)))
    bridged = _bridged(ranged.close[places], chances[0], chances[1])
    seen = _Moves(low=low[places], high=high[places], close=ranged.close[places], ratio=ranged.ratio[places])
    return seen.where(one.ranged[places], bridged).where(there, other)


def _usual(one: Series) -> float:
    """Return the mean of the variances that were expected of days."""
    return float(np.mean(one.swings**2))


def _walk(found: Floats, moves: _Moves, swing: float, usual: float) -> None:
    """Write the log moves of all paths (paths, steps, points): each day goes on where the last one ended, and swings as it did.

    `usual`: the variance of a day that paths go back to.
    """
    variance, at = np.full(found.shape[0], swing * swing), np.zeros(found.shape[0])
    for day in range(found.shape[1] - 1):
        expected = np.sqrt(variance)
        for point, part in enumerate((moves.low[day], moves.high[day], moves.close[day])):
            found[:, 1 + day, point] = at + part * expected
        if day == 0:
            found[:, 0] = found[:, 1] * HOUR
        at = found[:, 1 + day, POINTS - 1]
        variance = DECAY * variance + (1 - DECAY) * moves.ratio[day] * variance
        variance += REVERSION * (usual - variance)


def _inside(chances: Floats) -> Floats:
    """Keep chances off 0 and 1, where quantiles are infinite."""
    return np.clip(chances, 1e-9, 1 - 1e-9)
