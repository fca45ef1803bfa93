"""Beyond the haircut, how far? Expected shortfall as filtered simulation announces it, and whether it was enough.

Source: Acerbi and Szekely (2014), their second test: Z₂ = 1 − Σ fall · [beyond] / (n · tail · expected shortfall), 0 on average of a right
model and negative where falls are deeper or more. How unlikely a value is, is told by drawing from the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.risk.draws import shares
from aggregator.risk.history import Floats
from aggregator.risk.models import SLOW, TAIL, WINDOW, deviations, fall, residuals

DRAWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """`z2`: see the module; `p`: the chance of one as low of a model that is right."""

    z2: float
    p: float


def shortfall(returns: Floats) -> Shortfall:
    """Judge filtered simulation's expected shortfall over the days from `WINDOW` on (n > 0)."""
    pool, swings = residuals(returns), deviations(returns, SLOW)[WINDOW:-1]
    windows = np.lib.stride_tricks.sliding_window_view(pool[:-1], WINDOW)
    limits = np.quantile(windows, TAIL, axis=1)
    beyond = windows <= limits[:, None]
    haircuts = fall(limits * swings)
    deep = np.array(
        [fall(window[hit] * swing).mean() for window, hit, swing in zip(windows, beyond, swings, strict=True)]
    )
    falls = fall(returns[WINDOW:])
    seen = _z2(falls, haircuts, deep)
    lower = 0
    days = np.arange(len(windows))
    for draw in range(DRAWS):
        drawn = windows[days, (shares(draw, "shortfall", (len(windows),)) * WINDOW).astype(np.int64)]
        lower += _z2(fall(drawn * swings), haircuts, deep) <= seen
    return Shortfall(z2=seen, p=(lower + 1) / (DRAWS + 1))


def _z2(falls: Floats, haircuts: Floats, deep: Floats) -> float:
    hit = falls > haircuts
    return 1 - float(np.sum(falls[hit] / deep[hit])) / (len(falls) * TAIL)
