"""What is asked of a model is passed by one that is right and failed by one that is wrong, on series whose law is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from aggregator.risk.durations import duration_p
from aggregator.risk.history import BadHistory, Floats, History
from aggregator.risk.models import WINDOW, Publishing, buffered, filtered, publish, published, recommended
from aggregator.risk.recommend import Advice, Bounds, Move, advise, targets
from aggregator.risk.shortfall import shortfall
from aggregator.risk.validation import subjects, validate
from tests.support.walks import walks

START = date(2020, 1, 1)


def history(name: str, returns: Floats, first: date = START) -> History:
    return History(asset=name, first=first, closes=np.exp(np.concatenate([[0.0], np.cumsum(returns)])))


def normal(days: int, seed: int = 1, deviation: float = 0.03) -> Floats:
    return np.random.default_rng(seed).normal(0, deviation, days)


def test_breaches_in_clusters_have_a_memory_and_those_by_chance_have_none() -> None:
    alone = np.random.default_rng(2).random(4000) < 0.01
    clustered = np.zeros(4000, np.bool_)
    for begin in range(200, 4000, 800):
        clustered[begin : begin + 24 : 3] = True

    by_chance, together = duration_p(alone), duration_p(clustered)
    assert by_chance is not None
    assert together is not None
    assert by_chance > 0.05
    assert together < 0.001
    assert duration_p(np.array([True, False, True, False])) is None


def test_durations_of_a_right_model_are_unlikely_as_often_as_they_say() -> None:
    chance = np.random.default_rng(7)
    found = [duration_p(chance.random(2000) < 0.01) for _ in range(200)]

    rejected = np.mean([each is not None and each < 0.05 for each in found])
    assert 0.01 <= rejected <= 0.11


def test_expected_shortfall_is_enough_where_days_stay_alike_and_not_where_they_grow_wild() -> None:
    calm = shortfall(normal(2000))
    wild = normal(2000, 3)
    wild[1700::60] = -0.4

    assert abs(calm.z2) < 0.8
    assert calm.p > 0.05
    assert shortfall(wild).z2 < calm.z2 - 0.3
    assert shortfall(wild).p < 0.02


def test_a_right_model_holds_and_a_wrong_one_does_not() -> None:
    histories = [bars.history for bars in walks("AB", 1600)]

    verdicts, _ = validate(histories, {"fhs": filtered, "published": published})
    assert all(each.holds for each in verdicts)
    halved = {"published": lambda returns: 0.5 * filtered(returns)}
    assert not any(each.holds for each in validate(histories, halved)[0])


def test_portfolios_are_made_of_the_days_that_their_assets_share() -> None:
    long, short = history("A", normal(1000)), history("B", normal(600, 2), START + timedelta(days=200))

    found = {one.asset: one for one in subjects([long, short])}

    assert list(found) == ["A", "B", "all in equal parts", "A against B", "B against A"]
    spread = found["A against B"]
    assert spread.first == short.first
    assert spread.returns == pytest.approx(long.returns[200:800] - short.returns)
    both = np.log((np.exp(long.returns[200:800]) + np.exp(short.returns)) / 2)
    assert found["all in equal parts"].returns == pytest.approx(both)
    with pytest.raises(BadHistory, match="more than once"):
        subjects([long, long])
    with pytest.raises(BadHistory, match="no days that they have in common"):
        subjects([history("A", normal(10)), history("B", normal(10), START + timedelta(days=100))])
    with pytest.raises(BadHistory, match="more than 501 days"):
        validate([history("A", normal(100))])


def test_a_buffer_is_there_in_calm_and_gone_when_it_is_needed() -> None:
    returns = normal(1300)
    returns[1100:1110] = -0.12
    found, bare = buffered(returns), publish(recommended(returns), Publishing())
    day = 1100 - WINDOW

    assert found[day] == pytest.approx(1.25 * bare[day])
    assert found[day + 9] == pytest.approx(bare[day + 9])
    assert found[day : day + 20].max() / found[day] < bare[day : day + 20].max() / bare[day]
    assert found[-1] == pytest.approx(1.25 * bare[-1])


def test_the_target_of_today_is_what_the_models_say_of_the_day_to_come() -> None:
    returns = normal(900)
    parts = targets(returns, tail=0.01, horizon_s=86_400)
    longer = np.append(returns, -0.5)

    assert np.maximum(parts["filtered"], parts["history"])[-1] == pytest.approx(recommended(longer)[-1])
    assert len(parts["filtered"]) == len(parts["long-run"]) == 900 + 1 - WINDOW
    shorter = targets(returns, tail=0.01, horizon_s=4 * 3600)
    assert np.log1p(-shorter["history"][-1]) == pytest.approx(np.log1p(-parts["history"][-1]) / np.sqrt(6))
    assert (targets(returns, tail=0.003, horizon_s=86_400)["filtered"] >= parts["filtered"] - 1e-12).all()
    assert parts["long-run"][-1] == pytest.approx(0.5 * -np.expm1(np.quantile(returns, 0.01)))


def said(days: list[float], current: float, bounds: Bounds | None = None) -> Advice:
    return advise({"filtered": np.array(days)}, current, bounds)


def test_a_haircut_rises_soon_and_falls_late() -> None:
    assert said([0.1, 0.222], 0.2) == Advice(
        current=0.2, target=0.225, proposed=0.225, move=Move.RAISE, calm_days=0, binding="filtered"
    )
    assert (said([0.4], 0.2).proposed, said([0.4], 0.2).move) == (0.25, Move.ALERT)
    assert said([0.1] * 9, 0.2).move is Move.KEEP
    lower = said([0.3] + [0.1] * 10, 0.2)
    assert (lower.move, lower.proposed, lower.calm_days) == (Move.LOWER, 0.195, 10)
    assert said([0.195] * 30, 0.2).move is Move.KEEP
    assert said([0.1] * 10, 0.101).move is Move.KEEP


def test_bounds_are_kept_and_named() -> None:
    low, high = said([0.01] * 20, 0.2, Bounds(least=0.15)), said([0.9], 0.58, Bounds(most=0.6))

    assert (low.target, low.binding) == (0.15, "least")
    assert (high.proposed, high.binding) == (0.6, "most")
    with pytest.raises(ValueError, match="no day"):
        advise({}, 0.1)


def test_what_is_no_number_is_not_a_calm_day() -> None:
    with pytest.raises(ValueError, match="not a number"):
        said([0.1] * 9 + [float("nan")], 0.2)
