"""The market layer: horizons, tails, short histories."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from aggregator.risk.history import BadHistory, History, history_of
from aggregator.risk.market import DAY_S, Basis, MarketLayer, market_layer, student_quantile


def history(days: int, deviation: float = 0.03) -> History:
    returns = np.random.default_rng(5).normal(0, deviation, days)
    return History(asset="X", first=date(2020, 1, 1), closes=np.exp(np.concatenate([[0.0], np.cumsum(returns)])))


def layer(days: int, horizon_s: int, tail: float = 0.01) -> MarketLayer:
    found = market_layer(history(days), horizon_s=horizon_s, tail=tail)
    assert found is not None
    return found


def test_within_a_day_the_fall_grows_with_the_root_of_time() -> None:
    hour, day = layer(2000, 3600), layer(2000, DAY_S)

    assert np.log1p(-hour.haircut) * np.sqrt(24) == pytest.approx(np.log1p(-day.haircut))
    assert day.haircut == pytest.approx(1 - np.exp(-2.33 * 0.03), rel=0.15)
    assert day.basis is Basis.FILTERED


def test_beyond_a_day_paths_are_drawn_the_same_ones_each_time() -> None:
    week = layer(2000, 7 * DAY_S)

    assert week == layer(2000, 7 * DAY_S)
    assert week.haircut == pytest.approx(1 - np.exp(-2.33 * 0.03 * np.sqrt(7)), rel=0.15)
    assert layer(2000, DAY_S).haircut < layer(2000, DAY_S + 1).haircut < week.haircut


def test_paths_of_a_long_history_and_of_a_short_one_end_where_sums_of_such_days_do() -> None:
    four, sixteen = layer(2000, 4 * DAY_S), layer(2000, 16 * DAY_S)
    short = layer(200, 4 * DAY_S)

    assert np.log1p(-sixteen.haircut) / np.log1p(-four.haircut) == pytest.approx(2, rel=0.1)
    assert short.haircut == pytest.approx(1.25 * four.haircut, rel=0.25)
    with pytest.raises(ValueError, match="longer than 30 days"):
        layer(2000, 31 * DAY_S)


def test_rarer_falls_are_deeper() -> None:
    assert layer(2000, DAY_S, 0.05).haircut < layer(2000, DAY_S, 0.01).haircut < layer(2000, DAY_S, 0.003).haircut


def test_a_short_history_is_widened_and_a_shorter_one_says_nothing() -> None:
    short = layer(200, DAY_S)

    assert short.basis is Basis.STUDENT
    assert short.quantile == pytest.approx(-2.6495, abs=1e-4)
    assert short.haircut > layer(2000, DAY_S).haircut
    assert market_layer(history(29), horizon_s=DAY_S, tail=0.01) is None


def of(closes: list[float]) -> MarketLayer | None:
    return market_layer(
        History(asset="X", first=date(2020, 1, 1), closes=np.asarray(closes)), horizon_s=DAY_S, tail=0.003
    )


def test_a_price_that_never_moved_says_nothing() -> None:
    assert of([1.0] * 700) is None


@pytest.mark.parametrize(
    "closes", [[1.0] * 700 + [0.5], np.exp(np.arange(700) * 0.01).tolist()], ids=["stands and falls", "only rises"]
)
def test_where_nothing_fell_in_step_with_what_was_expected_the_deviation_counts(closes: list[float]) -> None:
    found = of(closes)

    assert found is not None
    assert found.basis is Basis.STUDENT
    assert found.haircut == pytest.approx(-np.expm1(student_quantile(0.003) * found.deviation))
    assert found.haircut > 0.04


@pytest.mark.parametrize("tail, quantile", [(0.01, -3.746947), (0.05, -2.131847), (0.005, -4.604095), (0.5, 0.0)])
def test_the_student_quantile_is_that_of_the_tables(tail: float, quantile: float) -> None:
    assert student_quantile(tail) * np.sqrt(2) == pytest.approx(quantile, abs=1e-3)


@pytest.mark.parametrize(
    "days, closes, said",
    [
        (("2024-01-01", "2024-01-03"), (1.0, 1.0), "2024-01-03 follows 2024-01-01"),
        (("2024-01-02", "2024-01-01"), (1.0, 1.0), "2024-01-01 follows 2024-01-02"),
        (("2024-01-01", "2024-01-01"), (1.0, 1.0), "2024-01-01 follows 2024-01-01"),
        (("2024-01-01", "2024-01-02"), (1.0, 0.0), "the price of 2024-01-02 is 0.0"),
        (("2024-01-01", "2024-01-02"), (float("nan"), 1.0), "the price of 2024-01-01 is nan"),
        (("2024-01-01",), (1.0,), "1 days are no history"),
    ],
)
def test_a_history_with_a_hole_is_refused(days: tuple[str, ...], closes: tuple[float, ...], said: str) -> None:
    with pytest.raises(BadHistory, match=said):
        history_of("X", [date.fromisoformat(day) for day in days], closes)
