"""Calm or stress, told from the last days and the moment alone: there is nothing to remember."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from aggregator.margin.estimate_policy import RegimePolicy
from aggregator.risk.correlation import average, weighted
from aggregator.risk.series import Series

FELL, CORRELATED, NOT_OK = "market_fell", "assets_correlated", "marks_not_ok"


def stressed_lately(free: Sequence[Series], last: int, policy: RegimePolicy) -> tuple[str, ...]:
    """Return why it is stress after day number `last`, nothing in calm; `free`: the assets that are pegged to nothing.

    Any of the last `calm_days` days is enough, so that stress ends after so many days in a row without it.
    """
    found = set()
    for day in range(last - policy.calm_days + 1, last + 1):
        moved = market_move(free, day)
        if moved is not None and moved < -policy.fall:
            found.add(FELL)
        together = average(weighted(free, day))
        if together is not None and together > policy.correlation:
            found.add(CORRELATED)
    return tuple(sorted(found))


def stressed_today(
    prices: Mapping[str, float | None],
    closes: Mapping[str, float],
    policy: RegimePolicy,
    doubtful: Collection[str] = (),
) -> tuple[str, ...]:
    """Return why it is stress at a moment of the day after the last one that is whole.

    `prices`: of each identity that should have one, `None` where it has none; `closes`: of the last whole day, of those that are
    pegged to nothing; `doubtful`: identities whose price is in a state that authorises nothing.
    """
    found = []
    moves = [price / closes[name] - 1 for name, price in prices.items() if price is not None and name in closes]
    if moves and float(np.median(moves)) < -policy.fall:
        found.append(FELL)
    not_ok = sum(price is None or name in doubtful for name, price in prices.items())
    if prices and not_ok > policy.not_ok * len(prices):
        found.append(NOT_OK)
    return tuple(found)


def market_move(free: Sequence[Series], day: int) -> float | None:
    """Return the median move of a day as a fraction of the price, `None` where nobody moved."""
    moves = [move for one in free if (move := _move(one, day)) is not None]
    return float(np.median(moves)) if moves else None


def _move(series: Series, day: int) -> float | None:
    place = int(np.searchsorted(series.return_days, day))
    if place == len(series.return_days) or series.return_days[place] != day:
        return None
    return float(np.expm1(series.returns[place]))
