"""How prices went within the window, as far as the past of the observations tells it: derived anew for each answer, kept nowhere."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from aggregator.oracle.observation import MAX_CONFIDENCE, WINDOW_S, Observation, Path, Reading
from aggregator.oracle.weights import Middle


def accepted(observation: Observation, now: int) -> Path:
    """Return what an observation said within the window and could be used, after the last before it; the present price is the last."""
    if observation.reading is None:
        return ()
    known = [
        (reading.updated_at, reading.price)
        for reading in (*observation.past, observation.reading)
        if reading.updated_at <= now and sound(reading, observation.max_confidence)
    ]
    return within(tuple(known), now, WINDOW_S)


def sound(reading: Reading, max_confidence: float | None) -> bool:
    """Whether an answer is positive, with no interval or one that is believed."""
    if reading.answer_raw <= 0:
        return False
    if reading.confidence_raw is None:
        return True
    limit = MAX_CONFIDENCE if max_confidence is None else max_confidence
    return 0 <= reading.confidence_raw / reading.answer_raw <= limit


def path_of(steps: Sequence[Path], weighing: Sequence[int], middle: Middle) -> Path:
    """Return since when which price was the middle; before an observation's first known answer the others decide without it."""
    if len(steps) == 1:
        return steps[0]
    times = sorted({time for each in steps for time, _ in each})
    columns = [_at(each, times) for each in steps]
    rows = zip(*columns, strict=True)
    found: list[tuple[int, float]] = []
    for time, row in zip(times, rows, strict=True):
        known = [place for place, price in enumerate(row) if price is not None]
        prices = [price for price in row if price is not None]
        found.append((time, middle(prices, [weighing[place] for place in known])))
    return tuple(found)


def _at(steps: Path, times: Sequence[int]) -> list[float | None]:
    """Return what was the price at each of some times, `None` before the first."""
    since = [time for time, _ in steps]
    prices = [price for _, price in steps]
    return [prices[place - 1] if (place := bisect_right(since, time)) else None for time in times]


def within(path: Path, now: int, length_s: int) -> Path:
    """Return the part of a path that a window sees, its first step being the last one at or before its start."""
    start, first = now - length_s, len(path) - 1
    while first > 0 and path[first][0] > start:
        first -= 1
    return path[max(first, 0) :]


def twap(path: Path, now: int, length_s: int) -> float | None:
    """Return the mean price over the last so many seconds, `None` where the path begins later than they do."""
    seen = within(path, now, length_s)
    if not seen or seen[0][0] > now - length_s:
        return None
    ends = [(max(time, now - length_s), price) for time, price in seen]
    weighed = [(after - time) * price for (time, price), (after, _) in pairwise([*ends, (now, 0.0)])]
    prices = [price for _, price in seen]
    return min(max(math.fsum(weighed) / length_s, min(prices)), max(prices))
