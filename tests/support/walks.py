"""Price histories that are walks at random, with the lowest and highest price of each day drawn exactly."""

from __future__ import annotations

from datetime import date

import numpy as np

from aggregator.risk.bars import Bars
from aggregator.risk.history import Floats, History

FIRST = date(2020, 1, 1)


def walks(names: str, days: int, *, deviation: float = 0.03, shared: float = 0.7, seed: int = 3) -> list[Bars]:
    """Return a history for each letter, of days whose log return has the same `deviation`, and each two the correlation `shared`."""
    chance = np.random.default_rng(seed)
    common = chance.normal(size=days)
    found = []
    for name in names:
        returns = deviation * (np.sqrt(shared) * common + np.sqrt(1 - shared) * chance.normal(size=days))
        found.append(bars_of(name, returns, deviation, chance))
    return found


def bars_of(name: str, returns: Floats, deviation: float, chance: np.random.Generator) -> Bars:
    """Draw the lowest and the highest price of a Brownian day that ends where it ends (a bridge from 0 to the day's return)."""
    low, high = (_extreme(sign * returns, deviation, chance) * sign for sign in (1, -1))
    before = np.exp(np.concatenate([[0.0], np.cumsum(returns)[:-1]]))
    closes = np.concatenate([[1.0], before * np.exp(returns)])
    return Bars(
        history=History(asset=name, first=FIRST, closes=100 * closes),
        lows=100 * np.concatenate([[1.0], np.minimum(before * np.exp(low), closes[1:])]),
        highs=100 * np.concatenate([[1.0], np.maximum(before * np.exp(high), closes[1:])]),
    )


def _extreme(ends: Floats, deviation: float, chance: np.random.Generator) -> Floats:
    """The minimum of a Brownian bridge: (x − √(x² − 2σ² ln U)) / 2."""
    drawn = chance.uniform(1e-300, 1, len(ends))
    return (ends - np.sqrt(ends * ends - 2 * deviation * deviation * np.log(drawn))) / 2
