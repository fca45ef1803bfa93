"""How far prices fall within a day, lows included, in the deviations that were expected of the day."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from aggregator.risk.breach import minima_of
from aggregator.risk.series import Series

FEWEST = 500
"""Days of all assets together; of fewer nothing is concluded."""


def minima(series: Iterable[Series]) -> tuple[float, ...]:
    """Return one quantile for each of `aggregator.risk.grid.CHANCES`, pooled over assets; none where too few lows are known."""
    pool = np.concatenate([np.empty(0), *(one.depths for one in series)])
    return minima_of(pool) if len(pool) >= FEWEST else ()
