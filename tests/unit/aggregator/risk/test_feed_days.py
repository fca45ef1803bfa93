"""Which days of feeds are whole, and what several feeds make of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from aggregator.margin.estimate_policy import DAY_S
from aggregator.risk.feed_days import FROM_FEEDS, Followed, combined, joined, whole_days
from aggregator.risk.series import PriceDay
from indexer.store import FeedDay

HOUR = 3600
THIS = 20_000


def said(day: int = THIS, *, close: float = 100.0, low: float = 90.0, high: float = 110.0) -> FeedDay:
    """A day with an answer an hour, ten blocks a day."""
    return FeedDay(
        feed=b"",
        day=day,
        close=close,
        low=low,
        high=high,
        last_at=(day + 1) * DAY_S - HOUR // 2,
        first_gap_s=HOUR,
        longest_gap_s=HOUR,
        first_block=10 * day,
        last_block=10 * day + 9,
    )


def whole(
    *days: FeedDay, time: int = (THIS + 9) * DAY_S, spans: tuple[tuple[int, int], ...] = ((0, 10**6),)
) -> set[int]:
    followed = Followed(time=time, block=10 * (THIS + 9), spans=spans)
    return set(whole_days(days, heartbeat_s=HOUR, followed=followed))


def test_a_day_is_whole_as_soon_as_it_is_over() -> None:
    assert whole(said(), time=(THIS + 1) * DAY_S) == {THIS}
    assert whole(said(), time=(THIS + 1) * DAY_S - 1) == set()


def test_the_first_day_of_a_feed_did_not_begin_with_it() -> None:
    assert whole(replace(said(), first_gap_s=None)) == set()


def test_a_feed_may_be_as_late_as_its_marks_may_and_not_later() -> None:
    late = 3600 * 1.1 + 60

    assert whole(replace(said(), longest_gap_s=int(late))) == {THIS}
    assert whole(replace(said(), longest_gap_s=int(late) + 1)) == set()
    assert whole(replace(said(), last_at=(THIS + 1) * DAY_S - int(late))) == {THIS}
    assert whole(replace(said(), last_at=(THIS + 1) * DAY_S - int(late) - 1)) == set()


def test_all_blocks_around_a_day_must_have_been_followed() -> None:
    before, after = said(THIS - 1), said(THIS + 1)
    edges = (before.last_block, after.first_block)

    assert THIS in whole(before, said(), after, spans=(edges,))
    assert THIS not in whole(before, said(), after, spans=((edges[0] + 1, edges[1]),))
    assert THIS not in whole(before, said(), after, spans=((edges[0], edges[1] - 1),))
    assert whole(before, said(), after, spans=()) == set()


def test_a_day_without_an_answer_is_missing() -> None:
    assert whole(said(THIS), said(THIS + 2)) == {THIS, THIS + 2}


def test_several_feeds_make_the_median_of_closes_and_the_middle_of_extremes_that_is_further_out() -> None:
    two = [{THIS: said(close=100, low=90, high=110)}, {THIS: said(close=104, low=70, high=140)}]
    three = [*two, {THIS: said(close=500, low=1, high=900)}, {THIS + 1: said(THIS + 1)}]
    day = date.fromordinal(date(1970, 1, 1).toordinal() + THIS)

    assert combined(two) == [PriceDay(day, 102.0, 70.0, 140.0, FROM_FEEDS)]
    assert combined(three)[0] == PriceDay(day, 104.0, 70.0, 140.0, FROM_FEEDS)
    assert len(combined(three)) == 2


def test_spans_that_touch_are_one() -> None:
    assert joined([(5, 9), (1, 4), (12, 13), (8, 10)]) == [(1, 10), (12, 13)]
