"""How risks add up in each case of correlation; the numbers are worked out beside each assertion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aggregator.margin.correlation import (
    CALM_CASES,
    STRESS_CASES,
    Correlations,
    Risks,
    correlations_of,
    higher,
    lower,
)
from aggregator.margin.model_policy import ModelPolicy
from aggregator.margin.risk import STRESS, AssetRisk, RiskInputs


def asset(identity: str) -> AssetRisk:
    return AssetRisk(
        identity=identity,
        maintenance=0.1,
        initial=0.2,
        rise_maintenance=0.1,
        rise_initial=0.25,
        deviation=0.04,
        swing=0.04,
        basis="fhs",
        days=1000,
        last_day="2025-01-01",
    )


def two(correlation: float, regime: str = "calm") -> Correlations:
    risk = RiskInputs(
        assets=(asset("BTC"), asset("ETH")), correlation=((1.0, correlation), (correlation, 1.0)), regime=regime
    )
    return correlations_of(risk, ModelPolicy())


def squares(found: Correlations, risks: Risks) -> list[float]:
    return found.forms(risks, risks)


def test_the_cases_go_half_the_way_to_one_and_about_as_far_down_as_twice_the_distance() -> None:
    assert [round(higher(c), 4) for c in (0.0, 0.5, 0.8, 1.0)] == [0.5, 0.75, 0.9, 1.0]
    assert [round(lower(c), 4) for c in (0.0, 0.5, 0.8, 0.95, 1.0)] == [0.0, 0.3125, 0.656, 0.9037, 1.0]
    assert all(abs(lower(c / 100) - max(2 * c / 100 - 1, 0.75 * c / 100)) < 0.0626 for c in range(50, 101))


def test_two_falls_diversify_by_their_correlation() -> None:
    found = squares(two(0.5), Risks(falls={"BTC": 3.0, "ETH": 4.0}))

    assert found == pytest.approx([37.0, 43.0, 32.5])  # 9 + 16 + 24c for c = 0.5, 0.75, 0.3125


def test_in_stress_everything_falls_as_one() -> None:
    found = squares(two(0.5, STRESS), Risks(falls={"BTC": 3.0, "ETH": 4.0}))

    assert max(found) == pytest.approx(49.0)  # (3 + 4)²


def test_a_debt_is_a_hedge_up_to_the_cap_and_less_of_one_in_stress() -> None:
    matched = Risks(falls={"ETH": 5.0}, rises={"ETH": 5.0})

    assert squares(two(0.5), matched) == pytest.approx([10.0] * 3)  # 25 + 25 − 2 · 0.8 · 25
    assert squares(two(0.5, STRESS), matched) == pytest.approx([25.0] * 3)  # 25 + 25 − 2 · 0.5 · 25


def test_a_debt_of_something_else_hedges_by_the_worst_of_the_cases() -> None:
    crossed = squares(two(0.8), Risks(falls={"BTC": 5.0}, rises={"ETH": 5.0}))

    assert max(crossed) == pytest.approx(50 - 2 * 0.8 * 0.656 * 25)


def test_what_falls_while_a_debt_rises_is_no_hedge_and_counts_whole() -> None:
    crossed = squares(two(-0.5), Risks(falls={"BTC": 5.0}, rises={"ETH": 5.0}))

    assert max(crossed) == pytest.approx(50 + 2 * 0.5 * 25)  # and not 0.8 of it


@pytest.mark.parametrize("cases", [CALM_CASES, STRESS_CASES])
def test_every_case_of_a_correlation_matrix_is_one(cases: list[object]) -> None:
    """Nothing has to be repaired, whatever the matrix: also at the edge, where one identity is the opposite of another."""
    chance = np.random.default_rng(3)
    for _ in range(200):
        factors = chance.normal(size=(6, chance.integers(1, 7)))
        matrix = factors @ factors.T
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        for case in cases:
            made = np.array([[case(entry) for entry in row] for row in matrix.tolist()])  # type: ignore[operator]
            assert np.allclose(np.diag(made), 1)
            np.linalg.cholesky(made + 1e-9 * np.eye(6))  # refuses what is not positive definite


def test_an_entry_does_not_depend_on_what_else_is_held() -> None:
    risk = RiskInputs(
        assets=(asset("BTC"), asset("ETH"), asset("SOL")),
        correlation=((1.0, 0.9, 0.8), (0.9, 1.0, 0.85), (0.8, 0.85, 1.0)),
    )
    all_three = correlations_of(risk, ModelPolicy())
    held = Risks(falls={"BTC": 3.0, "ETH": 4.0})

    assert squares(all_three, held) == squares(two(0.9), held)


def test_a_matrix_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="1 rows and columns"):
        correlations_of(RiskInputs(assets=(asset("BTC"),)), ModelPolicy())


def test_a_root_is_never_more_than_the_sum() -> None:
    held = Risks(falls={"BTC": 3.0, "ETH": 4.0}, rises={"ETH": 2.0})

    assert all(math.sqrt(square) <= 3 + 4 + 2 for square in squares(two(0.99), held))


def test_the_largest_risk_is_that_of_either_side() -> None:
    assert Risks(falls={"ETH": 1.0}, rises={"BTC": 3.0}).largest == 3.0
    assert Risks(falls={"ETH": 4.0, "SOL": 2.0}, rises={"BTC": 3.0}).largest == 4.0
    assert Risks().largest == 0.0
