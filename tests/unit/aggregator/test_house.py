"""Numbers of the house: liquidation prices, rounding, ends of the scale. WETH: threshold 0.8; USDC: 0.9."""

from __future__ import annotations

from aggregator.margin.health import evaluate
from tests.unit.aggregator.builders import USDC, WETH, Holding, Price, borrower, inputs, observation, venue

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}


def test_a_liquidation_price_solves_for_one_asset_with_the_others_unchanged() -> None:
    document = evaluate(
        inputs(
            venue(PRICES, borrower(9000, weth=10, usdc=1000)),
            observations=[observation(WETH, 2000.0), observation(USDC, 1.0)],
        )
    )

    eth, usdc = document.liquidation_prices
    assert eth.liquidation_price_usd == "1012.500000000000"  # (9000 − 1000 · 0.9) / (10 · 0.8)
    assert eth.distance_pct == "-49.375000"
    assert usdc.liquidation_price_usd == "1.975308641975"  # 16000 / (9000 − 900): rising, for more is owed than held
    assert usdc.distance_pct == "97.530864"


def test_no_price_liquidates_what_other_collateral_covers() -> None:
    document = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1, USDC: 5000}, owed={USDC: 100}))))

    assert [price.liquidation_price_usd for price in document.liquidation_prices] == [None, None]


def test_an_account_below_one_has_no_liquidation_price_left() -> None:
    document = evaluate(inputs(venue(PRICES, borrower(17_000, weth=10))))

    assert {price.liquidation_price_usd for price in document.liquidation_prices} == {None}


def test_rounding_falls_on_the_unfavourable_side() -> None:
    document = evaluate(inputs(venue(PRICES, borrower(3, weth=0.001)), observations=[observation(WETH, 7000.0)]))

    assert document.health_factor == "1.866666"  # 5.6 / 3
    assert document.risk_adjusted_ltv == "0.535715"  # 3 / 5.6 = 0.5357142…
    assert document.ltv == "0.428572"  # 3 / 7


def test_a_debt_that_is_nothing_shows_a_finite_health_factor() -> None:
    holding = Holding(supplied={WETH: 10**9}, owed={USDC: 10**-6})

    assert evaluate(inputs(venue(PRICES, holding))).health_factor == "1000000000000.000000"
