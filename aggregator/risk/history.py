"""The price history of one asset by days, and what models see of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


class BadHistory(Exception):
    """A price history that is none; the message says what is wrong, and on which day."""


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """The last price of each day in USD, from day `first` on, without a gap."""

    asset: str
    first: date
    closes: Floats

    @cached_property
    def returns(self) -> Floats:
        """The natural logarithm of each day's price over that of the day before; one less than there are days."""
        return np.diff(np.log(self.closes))

    @property
    def last(self) -> date:
        """The last day."""
        return self.day(len(self.closes) - 1)

    def day(self, number: int) -> date:
        """Return the day of a price by its number."""
        return self.first + timedelta(days=number)


def history_of(asset: str, days: Sequence[date], closes: Sequence[float]) -> History:
    """Take days with their prices, oldest first; raises `BadHistory` for a gap, a day that comes twice, and a price that is none."""
    if len(days) < 2:  # noqa: PLR2004 - a return needs two prices
        raise BadHistory(f"{asset}: {len(days)} days are no history")
    for before, day in pairwise(days):
        if day - before != timedelta(days=1):
            raise BadHistory(
                f"{asset}: {day} follows {before}; give every day once, oldest first, and fill no gap with a guess"
            )
    for day, close in zip(days, closes, strict=True):
        if not (math.isfinite(close) and close > 0):
            raise BadHistory(f"{asset}: the price of {day} is {close}")
    return History(asset=asset, first=days[0], closes=np.asarray(closes, np.float64))
