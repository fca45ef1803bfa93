"""Paths of all prices: what happened together stays together, what is unknown goes with the market, and the seed decides all of it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from aggregator.margin.risk import AssetRisk, RiskInputs
from aggregator.preferring import compiling
from aggregator.risk import compiled_breaches
from aggregator.risk.breaches import breaches, fastest, in_numpy
from aggregator.risk.exposures import Exposures
from aggregator.risk.history import Floats
from aggregator.risk.paths import DAYS, HOUR, POINTS, STEPS, Paths, falls, paths
from aggregator.risk.series import Series, series_of_bars
from aggregator.risk.student import given, quantiles_of_five, quantiles_of_four, share_of_five
from tests.support.walks import walks

COUNT = 2_000


def known(names: str = "AB", days: int = 900, *, shared: float = 0.5, seed: int = 1) -> dict[str, Series]:
    return {bars.history.asset: series_of_bars(bars) for bars in walks(names, days, shared=shared, seed=seed)}


def risk(names: str, *, swing: float = 0.04, correlation: float = 0.8) -> RiskInputs:
    assets = tuple(
        AssetRisk(
            identity=name,
            maintenance=0.1,
            initial=0.2,
            rise_maintenance=0.1,
            rise_initial=0.2,
            deviation=swing,
            swing=swing,
            basis="fhs",
            days=900,
            last_day="2022-06-18",
        )
        for name in names
    )
    matrix = tuple(tuple(1.0 if one == other else correlation for one in names) for other in names)
    return RiskInputs(assets=assets, correlation=matrix)


def looks(drawn: Paths, name: str) -> Floats:
    return np.asarray(drawn.moves[drawn.identities.index(name)], np.float64).reshape(drawn.count, STEPS, POINTS)


def test_the_first_day_of_paths_is_a_day_that_was() -> None:
    series = known()
    drawn = paths(risk("AB"), series, count=COUNT)

    for name, one in series.items():
        moved = np.log1p(looks(drawn, name)[:, 1, 2]) / 0.04
        happened = one.returns / one.swings[:-1]
        assert all(np.isclose(happened, each, atol=1e-9).any() for each in moved[:100])
        assert np.quantile(moved, [0.01, 0.5, 0.99]) == pytest.approx(
            np.quantile(happened, [0.01, 0.5, 0.99]), abs=0.15
        )


def test_what_fell_together_falls_together() -> None:
    series = known(shared=0.9)
    drawn = paths(risk("AB"), series, count=COUNT)

    a, b = (np.log1p(looks(drawn, name)[:, 1, 2]) for name in "AB")
    there = np.corrcoef(series["A"].returns / series["A"].swings[:-1], series["B"].returns / series["B"].swings[:-1])
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(there[0, 1], abs=0.05)


def test_lows_are_lowest_highs_highest_and_an_hour_is_the_beginning_of_a_day() -> None:
    drawn = looks(paths(risk("A"), known("A"), count=COUNT), "A")

    assert (drawn[:, 1:, 0] <= drawn[:, 1:, 2] + 1e-12).all()
    assert (drawn[:, 1:, 1] >= drawn[:, 1:, 2] - 1e-12).all()
    assert np.log1p(drawn[:, 0]) == pytest.approx(np.log1p(drawn[:, 1]) * HOUR)
    assert (drawn > -1).all()


def test_a_day_goes_on_where_the_last_one_ended_and_swings_as_it_did() -> None:
    drawn = np.log1p(looks(paths(risk("A"), known("A"), count=20_000), "A"))
    moved, ranges = np.diff(drawn[:, 1:, 2], axis=1), drawn[:, 1, 1] - drawn[:, 1, 0]

    wild = ranges > np.quantile(ranges, 0.9)
    assert moved[wild, 0].std() > 1.05 * moved[~wild, 0].std()


@pytest.mark.parametrize("swing, sign", [(0.01, 1), (0.09, -1)])
def test_a_swing_goes_back_to_the_usual_one_and_the_first_day_knows_nothing_of_it(swing: float, sign: int) -> None:
    series = known("A")
    drawn = np.log1p(looks(paths(risk("A", swing=swing), series, count=20_000), "A"))
    days = np.concatenate([drawn[:, 1:2, 2], np.diff(drawn[:, 1:, 2], axis=1)], axis=1).std(axis=0)

    # each day is 0.95 of the one before and 0.05 of the usual variance, so that after six days 0.735 of the difference is left
    usual = float(np.mean(series["A"].swings ** 2))
    expected = math.sqrt((usual + (swing**2 - usual) * 0.95**6) / swing**2)
    assert days[0] == pytest.approx(swing * (series["A"].returns / series["A"].swings[:-1]).std(), rel=0.02)
    assert days[6] / days[0] == pytest.approx(expected, rel=0.08)
    assert (sign * np.diff(days[[0, 3, 6]]) > 0).all()


def test_the_seed_and_nothing_else_decides() -> None:
    series = known("ABC")
    one, again = (paths(risk("ABC"), series, count=500) for _ in range(2))

    assert (one.moves == again.moves).all()
    assert (one.moves != paths(risk("ABC"), series, count=500, seed=1).moves).any()
    assert (looks(one, "A") == looks(paths(risk("AC"), {name: series[name] for name in "AC"}, count=500), "A")).all()


def test_a_short_history_goes_with_the_market_by_heavier_tails() -> None:
    series = known("AB", shared=0.0) | {"S": known("S", 100)["S"]}
    drawn = paths(risk("ABS", correlation=0.8), series, count=20_000)

    assert drawn.simulated == ("S",)
    market = np.log1p(looks(drawn, "B")[:, 1, 2])
    follows = np.log1p(looks(drawn, "S")[:, 1, 2])
    ranks = [np.argsort(np.argsort(each)) for each in (market, follows)]
    assert np.corrcoef(ranks[0], ranks[1])[0, 1] == pytest.approx(6 / math.pi * math.asin(0.8 / 2), abs=0.03)
    worst = market <= np.quantile(market, 0.02)
    both = (follows[worst] <= np.quantile(follows, 0.02)).mean()
    assert 0.38 < both < 0.62  # of a t-copula of four degrees of freedom 0.50; of a normal one 0.34


def test_without_any_long_history_all_go_with_one_of_them() -> None:
    drawn = paths(risk("AB", correlation=0.95), known("AB", 100), count=COUNT)

    assert drawn.simulated == ("A", "B")
    assert np.corrcoef(looks(drawn, "A")[:, 1, 2], looks(drawn, "B")[:, 1, 2])[0, 1] > 0.85
    assert paths(replace(risk("A"), assets=(), correlation=()), {}, count=10).moves.shape == (0, 10 * STEPS * POINTS)


def test_falls_are_those_of_the_paths_and_need_a_history() -> None:
    one = known("A")["A"]
    alone = falls(one, days=DAYS, count=COUNT)
    drawn = looks(paths(risk("A", swing=float(one.swings[-1])), {"A": one}, count=COUNT), "A")

    assert np.sort(alone) == pytest.approx(np.sort(-np.log1p(np.minimum(drawn.min(axis=(1, 2)), 0))), abs=1e-12)
    with pytest.raises(ValueError, match="less than 500 days"):
        falls(one.until(date.fromordinal(int(one.days[300]))), days=1)


def test_student_variables_are_what_they_are_called() -> None:
    shares = np.array([0.001, 0.01, 0.25, 0.5, 0.9, 0.999])

    assert share_of_five(quantiles_of_five(shares)) == pytest.approx(shares, abs=1e-7)
    assert quantiles_of_five(np.array([0.95, 0.99])) == pytest.approx([2.015048, 3.364930], abs=1e-5)  # tables
    assert quantiles_of_four(np.array([0.95, 0.99])) == pytest.approx([2.131847, 3.746947], abs=1e-5)
    drawn = given(quantiles_of_four((np.arange(20_000) + 0.5) / 20_000), 0.6, np.random.default_rng(1).random(20_000))
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx([-2.13, 2.13], abs=0.1)


def rows(held: list[list[list[tuple[int, float]]]], bases: list[list[float]]) -> tuple[np.ndarray, Exposures]:
    flat = [legs for account in held for legs in account]
    accounts = np.cumsum([0, *(len(account) for account in held)])
    return accounts, Exposures(
        starts=np.cumsum([0, *(len(legs) for legs in flat)]),
        assets=np.array([asset for legs in flat for asset, _ in legs], np.int32),
        amounts=np.array([amount for legs in flat for _, amount in legs], np.float64),
        bases=np.array([base for account in bases for base in account], np.float64),
        groups=np.zeros(len(flat), np.int32),
    )


def by_hand(drawn: Paths, held: list[list[tuple[int, float]]], bases: list[float]) -> tuple[int, int, int]:
    """Count looks one by one."""
    counts = [0, 0, 0]
    table = drawn.moves.reshape(len(drawn.moves), drawn.count, STEPS, POINTS).tolist()
    for path in range(drawn.count):
        gone = next(
            (
                step
                for step in range(STEPS)
                for point in range(POINTS)
                for legs, base in zip(held, bases, strict=True)
                if base + sum(amount * table[asset][path][step][point] for asset, amount in legs) <= 0
            ),
            STEPS,
        )
        for place, end in enumerate((1, 2, STEPS)):
            counts[place] += gone < end
    return counts[0], counts[1], counts[2]


@pytest.mark.parametrize("kernel", [in_numpy, compiled_breaches.compiled], ids=["numpy", "compiled"])
def test_paths_are_counted_as_one_by_one(kernel: object) -> None:
    drawn = paths(risk("ABC", swing=0.06), known("ABC"), count=251)
    held: list[list[list[tuple[int, float]]]] = [
        [[(0, 100.0)]],
        [[(0, 100.0), (1, -90.0)], [(2, 50.0)]],
        [[(1, -100.0)]],
        [[]],
        [[(0, 1.0)], []],
    ]
    bases = [[8.0], [9.0, 6.0], [12.0], [5.0], [1e9, 1.0]]

    found = breaches(*rows(held, bases), drawn, kernel)  # type: ignore[arg-type]

    assert found.tolist() == [list(by_hand(drawn, legs, own)) for legs, own in zip(held, bases, strict=True)]
    assert found[0, 2] > found[0, 1] > found[0, 0]


def test_kernels_agree_on_many_accounts() -> None:
    drawn, chance = paths(risk("ABC", swing=0.06), known("ABC"), count=300), np.random.default_rng(5)
    held = [
        [
            [(int(chance.integers(3)), float(chance.normal(0, 100))) for _ in range(chance.integers(0, 5))]
            for _ in range(n)
        ]
        for n in chance.integers(1, 4, 200)
    ]
    bases = [[float(chance.uniform(0.5, 60)) for _ in each] for each in held]

    found = breaches(*rows(held, bases), drawn, compiled_breaches.compiled)
    assert (breaches(*rows(held, bases), drawn, in_numpy) == found).all()


def test_a_compiler_that_fails_leaves_numpy(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    drawn, given = paths(risk("A", swing=0.06), known("A"), count=251), rows([[[(0, 100.0)]]], [[8.0]])

    def full(*_: object) -> None:
        with compiling():
            raise OSError("no space left")

    monkeypatch.setattr(compiled_breaches, "on_all_cores", full)

    found = breaches(*given, drawn, fastest.__wrapped__())

    assert found.tolist() == breaches(*given, drawn, in_numpy).tolist()
    assert found.any()
    assert "no space left" in caplog.text


def test_what_cannot_be_counted_is_refused() -> None:
    drawn = paths(risk("A"), known("A"), count=10)

    with pytest.raises(ValueError, match="asset 1 has no paths"):
        breaches(*rows([[[(1, 1.0)]]], [[1.0]]), drawn)
    accounts, own = rows([[[(0, 1.0)]]], [[1.0]])
    with pytest.raises(ValueError, match="each with a row"):
        breaches(np.array([0, 0, 1]), own, drawn)
    assert len(accounts) == 2


@pytest.mark.parametrize("kernel", [in_numpy, compiled_breaches.compiled], ids=["numpy", "compiled"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_nobody_is_safe_by_what_is_no_number(kernel: object, wrong: float) -> None:
    drawn = paths(risk("A"), known("A"), count=10)
    moves = drawn.moves.copy()
    moves[0, 3] = wrong

    with pytest.raises(ValueError, match="no finite number"):
        breaches(*rows([[[(0, 1.0)]]], [[1.0]]), replace(drawn, moves=moves), kernel)  # type: ignore[arg-type]
