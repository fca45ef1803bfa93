"""Windows of days that a store has prices of: what each identity did in them, the worst of them, and what a late oracle showed meanwhile.

Moves are of closes and lows in USD, relative to the close of a window's first day. An identity is measured only where every day of the
window is known, with its lowest price; the others follow by the rule of windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from aggregator.risk.history import Floats
from aggregator.risk.scenarios import (
    Held,
    Library,
    Moves,
    Scenario,
    ScenarioError,
    Severity,
    Window,
    in_window,
)
from aggregator.risk.series import Series

DAY_H = 24
LONGEST_LAG_H = 7 * DAY_H


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The close of one day of a window: what prices did by then, and what was shown of them by who is late."""

    day: date
    market: Scenario
    shown: Scenario


def worst(series: Mapping[str, Series], market: str, days: int) -> Window:
    """Return the so many consecutive days over which the market fell the most, by closes; of equal ones the first.

    Raises `ScenarioError` where no so many days of it are known.
    """
    one = series.get(market)
    if one is None or len(one.days) <= days:
        raise ScenarioError(
            f"less than {days + 1} days of {market} are known; `crossmargin prices import` takes them in"
        )
    whole = one.days[days:] - one.days[:-days] == days
    if not whole.any():
        raise ScenarioError(f"no {days + 1} days of {market} without a gap are known")
    falls = np.where(whole, one.closes[days:] / one.closes[:-days], np.inf)
    begins = date.fromordinal(int(one.days[int(np.argmin(falls))]))
    first, last = begins, begins + timedelta(days=days)
    return Window(
        id=f"worst-{days}d",
        name=f"The worst {days} consecutive days of {market}" if days > 1 else f"The worst day of {market}",
        first=first,
        last=last,
        source=f"days that are known of {market}: {one.days.size} up to {one.last.isoformat()}",
        moves=measured(series, first, last),
    )


def measured(series: Mapping[str, Series], first: date, last: date) -> dict[str, Moves]:
    """Return the moves of every identity of which all days are known, lows of all but the first included."""
    found = {}
    for name, one in sorted(series.items()):
        begin = _place(one, first, last)
        if begin is None:
            continue
        closes = one.closes[begin : begin + (last - first).days + 1]
        lows = np.minimum(one.lows[begin + 1 : begin + len(closes)], closes[1:])
        if np.isnan(lows).any():
            continue
        found[name] = Moves(
            day=float(np.min(closes[1:] / closes[:-1])) - 1,
            close=float(np.min(closes[1:]) / closes[0]) - 1,
            low=float(np.min(lows) / closes[0]) - 1,
        )
    return found


def lagging(
    library: Library, window: Window, held: Sequence[Held], series: Mapping[str, Series], lag_h: float
) -> tuple[Moment, ...]:
    """Return each day of a window as the market closed it, and as who is so many hours late showed it then.

    Between two closes a price goes evenly, in logs. Raises `ScenarioError` for a lag that cannot be, and where the days of the market, and
    those before that a lag reaches back to, are not known.
    """
    if not 0 <= lag_h <= LONGEST_LAG_H:
        raise ScenarioError(f"prices are 0 to {LONGEST_LAG_H} hours late, not {lag_h}")
    before = window.first - timedelta(days=math.ceil(lag_h / DAY_H))
    known = {name: _closes(one, before, window.last) for name, one in series.items()}
    paths = {name: closes for name, closes in known.items() if closes is not None}
    if library.mapping.market not in paths:
        raise ScenarioError(
            f"not every day of {library.mapping.market} from {before} to {window.last} is known; "
            "`crossmargin prices import` takes them in"
        )
    origin = (window.first - before).days
    return tuple(
        Moment(
            day=window.first + timedelta(days=number),
            market=_closed(library, window, held, _at(paths, origin, float(origin + number))),
            shown=_closed(library, window, held, _at(paths, origin, origin + number - lag_h / DAY_H)),
        )
        for number in range(1, (window.last - window.first).days + 1)
    )


def _at(paths: Mapping[str, Floats], origin: int, place: float) -> dict[str, float]:
    """Return what each identity did from the close of the window's first day to a place among its days."""
    moves = {}
    for name, logs in paths.items():
        low = math.floor(place)
        part = place - low
        reached = logs[low] if part == 0 else logs[low] + part * (logs[low + 1] - logs[low])
        moves[name] = math.exp(float(reached - logs[origin])) - 1
    return moves


def _closed(library: Library, window: Window, held: Sequence[Held], moves: Mapping[str, float]) -> Scenario:
    told = {name: Moves(day=move, close=move, low=move) for name, move in moves.items()}
    made = Window(
        id=window.id, name=window.name, first=window.first, last=window.last, source=window.source, moves=told
    )
    return in_window(library, made, Severity.CLOSE, held)


def _closes(one: Series, first: date, last: date) -> Floats | None:
    """Return the logs of closes of all days, `None` where one is not known."""
    begin = _place(one, first, last)
    return None if begin is None else np.log(one.closes[begin : begin + (last - first).days + 1])


def _place(one: Series, first: date, last: date) -> int | None:
    """Return where a stretch begins, `None` where a day of it is not known."""
    begin, count = int(np.searchsorted(one.days, first.toordinal())), (last - first).days
    whole = begin + count < len(one.days) and one.days[begin] == first.toordinal()
    return begin if whole and one.days[begin + count] == last.toordinal() else None
