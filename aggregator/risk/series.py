"""What is known of an identity's prices by days, gaps and all, and which days' moves it tells."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from aggregator.risk.bars import DECAY, Bars
from aggregator.risk.history import Floats
from aggregator.risk.models import WINDOW

Days: TypeAlias = npt.NDArray[np.int64]
"""Days by their number, as `date.toordinal` has it."""

LONGEST_GAP = 7
"""Days; what lies before a longer gap is not joined to what comes after."""


class PriceDay(NamedTuple):
    """The last, lowest and highest price of a UTC day in USD; `source`: who said so."""

    day: date
    close: float
    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Prices of an identity by ascending `days`, with gaps of up to `LONGEST_GAP` days; `lows` and `highs` are NaN where nobody said."""

    identity: str
    days: Days
    closes: Floats
    lows: Floats
    highs: Floats

    @cached_property
    def returns(self) -> Floats:
        """Log returns; one over a gap counts whole, as one day's: what moved in between is neither dropped nor spread."""
        return np.diff(np.log(self.closes))

    @property
    def return_days(self) -> Days:
        return self.days[1:]

    @cached_property
    def consecutive(self) -> npt.NDArray[np.bool_]:
        """Which returns are of one day."""
        return np.asarray(np.diff(self.days) == 1, np.bool_)

    @cached_property
    def ranged(self) -> npt.NDArray[np.bool_]:
        """Which returns are of one day of which the lowest and the highest price are known."""
        return np.asarray(self.consecutive & ~np.isnan(self.lows[1:]) & ~np.isnan(self.highs[1:]), np.bool_)

    @cached_property
    def swings(self) -> Floats:
        """The deviation that was expected of each return, and that of the day to come, from ranges (see `aggregator.risk.bars`).

        A day without a range moved as far as its last price says.
        """
        before, after = self.closes[:-1], self.closes[1:]
        highs = np.log(np.fmax(np.fmax(self.highs[1:], after), before))
        ranges = highs - np.log(np.fmin(np.fmin(self.lows[1:], after), before))
        variances = np.where(self.ranged, ranges**2 / (4 * math.log(2)), self.returns**2)
        expected = float(np.mean(variances[:WINDOW]))
        found = [expected]
        for variance in variances.tolist():
            expected = DECAY * expected + (1 - DECAY) * variance
            found.append(expected)
        return np.asarray(np.sqrt(np.array(found)), np.float64)

    @cached_property
    def depths(self) -> Floats:
        """How far single days with a range fell below the price that they began with, in the deviations that were expected of them."""
        expected = self.swings[:-1]
        known = self.ranged & (expected > 0)
        lows = np.minimum(self.lows[1:], self.closes[:-1])
        return np.asarray(np.log(self.closes[:-1][known] / lows[known]) / expected[known], np.float64)

    @property
    def last(self) -> date:
        return date.fromordinal(int(self.days[-1]))

    def until(self, day: date) -> Series:
        """Return what is known up to a day."""
        count = int(np.searchsorted(self.days, day.toordinal(), side="right"))
        return replace(
            self, days=self.days[:count], closes=self.closes[:count], lows=self.lows[:count], highs=self.highs[:count]
        )

    def digest(self) -> str:
        """Return the hash of all that is in it."""
        body = hashlib.sha256(self.identity.encode())
        for array in (self.days, self.closes, self.lows, self.highs):
            body.update(np.ascontiguousarray(array).tobytes())
        return body.hexdigest()


def series_of(identity: str, days: Iterable[PriceDay]) -> Series | None:
    """Take days with positive prices, each once, in any order; `None` for less than two that hang together."""
    ordered = _joined(sorted(days))
    if len(ordered) < 2:  # noqa: PLR2004 - a return needs two prices
        return None
    return Series(
        identity=identity,
        days=np.array([item.day.toordinal() for item in ordered], np.int64),
        closes=np.array([item.close for item in ordered], np.float64),
        lows=np.array([np.nan if item.low is None else item.low for item in ordered], np.float64),
        highs=np.array([np.nan if item.high is None else item.high for item in ordered], np.float64),
    )


def series_of_bars(bars: Bars) -> Series:
    """Take a history without gaps."""
    first = bars.history.first.toordinal()
    return Series(
        identity=bars.history.asset,
        days=np.arange(first, first + len(bars.history.closes), dtype=np.int64),
        closes=bars.history.closes,
        lows=bars.lows,
        highs=bars.highs,
    )


def _joined(ordered: Sequence[PriceDay]) -> Sequence[PriceDay]:
    """Return the days after the last gap that is too long."""
    for place in range(len(ordered) - 1, 0, -1):
        if (ordered[place].day - ordered[place - 1].day).days > LONGEST_GAP + 1:
            return ordered[place:]
    return ordered


def rated(identity: str, base: Series, rates: Mapping[int, float]) -> Series:
    """Return what an identity that is redeemed for another one is worth: the base's prices, times the rate of each day (number → rate).

    Days of which no rate is known take the next one that is, and the last one after that: rates creep, and what is asked of
    them here is how prices move.
    """
    factors = _factors(base.days, rates)
    lows, highs = base.lows * factors, base.highs * factors
    return Series(identity=identity, days=base.days, closes=base.closes * factors, lows=lows, highs=highs)


def _factors(days: Days, rates: Mapping[int, float]) -> Floats:
    if not rates:
        return np.ones(len(days))
    known = np.array(sorted(rates), np.int64)
    values = np.array([rates[day] for day in known.tolist()], np.float64)
    return values[np.minimum(np.searchsorted(known, days), len(known) - 1)]
