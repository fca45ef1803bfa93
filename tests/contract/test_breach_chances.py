"""The chance of a breach on six years of real prices: learnt before 2024, and judged after."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import pytest

from aggregator.risk.bars import Bars
from aggregator.risk.reliability import Reliability, reliability
from crossmargin.histories import read_bars

PRICES = Path(__file__).parents[3] / "shared" / "fixtures" / "prices"
ASSETS = ("btc", "eth", "sol", "bnb", "link")
NEW_YEAR = date(2024, 1, 1)

pytestmark = pytest.mark.skipif(not PRICES.is_dir(), reason="the price history is other people's data, and not here")


@cache
def histories() -> tuple[Bars, ...]:
    return tuple(read_bars(PRICES / f"a_{asset}_usd_1d.csv") for asset in ASSETS)


def judged(stretch: float = 1.0) -> Reliability:
    return reliability(histories(), since=NEW_YEAR, stretch=stretch)


def test_chances_learnt_before_2024_came_true_after() -> None:
    found = judged()

    assert found.holds
    assert found.cases == 27_600
    assert found.brier < 0.72 * found.climate
    assert all(abs(each.deviations) < 1.5 for each in found.classes)


def test_closing_prices_alone_would_tell_less() -> None:
    assert judged().brier < 0.0761


@pytest.mark.parametrize("stretch", [0.7, 1.4])
def test_a_model_that_is_wrong_on_purpose_fails_the_same_test(stretch: float) -> None:
    assert not judged(stretch).holds
