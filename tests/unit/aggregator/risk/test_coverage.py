"""The statistics of backtests, on counts whose verdicts are in the books."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from aggregator.risk.coverage import Light, at_least, coverage


def spread(days: int, breaches: int) -> np.ndarray:
    """So many breaches, far from each other."""
    breached = np.zeros(days, np.bool_)
    breached[np.linspace(0, days - 1, breaches + 2).astype(int)[1:-1]] = True
    return breached


@pytest.mark.parametrize("breaches, is_accepted", [(1, True), (6, True), (7, False), (10, False)])
def test_kupiec_accepts_fewer_than_seven_of_255_days_at_one_percent(breaches: int, is_accepted: bool) -> None:  # noqa: FBT001
    assert (coverage(spread(255, breaches), 0.01).kupiec_p >= 0.05) is is_accepted


@pytest.mark.parametrize("days, tail, lowest, highest", [(510, 0.01, 2, 10), (1000, 0.01, 5, 16), (255, 0.05, 7, 20)])
def test_kupiec_accepts_the_numbers_of_his_table(days: int, tail: float, lowest: int, highest: int) -> None:
    accepted = [n for n in range(days // 10) if coverage(spread(days, n), tail).kupiec_p >= 0.05]

    assert (accepted[0], accepted[-1]) == (lowest, highest)


@pytest.mark.parametrize("count, chance", [(5, 0.1078), (10, 0.0003), (0, 1.0), (251, 0.0)])
def test_so_many_days_or_more_are_as_likely_as_the_committee_says(count: int, chance: float) -> None:
    assert at_least(count, 250, 0.01) == pytest.approx(chance, abs=5e-5)


@pytest.mark.parametrize("days, chance", [*product((1, 7, 40), (0.01, 0.3))])
def test_the_binomial_is_that_of_exact_sums(days: int, chance: float) -> None:
    for count in range(days + 1):
        exact = math.fsum(math.comb(days, k) * chance**k * (1 - chance) ** (days - k) for k in range(count, days + 1))
        assert at_least(count, days, chance) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("breaches, light", [(4, Light.GREEN), (5, Light.YELLOW), (9, Light.YELLOW), (10, Light.RED)])
def test_the_traffic_light_looks_at_the_last_250_days(breaches: int, light: Light) -> None:
    before = np.ones(50, np.bool_)

    assert coverage(np.concatenate([before, spread(250, breaches)]), 0.01).light is light
    assert coverage(spread(249, breaches), 0.01).light is Light.NONE


def test_breaches_that_follow_each_other_are_not_independent() -> None:
    alone, together = spread(1000, 10), np.zeros(1000, np.bool_)
    together[500:510] = True

    assert coverage(alone, 0.01).independence_p > 0.5
    assert coverage(together, 0.01).independence_p < 1e-6
    assert coverage(together, 0.01).conditional_p < 1e-5
    assert coverage(together, 0.01).kupiec_p == coverage(alone, 0.01).kupiec_p == pytest.approx(1.0)


@pytest.mark.parametrize("breached", [[False] * 300, [True] * 300, [True], [False]])
def test_series_at_the_ends_of_what_is_possible_are_judged(breached: list[bool]) -> None:
    found = coverage(np.array(breached), 0.01)

    assert found.rate == (1.0 if breached[0] else 0.0)
    assert found.holds() is (not breached[0])
    assert all(0 <= p <= 1 for p in (found.kupiec_p, found.too_many_p, found.independence_p, found.conditional_p))
