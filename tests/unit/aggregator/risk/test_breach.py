"""The chance of a breach: how far the boundary is, and how often a day goes that far."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.margin.risk import AssetRisk, RiskInputs
from aggregator.risk.breach import (
    Leg,
    Stand,
    Unestimated,
    breach_chance,
    breach_score,
    chance_beyond,
    distance,
    either,
    minima_of,
)
from aggregator.risk.grid import CHANCES

MINIMA = tuple(-NormalDist().inv_cdf(min(chance / 2, 0.5)) for chance in CHANCES)
"""Of a walk at random: it falls below d with twice the chance that it ends there."""


def asset(identity: str, swing: float) -> AssetRisk:
    return AssetRisk(
        identity=identity,
        maintenance=0.1,
        initial=0.2,
        rise_maintenance=0.1,
        rise_initial=0.2,
        deviation=swing,
        swing=swing,
        basis="fhs",
        days=1000,
        last_day="2025-01-01",
    )


def risk(swings: dict[str, float], correlation: float = 0.5) -> RiskInputs:
    order = sorted(swings)
    return RiskInputs(
        assets=tuple(asset(name, swings[name]) for name in order),
        correlation=tuple(tuple(1.0 if a == b else correlation for b in order) for a in order),
        minima=MINIMA,
    )


def stand(fixed: float = 0.0, **weights: float) -> Stand:
    return Stand(legs=tuple(Leg(identity=name, weight=weight) for name, weight in weights.items()), fixed=fixed)


def far(found: float | Unestimated) -> float:
    assert isinstance(found, float)
    return found


def test_of_one_collateral_the_boundary_is_as_far_as_the_logarithm_of_the_health_factor() -> None:
    found = far(distance(stand(ETH=1500.0, fixed=-1000.0), risk({"ETH": 0.04})))

    assert found == pytest.approx(math.log(1.5) / 0.04, rel=1e-9)
    assert found <= math.log(1.5) / 0.04


def test_of_one_debt_its_price_has_to_rise() -> None:
    assert far(distance(stand(ETH=-1000.0, fixed=1500.0), risk({"ETH": 0.04}))) == pytest.approx(math.log(1.5) / 0.04)


def test_collateral_that_moves_with_the_debt_is_farther_from_its_boundary() -> None:
    alone = far(distance(stand(ETH=1500.0, fixed=-1000.0), risk({"ETH": 0.04})))
    hedged = [
        far(distance(stand(ETH=1500.0, BTC=-1000.0), risk({"ETH": 0.04, "BTC": 0.03}, rho))) for rho in (0.0, 0.5, 0.9)
    ]

    assert hedged == sorted(hedged)
    assert hedged[0] < alone < hedged[2]


def test_the_found_direction_is_nearly_the_nearest_of_all() -> None:
    book, estimates = stand(ETH=900.0, BTC=600.0, fixed=-1000.0), risk({"ETH": 0.05, "BTC": 0.03}, 0.6)
    spread = np.diag([0.03, 0.05]) @ np.array([[1, 0.6], [0.6, 1]]) @ np.diag([0.03, 0.05])
    root = np.linalg.cholesky(spread)
    nearest = math.inf
    for angle in np.linspace(0, 2 * np.pi, 2001):
        move = root @ np.array([math.cos(angle), math.sin(angle)])
        for steps in np.linspace(0.1, 20, 2000):
            if np.array([600.0, 900.0]) @ np.exp(steps * move) <= 1000:
                nearest = min(nearest, float(steps))
                break

    assert far(distance(book, estimates)) == pytest.approx(nearest, rel=0.005)


def test_an_account_beyond_its_boundary_has_breached() -> None:
    assert breach_chance(stand(ETH=900.0, fixed=-1000.0), risk({"ETH": 0.04})) == 1.0
    assert breach_chance(stand(ETH=1000.0, fixed=-1000.0), risk({"ETH": 0.04})) == 1.0


def test_collateral_of_which_nothing_is_known_counts_nothing_and_does_no_harm() -> None:
    known, estimates = stand(ETH=1500.0, fixed=-1000.0), risk({"ETH": 0.04})
    gifted = stand(ETH=1500.0, GIFT=400.0, fixed=-1000.0)

    assert breach_chance(gifted, estimates) == breach_chance(known, estimates)
    assert breach_chance(stand(GIFT=5000.0, fixed=-1000.0), estimates) == 1.0


def test_debt_of_which_nothing_is_known_leaves_nothing_to_say() -> None:
    found = breach_chance(stand(ETH=1500.0, PEPE=-100.0, ODD=-1.0), risk({"ETH": 0.04}))

    assert found == Unestimated(identities=("ODD", "PEPE"))


def test_what_is_taken_to_stand_still_does() -> None:
    estimates = risk({"ETH": 0.04})

    assert breach_chance(stand(ETH=1500.0, USDC=-1000.0), estimates, calm={"USDC"}) == breach_chance(
        stand(ETH=1500.0, fixed=-1000.0), estimates
    )


def test_nobody_is_said_to_be_safer_than_what_was_ever_seen() -> None:
    assert breach_chance(stand(USDC=1500.0, fixed=-1000.0), risk({"ETH": 0.04}), calm={"USDC"}) == CHANCES[0]
    assert chance_beyond(1e9, MINIMA) == CHANCES[0]


@given(st.floats(0.0, 5.0), st.floats(0.0, 1.0))
def test_what_is_farther_is_never_likelier(near: float, more: float) -> None:
    assert chance_beyond(near + more, MINIMA) <= chance_beyond(near, MINIMA)


@pytest.mark.parametrize("deviations", [0.5, 1.0, 2.0, 3.0])
def test_chances_between_those_that_are_kept_are_near_the_true_ones(deviations: float) -> None:
    assert chance_beyond(deviations, MINIMA) == pytest.approx(2 * NormalDist().cdf(-deviations), rel=2e-3)


def test_quantiles_are_those_of_what_days_did() -> None:
    falls = np.abs(np.random.default_rng(8).normal(size=200_000))
    minima = minima_of(falls)

    assert list(minima) == sorted(minima, reverse=True)
    assert chance_beyond(1.5, minima) == pytest.approx(float(np.mean(falls >= 1.5)), rel=0.02)


@pytest.mark.parametrize(
    "chance, score", [(1.0, 0), (0.5, 10), (0.1, 33), (0.01, 66), (0.001, 100), (1e-4, 100), (0.0, 100)]
)
def test_each_factor_of_ten_is_a_third_of_the_score(chance: float, score: int) -> None:
    assert breach_score(chance) == score


def test_one_of_several_is_likelier_than_the_likeliest() -> None:
    assert either([0.1, 0.2]) == pytest.approx(0.28)
    assert either([]) == 0.0
    assert either([1.0, 0.1]) == 1.0
