"""How far below its worth something was seen that should be worth a dollar, or what it is redeemed for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aggregator.risk.history import Floats
from aggregator.risk.series import Series

RARE = 0.995
"""The quantile of all days' discounts that counts at least."""

FEWEST = 60
"""Days; of fewer nothing is concluded."""


class Discount(NamedTuple):
    """The layer of a peg as a fraction of the price, and the last day it rests on, by its number."""

    fall: float
    last: int
    basis: str


def below_a_dollar(series: Series, share: float) -> Discount | None:
    """Return the larger of the rare discount of closes and `share` of the worst that ever was, lows included."""
    lows = np.where(np.isnan(series.lows), series.closes, np.minimum(series.lows, series.closes))
    return _discount(1 - series.closes, 1 - lows, int(series.days[-1]), share, "usd")


def below_fair(series: Series, fair: Series, share: float) -> Discount | None:
    """Return the same against what it is redeemed for, on the days that both are known of.

    Lows are left out: those of the two are not of the same moment.
    """
    days, ours, theirs = np.intersect1d(series.days, fair.days, return_indices=True)
    if len(days) == 0:
        return None
    discounts = 1 - series.closes[ours] / fair.closes[theirs]
    return _discount(discounts, discounts, int(days[-1]), share, "redemption")


def _discount(closes: Floats, lows: Floats, last: int, share: float, basis: str) -> Discount | None:
    if len(closes) < FEWEST:
        return None
    fall = max(0.0, float(np.quantile(closes, RARE)), share * float(lows.max()))
    return Discount(min(fall, 1.0), last, basis)
