"""Forecasts by paths, walked forward over walks whose chances are known, and over real prices."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from aggregator.risk.announced import DISTANCES, Announcing, announced
from aggregator.risk.history import BadHistory
from aggregator.risk.series import series_of_bars
from crossmargin.histories import read_bars
from tests.support.walks import walks

PRICES = Path(__file__).parents[5] / "shared" / "fixtures" / "prices"
ASSETS = ("btc", "eth", "sol", "bnb", "link")

WEEK = {None: ((0.14, 0.30), (1.09, 2.02), (3.3, 3.8)), 500: ((0.07, 0.53), (1.15, 3.18), (3.3, 5.0))}
"""By pool: percent announced and come true below 0.5 %, below 2 % and below 5 %, as once measured with other code."""

real = pytest.mark.skipif(not PRICES.is_dir(), reason="the price history is other people's data, and not here")


@pytest.mark.parametrize("days", [1, 7])
def test_of_a_walk_with_known_chances_as_many_come_true_as_are_announced(days: int) -> None:
    walked = [series_of_bars(each) for each in walks("AB", 1200, seed=3)]

    found = announced(walked, Announcing(days=days))

    assert found.holds
    assert found.cases == 2 * len(range(500, 1200 - days + 1, days)) * len(DISTANCES)
    assert found.brier < found.climate


def test_a_model_that_is_wrong_on_purpose_is_found_out() -> None:
    walked = [series_of_bars(each) for each in walks("ABCD", 1200, seed=3)]

    assert not announced(walked, Announcing(days=1, stretch=0.7)).holds


def test_nothing_is_judged_outside_of_what_was_asked_for() -> None:
    [walked] = [series_of_bars(each) for each in walks("A", 700)]

    found = announced([walked], Announcing(days=7, since=date(2021, 8, 1), until=date(2021, 8, 31)))

    assert found.first >= date(2021, 7, 31)
    with pytest.raises(BadHistory, match="nothing to judge"):
        announced([walked], Announcing(days=7, since=date(2031, 1, 1)))
    with pytest.raises(ValueError, match="1 to 7 days"):
        Announcing(days=8)
    with pytest.raises(ValueError, match="500 days at least"):
        Announcing(days=1, pool=100)


@real
def test_no_class_of_a_day_is_wrong_by_more_than_a_factor_of_two() -> None:
    found = announced(
        [series_of_bars(read_bars(PRICES / f"a_{each}_usd_1d.csv")) for each in ASSETS], Announcing(days=1)
    )

    judged = [each for each in found.classes if each.announced >= 0.002]
    assert len(judged) == 7
    assert all(0.5 <= each.realised / each.announced <= 2 for each in judged)
    assert found.holds
    assert found.brier < 0.051


@real
@pytest.mark.parametrize("pool", WEEK)
def test_the_week_is_as_it_was_measured(pool: int | None) -> None:
    series = [series_of_bars(read_bars(PRICES / f"a_{each}_usd_1d.csv")) for each in ASSETS]
    found = announced(series, Announcing(days=7, pool=pool))

    groups = [(0.0, 0.005), (0.005, 0.02), (0.02, 0.05)]
    for (low, high), (said, came) in zip(groups, WEEK[pool], strict=True):
        own = [each for each in found.classes if low <= each.low and each.high <= high]
        cases = sum(each.cases for each in own)
        # Other distances and other variances: announced to a tenth of a point, come true to two points, as cases of one week go together.
        assert 100 * sum(each.cases * each.announced for each in own) / cases == pytest.approx(said, abs=0.11)
        assert 100 * sum(each.cases * each.realised for each in own) / cases == pytest.approx(came, abs=2.2)
    assert found.brier == pytest.approx(0.1148, abs=0.0015)


def test_a_week_is_judged_from_the_first_to_the_last_day_that_was_asked_for() -> None:
    [walked] = [series_of_bars(each) for each in walks("A", 700)]
    whole = announced([walked], Announcing(days=7))
    ends = whole.last + timedelta(days=7)

    begins = whole.first + timedelta(days=1)

    assert announced([walked], Announcing(days=7, since=begins, until=ends)) == whole
    assert announced([walked], Announcing(days=7, since=begins + timedelta(days=1))).cases == whole.cases - len(
        DISTANCES
    )
    assert announced([walked], Announcing(days=7, until=ends - timedelta(days=1))).cases == whole.cases - len(DISTANCES)
