"""Estimates in the health document: what they take off, what they leave alone, and what is said of them.

WETH: threshold 0.8, haircut 0.25, initial factor 1.25; USDC: threshold 0.9; both maintenance factors 1.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Asset, HealthInputs
from aggregator.margin.layer_policy import ClassLayers
from aggregator.margin.policy import Policy, parse_policy
from aggregator.margin.risk import NO_RISK, STRESS, AssetRisk, Liquidity, RiskInputs
from aggregator.margin.status import Status
from aggregator.risk.estimates import sliced
from chains.identifiers import token
from chains.model import Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    borrower,
    inputs,
    observation,
    venue,
)

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
EXACT = [observation(WETH, 2000.0), observation(USDC, 1.0)]
LAYERS = """
[layers.class.stable]
usd_like = true
liquidity = 0.0

[layers.class.major]
liquidity = 0.0
"""


def layered(extra: str = "") -> Policy:
    return parse_policy(POLICY + LAYERS + extra)


def known(identity: str, fall: float, rise: float = 0.0, *, deviation: float = 0.04, initial: float = 1.5) -> AssetRisk:
    """Estimates of one identity; the initial ones are `initial` times those of maintenance."""
    return AssetRisk(
        identity=identity,
        maintenance=fall,
        initial=fall * initial,
        rise_maintenance=rise,
        rise_initial=rise * initial,
        deviation=deviation,
        swing=deviation,
        basis="fhs",
        days=1000,
        last_day="2025-01-01",
    )


def risk(*assets: AssetRisk, correlation: float = 0.0, **more: Any) -> RiskInputs:
    rows = tuple(tuple(1.0 if row == column else correlation for column in assets) for row in assets)
    return RiskInputs(assets=assets, correlation=rows, **more)


def account(holding: Holding, estimates: RiskInputs, policy: Policy | None = None) -> HealthInputs:
    return replace(inputs(venue(PRICES, holding), observations=EXACT), policy=policy or layered(), risk=estimates)


def answer(holding: Holding, estimates: RiskInputs, policy: Policy | None = None) -> HealthDocument:
    return evaluate(account(holding, estimates, policy))


def test_an_estimate_above_the_classs_number_counts_instead_of_it() -> None:
    document = answer(borrower(8000, weth=10), risk(known("ETH", 0.3)))

    assert document.health_factor == "1.750000"  # 20000 · 0.7 / 8000, where the class has 0.8
    assert document.maintenance_margin.excess == "6000.00000000"
    assert document.maintenance_margin.collateral == "14000.00000000"
    assert document.headroom == "3000.00000000"  # 20000 · (1 − 0.45) − 8000


def test_an_estimate_below_the_classs_number_changes_nothing_of_one_asset_alone() -> None:
    for fall in (0.0, 0.05, 0.1999):
        document = answer(borrower(8000, weth=10), risk(known("ETH", fall, initial=1.0)))

        assert float(document.health_factor or 0) == pytest.approx(2, abs=1e-6)
        assert float(document.headroom or 0) == pytest.approx(7000, abs=1e-8)


def test_static_haircuts_are_those_of_the_class_whatever_is_estimated() -> None:
    static = layered('\n[model]\nhaircuts = "static"\n')

    document = answer(borrower(8000, weth=10), risk(known("ETH", 0.9)), static)

    assert document.health_factor == "2.000000"
    assert document.venues[0].units[0].positions[0].weight.maintenance.market == "0.000000"


def test_two_collaterals_that_do_not_fall_together_count_more_than_each_alone() -> None:
    """R = 20000 · 0.3 = 6000 and 6000 · 0.5 = 3000; the correlation 0 may be half the way to 1."""
    holding = Holding(supplied={WETH: 10, USDC: 6000}, owed={USDC: 8000})

    document = answer(holding, risk(known("ETH", 0.3), known("USDC", 0.5)))

    requirement = 0.5 * 9000 + 0.5 * math.sqrt(6000**2 + 3000**2 + 2 * 0.5 * 6000 * 3000)
    assert float(document.health_factor or 0) == pytest.approx((26_000 - requirement) / 8000, abs=1e-6)
    assert float(document.maintenance_margin.excess or 0) == pytest.approx(26_000 - requirement - 8000, abs=1e-6)


def test_in_stress_nothing_diversifies() -> None:
    holding = Holding(supplied={WETH: 10, USDC: 6000}, owed={USDC: 8000})

    document = answer(holding, risk(known("ETH", 0.3), known("USDC", 0.5), regime=STRESS, regime_reasons=("so",)))

    assert document.health_factor == "2.125000"  # (26000 − 6000 − 3000) / 8000
    assert (document.regime, document.regime_reasons) == ("stress", ("so",))


def test_a_debt_that_may_rise_counts_more_and_a_usd_like_one_does_not() -> None:
    holding = Holding(supplied={USDC: 10_000}, owed={WETH: 2})
    rising = risk(known("ETH", 0.3, 0.2), known("USDC", 0.0, 0.1))

    assert answer(holding, rising).health_factor == "1.875000"  # 9000 / (4000 · 1.2)
    assert answer(borrower(8000, weth=10), rising).health_factor == "1.750000"


def test_a_debt_of_what_is_held_is_a_hedge_in_part() -> None:
    """Rc = 6000, Rd = 1200: 0.8 of the smaller is believed, and half of all is added up whatever it hedges."""
    holding = Holding(supplied={WETH: 10}, owed={WETH: 2, USDC: 5000})

    document = answer(holding, risk(known("ETH", 0.3, 0.3)))

    requirement = 0.5 * 7200 + 0.5 * math.sqrt(6000**2 + 1200**2 - 2 * 0.8 * 6000 * 1200)
    assert float(document.maintenance_margin.excess or 0) == pytest.approx(20_000 - 9000 - requirement, abs=1e-6)


def test_while_debt_is_not_known_nothing_that_is_held_makes_up_for_what_the_market_may_take() -> None:
    """What is not known may be owed in anything, so neither collaterals beside each other nor a hedge count for more."""
    known_of = account(
        Holding(supplied={WETH: 10, USDC: 6000}, owed={WETH: 2}), risk(known("ETH", 0.3, 0.3), known("USDC", 0.5))
    )

    told = evaluate(known_of)
    missing = evaluate(replace(known_of, gaps=(Reason("logs_missing", CHAIN, "blocks 5 to 7 are not there"),)))

    assert missing.collateral.raw == told.collateral.raw == "26000.00000000"
    assert (missing.collateral.haircut, missing.collateral.maintenance) == ("12500.00000000", "17000.00000000")
    assert missing.initial_margin.collateral == missing.pools[0].initial_margin.collateral == "12500.00000000"
    assert missing.maintenance_margin.collateral == missing.pools[0].maintenance_margin.collateral == "17000.00000000"
    assert missing.max_ltv == "0.480769"  # 12500 / 26000, rounded down
    assert float(told.collateral.haircut) > 12_500
    assert float(told.collateral.maintenance) > 17_000


def test_what_no_estimate_speaks_of_counts_by_its_class() -> None:
    holding = Holding(supplied={WETH: 10, JUNK: 100}, owed={USDC: 8000}, flagged=(WETH, JUNK))
    priced = PRICES | {JUNK: Price(usd=100)}
    document = evaluate(
        replace(inputs(venue(priced, holding), observations=EXACT), policy=layered(), risk=risk(known("ETH", 0.3)))
    )

    junk = next(item for item in document.venues[0].units[0].positions if item.symbol == "JUNK")
    assert "market" in junk.weight.assumed
    assert document.health_factor == "2.375000"  # (14000 + 10000 · 0.5) / 8000


def test_a_position_lists_its_layers() -> None:
    said = Liquidity(identity="ETH", daily_volume_usd=1e6, spread=0.02, fee=0.01, as_of="2025-01-01", source="x")
    document = answer(
        borrower(8000, weth=10),
        risk(known("ETH", 0.3, deviation=0.05), liquidity=(said,)),
        layered("\n[layers.bridge]\nunsaid = 0.02\n\n[layers.chain]\nother = 0.01\n"),
    )
    weth = next(item for item in document.venues[0].units[0].positions if item.side == "supply")

    sold = 0.02 + 0.05 * math.sqrt(20_000 / (1e6 * 0.3))  # half the spread and the fee, and σ · √(Q / (ADV · φ))
    layers = weth.weight.maintenance
    assert (layers.market, layers.bridge, layers.chain, layers.peg) == ("0.300000", "0.020000", "0.010000", "0.000000")
    assert float(layers.liquidity) == pytest.approx(sold, abs=1e-6)
    assert layers.floor == "0.200000"
    left = 0.7 * 0.98 * 0.99 * (1 - sold)
    assert float(layers.total) == pytest.approx(1 - left, abs=1e-6)
    assert float(document.health_factor or 0) == pytest.approx(20_000 * left / 8000, abs=1e-6)
    assert weth.weight.assumed == ("bridge", "chain")


def test_a_bridge_that_nobody_proved_leaves_nothing() -> None:
    before = account(borrower(8000, weth=10), NO_RISK, layered("\n[layers.bridge]\nunsaid = 0.1\nunproven = 1.0\n"))
    said = tuple(replace(asset, bridge="unproven") for asset in before.assets)

    document = evaluate(replace(before, assets=said))

    assert document.health_factor == "0.000000"
    assert document.status is Status.LIQUIDATABLE


def test_of_what_is_not_estimated_no_other_layer_is_assumed() -> None:
    policy = layered("\n[layers.bridge]\nunsaid = 0.9\n\n[layers.chain]\nother = 0.9\n")
    policy = replace(policy, layers=replace(policy.layers, classes={"major": ClassLayers(peg=0.9)}))

    document = answer(borrower(8000, weth=10), NO_RISK, policy)

    assert document.health_factor == "2.000000"
    supply = next(item for item in document.venues[0].units[0].positions if item.side == "supply")
    assert supply.weight.assumed == ("market", "liquidity", "peg", "bridge", "chain")
    assert (supply.weight.maintenance.chain, supply.weight.maintenance.total) == ("0.000000", "0.200000")


def test_a_split_position_sells_for_what_the_whole_sells_for() -> None:
    said = Liquidity(identity="ETH", daily_volume_usd=1e5, spread=0.0, fee=0.0, as_of="2025-01-01", source="x")
    estimates = risk(known("ETH", 0.3), liquidity=(said,))
    whole = account(borrower(8000, weth=10), estimates)
    halves = [
        venue(PRICES, Holding(supplied={WETH: 4}, owed={USDC: 8000}), name="toy-1"),
        venue(PRICES, Holding(supplied={WETH: 6}), name="toy-2"),
    ]

    split = evaluate(replace(whole, venues=tuple(halves)))

    assert split.health_factor == evaluate(whole).health_factor


def test_a_liquidation_price_is_where_the_health_factor_is_one() -> None:
    holding = Holding(supplied={WETH: 10, USDC: 4000}, owed={WETH: 1, USDC: 9000})
    estimates = risk(known("ETH", 0.3, 0.3), known("USDC", 0.15), correlation=0.3)
    document = answer(holding, estimates)

    eth = next(price for price in document.liquidation_prices if price.identity == "ETH")
    assert float(eth.liquidation_price_usd or 0) < 2000
    there = [observation(WETH, float(eth.liquidation_price_usd or 0)), observation(USDC, 1.0)]
    moved = evaluate(replace(account(holding, estimates), observations=tuple(there)))
    assert float(moved.health_factor or 0) == pytest.approx(1, abs=2e-6)


def test_the_common_fall_leaves_what_is_usd_like_where_it_is() -> None:
    document = answer(borrower(8000, weth=10), risk(known("ETH", 0.3, deviation=0.05)))

    assert document.distance.common_fall_pct == "42.857142"  # 1 − 8000 / (20000 · 0.7)
    assert document.distance.deviations == "8.571428"  # 6000 / (14000 · 0.05)


def test_nobody_knows_the_deviations_of_what_was_not_estimated() -> None:
    document = answer(borrower(8000, weth=10), NO_RISK)

    assert document.distance.deviations is None
    assert document.distance.common_fall_pct == "50.000000"  # 1 − 8000 / 16000


@pytest.mark.parametrize("names", [("toy-1", "toy-2"), ("toy-2", "toy-1")])
def test_what_is_a_dollar_only_in_part_does_not_stand_still_in_any_order(names: tuple[str, str]) -> None:
    """JUNK is said to be the same as USDC, is of a class that moves, and nothing is estimated of it."""
    prices = PRICES | {JUNK: Price(usd=1, threshold_bp=9_000)}
    first = venue(prices, replace(borrower(9000, weth=10), flagged=(WETH,)), name=names[0])
    second = venue(prices, Holding(supplied={JUNK: 3_000}, flagged=(JUNK,)), name=names[1])
    same = Asset(id=str(token(CHAIN, JUNK)), symbol="USDC.x", asset_class="default", same_as="USDC")
    asked = inputs(
        *sorted((first, second), key=lambda each: each.snapshot.venue.id),
        observations=[observation(WETH, 2000.0), observation(USDC, 1.0)],
    )

    document = evaluate(replace(asked, policy=layered(), risk=risk(known("ETH", 0.3)), assets=(*asked.assets, same)))

    assert document.distance.deviations is None


def test_what_nobody_estimated_in_one_cross_pool_leaves_the_account_without_deviations() -> None:
    """Another pool, of which all is known, does not stand for it."""
    policy = layered('\n[[pool]]\nid = "second"\nvenues = ["toy-2"]\n')
    first = venue(PRICES, borrower(8000, weth=10), name="toy-1")
    unknown = Holding(supplied={JUNK: 1000}, owed={USDC: 100}, flagged=(JUNK,))
    second = venue({**PRICES, JUNK: Price(usd=10)}, unknown, name="toy-2")
    asked = replace(inputs(first, observations=EXACT), policy=policy, risk=risk(known("ETH", 0.3, deviation=0.05)))

    assert evaluate(asked).distance.deviations == "8.571428"  # 6000 / (14000 · 0.05)
    together = evaluate(replace(asked, venues=(first, second)))
    assert [pool.health_factor for pool in together.pools] == ["1.750000", "50.000000"]
    assert together.distance.deviations is None


def test_free_collateral_is_what_leaves_the_initial_margin_covered() -> None:
    document = answer(borrower(3000, weth=10, usdc=1000), NO_RISK)

    eth, usdc = document.free_collateral
    assert (eth.identity, eth.usd, eth.amount) == (
        "ETH",
        "17199.99999999",
        "8.599999999998",
    )  # (15000 + 900 − 3000) / 0.75
    assert (usdc.identity, usdc.usd) == ("USDC", "1000.00000000")
    assert document.max_ltv == "0.757142"  # (20000 · 0.75 + 1000 · 0.9) / 21000


def test_nothing_is_free_where_the_initial_margin_is_not_covered() -> None:
    document = answer(borrower(15_500, weth=10), NO_RISK)

    assert [(each.usd, each.amount) for each in document.free_collateral] == [("0.00000000", "0.000000000000")]


def test_inputs_with_estimates_are_read_back_and_give_the_same_answer() -> None:
    estimates = risk(known("ETH", 0.3, 0.2), known("USDC", 0.1), correlation=0.4)
    before = account(borrower(8000, weth=10, usdc=100), estimates)

    read = from_json(to_json(before))

    assert read == before
    assert evaluate(read) == evaluate(before)


def test_estimates_of_what_an_account_has_nothing_of_change_nothing() -> None:
    """So an account comes to the same number in the whole book, by all estimates, as in its own document."""
    names = ("BTC", "ETH", "SOL", "USDC")
    everything = RiskInputs(
        assets=tuple(known(name, 0.3, 0.25) for name in names),
        correlation=((1.0, 0.9, 0.8, 0.1), (0.9, 1.0, 0.85, 0.2), (0.8, 0.85, 1.0, 0.0), (0.1, 0.2, 0.0, 1.0)),
    )
    own = sliced(everything, {"ETH", "USDC"})
    holding = Holding(supplied={WETH: 10, USDC: 4000}, owed={WETH: 1, USDC: 9000})

    before, after = answer(holding, own), answer(holding, everything)

    assert [item.identity for item in own.assets] == ["ETH", "USDC"]
    assert after.model_copy(update={"input_digest": ""}) == before.model_copy(update={"input_digest": ""})
