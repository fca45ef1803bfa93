"""What the feeds of an identity said by days becomes its prices by days: whole days alone, and no guess for the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median, median_high, median_low
from typing import Protocol, TypeVar

from aggregator.margin.estimate_policy import DAY_S
from aggregator.risk.series import PriceDay

EPOCH = date(1970, 1, 1).toordinal()
FROM_FEEDS = "feeds"

LATE_FACTOR, LATE_S = 1.1, 60
"""A feed is late beyond its heartbeat times this and so many seconds, as for marks."""


class Said(Protocol):
    """What one feed said on one day; see `indexer.store.histories.FeedDay`."""

    @property
    def day(self) -> int: ...
    @property
    def close(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def last_at(self) -> int: ...
    @property
    def longest_gap_s(self) -> int | None: ...
    @property
    def first_gap_s(self) -> int | None: ...
    @property
    def first_block(self) -> int: ...
    @property
    def last_block(self) -> int: ...


S = TypeVar("S", bound=Said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Until which `time` (Unix seconds) and block a chain is final, and which spans of blocks (first, last) its feeds were followed in."""

    time: int
    block: int
    spans: Sequence[tuple[int, int]]

    def covers(self, first: int, last: int) -> bool:
        return any(span[0] <= first and last <= span[1] for span in self.spans)


def whole_days(said: Sequence[S], *, heartbeat_s: int, followed: Followed) -> dict[int, S]:
    """Return the days (since 1970) of one feed that are known from end to end, by ascending `said`.

    A day is whole where it ended by the time until which the chain is final, the feed was never silent for longer than it promises, from
    the last answer before the day to its end, and all blocks up to the first answer after it were followed.
    """
    late_s = heartbeat_s * LATE_FACTOR + LATE_S
    found = {}
    for place, one in enumerate(said):
        end = (one.day + 1) * DAY_S
        spoke = one.first_gap_s is not None and max(one.longest_gap_s or 0, end - one.last_at) <= late_s
        first = said[place - 1].last_block if place else one.first_block
        last = said[place + 1].first_block if place + 1 < len(said) else followed.block
        if end <= followed.time and spoke and followed.covers(first, last):
            found[one.day] = one
    return found


def combined(feeds: Iterable[Mapping[int, Said]]) -> list[PriceDay]:
    """Return one price a day from those of all feeds of an identity: the median of closes, the outer middle ones of lows and highs."""
    by_day: dict[int, list[Said]] = {}
    for feed in feeds:
        for day, one in feed.items():
            by_day.setdefault(day, []).append(one)
    return [
        PriceDay(
            date.fromordinal(EPOCH + day),
            median(one.close for one in said),
            median_low(one.low for one in said),
            median_high(one.high for one in said),
            FROM_FEEDS,
        )
        for day, said in sorted(by_day.items())
    ]


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans (first, last) that touch or overlap."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
