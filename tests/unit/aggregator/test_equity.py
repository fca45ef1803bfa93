"""The multiple of debt that is covered, and where along other lines nothing is left."""

from __future__ import annotations

import math

import pytest

from aggregator.margin.correlation import Correlations, Risks
from aggregator.margin.equity import (
    LARGEST_RATIO,
    Ends,
    Exposure,
    Line,
    Model,
    add_up,
    debt_lines,
    equity,
    largest_multiple,
    lines,
    sound_between,
)
from aggregator.margin.house import measure
from tests.unit.aggregator.test_correlation import two


def held(identity: str, value: float, kept: float = 1.0, market: float = 0.0) -> Exposure:
    return Exposure(identity=identity, is_debt=False, value=value, kept=kept, market=market)


def owed(identity: str, value: float, kept: float = 1.0, market: float = 0.0) -> Exposure:
    return Exposure(identity=identity, is_debt=True, value=value, kept=kept, market=market)


def model(correlation: float = 0.5, kappa: float = 0.5) -> Model:
    return Model(kappa=kappa, correlations=two(correlation))


NOTHING_KNOWN = Model(kappa=0.5, correlations=Correlations())


def test_without_market_risk_it_is_collateral_over_debt_to_the_last_bit() -> None:
    sums = add_up([held("ETH", 20_000, kept=0.8), owed("USDC", 7_000, kept=1.1)])

    assert largest_multiple(debt_lines(sums, NOTHING_KNOWN)) == 20_000 * 0.8 / (7_000 * 1.1)


def test_one_collateral_against_a_steady_debt_is_its_worth_after_the_haircut_over_the_debt() -> None:
    sums = add_up([held("ETH", 1000, market=0.2), owed("USDC", 400)])

    assert largest_multiple(debt_lines(sums, model())) == pytest.approx(2.0)  # 1000 · (1 − 0.2) / 400


def test_two_collaterals_diversify_in_the_worst_case_of_correlation() -> None:
    sums = add_up([held("BTC", 1000, market=0.3), held("ETH", 1000, market=0.4), owed("USDC", 1000)])

    worst = math.sqrt(300**2 + 400**2 + 2 * 0.75 * 300 * 400)  # half the way from 0.5 to 1
    assert largest_multiple(debt_lines(sums, model())) == pytest.approx((2000 - 0.5 * 700 - 0.5 * worst) / 1000)


def test_a_debt_whose_price_may_rise_counts_more_by_that() -> None:
    sums = add_up([held("USDC", 1500), owed("ETH", 1000, market=0.25)])

    assert largest_multiple(debt_lines(sums, model())) == pytest.approx(1500 / 1250)


def test_all_is_added_where_kappa_is_one() -> None:
    sums = add_up([held("BTC", 1000, market=0.3), held("ETH", 1000, market=0.4), owed("ETH", 1000, market=0.25)])

    assert largest_multiple(debt_lines(sums, model(kappa=1.0))) == pytest.approx(1300 / 1250)


def test_the_multiple_solves_the_equation_it_is_the_root_of() -> None:
    sums = add_up(
        [held("BTC", 900, 0.95, 0.3), held("ETH", 1300, 0.9, 0.4), owed("ETH", 700, 1.0, 0.25), owed("USDC", 200)]
    )
    along = debt_lines(sums, model())

    assert equity(along, largest_multiple(along)) == pytest.approx(0, abs=1e-9)


def test_without_debt_it_is_as_large_as_it_gets_and_with_nothing_to_cover_it_zero() -> None:
    assert largest_multiple(debt_lines(add_up([held("ETH", 1, market=0.5)]), model())) == LARGEST_RATIO
    assert largest_multiple(debt_lines(add_up([owed("ETH", 1, market=0.5)]), model())) == 0.0
    assert largest_multiple(debt_lines(add_up([held("ETH", 1e30), owed("ETH", 1e-30)]), model())) == LARGEST_RATIO


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e280])
def test_no_size_overflows(size: float) -> None:
    sums = add_up([held("BTC", size, 0.9, 0.3), held("ETH", size, 0.9, 0.4), owed("ETH", size, 1.0, 0.25)])

    assert largest_multiple(debt_lines(sums, model())) == pytest.approx(1.1349022613208082, rel=1e-12)


def test_a_straight_line_is_sound_up_to_where_it_crosses() -> None:
    assert sound_between([Line(start=-50.0, slope=100.0)]) == Ends(below=0.5, above=None)
    assert sound_between([Line(start=300.0, slope=-200.0)]) == Ends(below=None, above=1.5)
    assert sound_between([Line(start=10.0, slope=100.0)]) == Ends(below=None, above=None)


def test_what_is_held_and_owed_at_once_may_have_a_limit_on_either_side() -> None:
    """Ten times as much is held and owed as is left beside it: whichever way it goes, the hedge is not perfect."""
    moving = add_up([held("ETH", 1000, market=0.3), owed("ETH", 1000, market=0.3)])
    ends = sound_between(along := lines(add_up([held("USDC", 400)]), moving, model()))

    assert ends.below is None
    assert ends.above == pytest.approx(400 / (0.5 * 600 + 0.5 * math.sqrt(2 * 300**2 - 2 * 0.8 * 300**2)))
    assert equity(along, ends.above or 0) == pytest.approx(0, abs=1e-9)


def test_factor_and_excess_never_disagree() -> None:
    """In each of these a last bit falls either way."""
    for debt in [700 + step * 1e-13 for step in range(-40, 40)]:
        found = measure(add_up([held("BTC", 1000, market=0.3), owed("USDC", debt)]), model())

        assert (found.health_factor >= 1) == (found.excess >= 0)


def test_what_covers_and_what_is_covered_differ_by_what_is_left() -> None:
    found = measure(add_up([held("BTC", 1000, market=0.3), held("ETH", 500, market=0.4), owed("USDC", 600)]), model())

    assert found.collateral - found.debt == pytest.approx(found.excess)
    assert found.debt == 600
    assert found.loan_to_value == pytest.approx(1 / found.health_factor)


def test_where_risk_takes_more_than_there_is_nothing_covers_and_all_the_rest_is_owed() -> None:
    """100 that may rise by half: 150 are to be covered, by nothing."""
    found = measure(add_up([owed("BTC", 100, market=0.5)]), model())

    assert (found.collateral, found.debt, found.excess) == (0.0, 150.0, -150.0)
    assert found.loan_to_value is None


def test_risks_of_one_identity_are_one() -> None:
    parts = add_up([held("ETH", 0.1, market=0.3)] * 10)

    assert parts.risks == Risks(falls={"ETH": 0.3})
    assert list(add_up([held("ETH", 1, market=0.3), held("BTC", 1, market=0.3)]).risks.falls) == ["BTC", "ETH"]
