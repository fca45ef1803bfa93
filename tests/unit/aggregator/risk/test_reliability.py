"""Announced chances beside what days did, on walks whose chances are known."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from statistics import NormalDist

import numpy as np
import pytest

from aggregator.risk.bars import Bars
from aggregator.risk.history import BadHistory, History
from aggregator.risk.reliability import DISTANCES, Class, reliability
from tests.support.walks import FIRST, walks


def test_of_a_walk_with_known_chances_as_many_come_true_as_are_announced() -> None:
    found = reliability(walks("ABCD", 1800, seed=3))

    assert found.holds
    assert [each.telling for each in found.classes].count(True) >= 4
    assert found.cases == 4 * (1800 - 500) * len(DISTANCES)
    assert (found.first, found.last) == (FIRST + timedelta(days=501), FIRST + timedelta(days=1800))
    assert found.brier < 0.9 * found.climate


@pytest.mark.parametrize("stretch", [0.75, 1.35])
def test_a_model_that_is_wrong_on_purpose_is_found_out(stretch: float) -> None:
    found = reliability(walks("ABCD", 1800, seed=3), stretch=stretch)

    assert not found.holds
    assert any(each.telling and not each.holds for each in found.classes)


def test_what_is_announced_is_the_chance_of_the_walk() -> None:
    deviation = 0.03
    known = {round(2 * NormalDist().cdf(math.log1p(-distance) / deviation), 4) for distance in DISTANCES[:4]}
    found = reliability(walks("ABCDEFGH", 1500, deviation=deviation, shared=0.0))

    for chance in known:
        (held,) = [each for each in found.classes if each.low <= chance < each.high]
        assert held.realised == pytest.approx(chance, rel=0.35)


def test_days_outside_of_the_asked_ones_are_learnt_from_and_not_judged() -> None:
    found = reliability(walks("AB", 900), since=date(2021, 8, 1), until=date(2021, 8, 31))

    assert (found.first, found.last, found.cases) == (date(2021, 8, 1), date(2021, 8, 31), 31 * 2 * len(DISTANCES))


def test_what_comes_later_changes_nothing_that_was_announced() -> None:
    long, short = walks("A", 900), [walks("A", 900)[0].since(0)]
    cut = Bars(
        history=History(asset="A", first=FIRST, closes=short[0].history.closes[:700]),
        lows=short[0].lows[:700],
        highs=short[0].highs[:700],
    )

    assert reliability(long, until=FIRST + timedelta(days=699)) == reliability([cut])


def test_too_few_days_are_no_ground_to_judge() -> None:
    with pytest.raises(BadHistory, match="A, B: no day to judge; a day needs 500 days"):
        reliability(walks("AB", 300))


def test_the_deviation_of_ranges_is_that_of_the_walk() -> None:
    (bars,) = walks("A", 2000, deviation=0.03)

    assert float(np.mean(bars.swings)) == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("low, high", [(101.0, 102.0), (99.0, 99.5), (0.0, 101.0), (99.0, math.inf)])
def test_days_that_contradict_themselves_are_refused(low: float, high: float) -> None:
    with pytest.raises(BadHistory, match="A: 2020-01-02 has a low of"):
        Bars(
            history=History(asset="A", first=FIRST, closes=np.array([100.0, 100.0])),
            lows=np.array([100.0, low]),
            highs=np.array([100.0, high]),
        )


def test_an_asset_that_came_later_is_judged_once_it_has_days_of_its_own() -> None:
    first, second = walks("AB", 900)
    late = Bars(
        history=History(asset="B", first=FIRST + timedelta(days=300), closes=second.history.closes[300:]),
        lows=second.lows[300:],
        highs=second.highs[300:],
    )

    found = reliability([first, late])

    assert found.cases == (400 + 100) * len(DISTANCES)  # each has learnt from 500 days: days 501 to 900, and 801 to 900


@pytest.mark.parametrize("announced, realised", [(0.05, 0.0), (0.0, 0.05)])
def test_a_class_tells_something_from_five_breaches_on_that_were_or_should_have_been(
    announced: float, realised: float
) -> None:
    some = Class(low=0.0, high=0.1, cases=100, days=100, announced=announced, realised=realised)

    assert some.telling
    assert not replace(some, days=99).telling
