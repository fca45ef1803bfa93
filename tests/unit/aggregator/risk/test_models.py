"""Haircut models on series of which is known what they must give."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.risk import models
from aggregator.risk.backtest import backtest
from aggregator.risk.history import BadHistory, History
from aggregator.risk.models import MODELS, WINDOW, Publishing, deviations, publish

FIRST = date(2020, 1, 1)


def history(returns: np.ndarray) -> History:
    return History(asset="X", first=FIRST, closes=100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)])))


def normal_days(seed: int, days: int = 4000, deviation: float = 0.03) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, days)


def turbulent_days(seed: int, days: int = 4000) -> np.ndarray:
    """Fat tails, and days of much and of little movement that come together."""
    generator = np.random.default_rng(seed)
    variance, found = 9e-4, np.empty(days)
    for day in range(days):
        found[day] = generator.standard_t(4) / np.sqrt(2) * np.sqrt(variance)
        variance = 2e-5 + 0.9 * variance + 0.08 * min(found[day] ** 2, 0.02)
    return found


@pytest.mark.parametrize("model", MODELS)
def test_no_model_knows_of_the_day_that_it_is_for(model: str) -> None:
    days = turbulent_days(1, 700)
    whole = MODELS[model](days)

    assert len(whole) == len(days) - WINDOW
    changed = days.copy()
    changed[600:] = -0.5
    assert MODELS[model](changed)[: 600 - WINDOW + 1] == pytest.approx(whole[: 600 - WINDOW + 1], abs=1e-12)
    assert MODELS[model](changed)[600 - WINDOW + 1] > whole[600 - WINDOW + 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", ["fhs", "fhs-expanding", "historical", "ewma-normal"])
def test_normal_days_go_beyond_as_often_as_announced(seed: int, model: str) -> None:
    found = backtest(history(normal_days(seed)), model).coverage

    assert found.rate == pytest.approx(0.01, abs=0.006)


@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_thin_tails_is_found_out_where_tails_are_fat(seed: int) -> None:
    found = history(turbulent_days(seed))

    assert backtest(found, "fhs").coverage.holds()
    assert not backtest(found, "ewma-normal").coverage.holds()


def test_a_model_that_is_wrong_on_purpose_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "half", lambda returns: models.filtered(returns) / 2)
    found = backtest(history(normal_days(7)), "half")

    assert not found.coverage.holds()
    assert found.coverage.rate > 0.05


def test_haircuts_and_falls_stand_at_their_days() -> None:
    days = normal_days(3, 600, 0.01)
    days[-1] = np.log(0.5)
    found = backtest(history(days), "historical", since=date(2021, 8, 1))

    assert found.last == date(2021, 8, 23)
    assert found.first == date(2021, 8, 1)
    assert found.coverage.days == 23
    assert found.worst_beyond == pytest.approx(0.5 - found.mean_haircut, abs=0.005)


def test_the_deviation_forgets_as_it_should() -> None:
    days = np.concatenate([np.full(1000, 0.0), [0.1], np.zeros(23)])
    found = deviations(days, 0.97)

    assert found[1001] == pytest.approx(0.1 * np.sqrt(0.03), rel=1e-6)
    assert (found[1024] / found[1001]) ** 2 == pytest.approx(0.5, abs=0.01)


def test_too_short_a_history_says_when_it_can_be_judged() -> None:
    with pytest.raises(BadHistory, match="the first that can be judged is 2021-05-16"):
        backtest(history(normal_days(1, 400)), "fhs")


targets = st.lists(st.floats(0, 0.9), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(targets)
@example([0.5, *[0.485] * 10, 0.484])  # the eleventh day falls on: 0.485 was low enough for 0.5, and 0.484 is for 0.495
def test_what_is_published_rises_soon_and_falls_late(values: list[float]) -> None:
    rules = Publishing()
    found = publish(np.array(values), rules).tolist()

    for day, value in enumerate(found):
        before = found[day - 1] if day else value
        assert before - rules.fall - 1e-12 <= value <= before + rules.rise + 1e-12
        if value < before:
            first = day - rules.patience + 1
            assert first >= 1
            assert all(values[i] < found[i - 1] - rules.slack + 1e-9 for i in range(first, day + 1))
        if day and values[day] > before:
            assert value >= min(values[day], before + rules.rise) - 1e-9
