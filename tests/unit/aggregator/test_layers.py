"""What comes off an asset, layer by layer."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.margin.inputs import Asset
from aggregator.margin.layer_policy import read_layers
from aggregator.margin.layers import Layers, Purpose, index_of, layers_of, sale_cost
from aggregator.margin.policy import Policy, parse_policy
from aggregator.margin.policy_text import PolicyError
from aggregator.margin.risk import NO_RISK, AssetRisk, Liquidity, PegRisk, RiskInputs
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, POLICY

LAYERS = """
[layers]
impact = 1.0
depth = 0.25
[layers.bridge]
unsaid = 0.01
canonical = 0.005
multisig = 0.15
[layers.chain]
"eip155:1" = 0.0
other = 0.03
[layers.class.stable]
peg = 0.05
usd_like = true
[layers.class.major]
cap = 0.8
liquidity = 0.02
"""

ETH = AssetRisk(
    identity="ETH",
    maintenance=0.1,
    initial=0.2,
    rise_maintenance=0.12,
    rise_initial=0.25,
    deviation=0.04,
    swing=0.04,
    basis="fhs",
    days=2000,
    last_day="2025-11-20",
)
POOL = Liquidity(identity="ETH", daily_volume_usd=4e8, spread=0.001, fee=0.0005, as_of="2025-11-20", source="desk")
RISK = RiskInputs(assets=(ETH,), liquidity=(POOL,))


def with_layers(old: str = "", new: str = "") -> Policy:
    assert old in LAYERS
    return parse_policy(POLICY + LAYERS.replace(old, new, 1))


def eth(bridge: str | None = None, asset_class: str = "major") -> Asset:
    return Asset(id="eip155:1/erc20:0x00", symbol="WETH", asset_class=asset_class, same_as="ETH", bridge=bridge)


def layers(
    risk: RiskInputs = RISK,
    *,
    asset: Asset | None = None,
    asset_class: str = "major",
    value_usd: float = 1e6,
    chain: str = CHAIN,
    purpose: Purpose = Purpose.MAINTENANCE,
    policy: Policy | None = None,
) -> Layers:
    return layers_of(
        "ETH",
        asset or eth(),
        asset_class=asset_class,
        value_usd=value_usd,
        chain=chain,
        risk=index_of(risk),
        policy=policy or with_layers(),
        purpose=purpose,
    )


def test_each_margin_has_its_own_market_layer_and_its_own_rise() -> None:
    maintenance, initial = layers(), layers(purpose=Purpose.INITIAL)

    assert (maintenance.market, maintenance.rise) == (0.1, 0.12)
    assert (initial.market, initial.rise) == (0.2, 0.25)


def test_a_sale_loses_half_the_spread_the_fee_and_its_impact() -> None:
    # 0.001/2 + 0.0005 + 0.04 · √(1e6 / (4e8 · 0.25)) = 0.001 + 0.004
    assert layers().liquidity == pytest.approx(0.005)


def test_the_policys_words_are_marked_as_assumed() -> None:
    assert layers().assumed == ("bridge",)
    assert layers(asset=eth("canonical")).assumed == ()
    assert layers(asset=eth("canonical"), chain=OTHER_CHAIN).assumed == ("chain",)
    assert layers(replace(RISK, liquidity=()), asset=eth("canonical")).assumed == ("liquidity",)


def test_what_nobody_said_of_liquidity_is_the_classs() -> None:
    assert layers(replace(RISK, liquidity=())).liquidity == 0.02


def test_without_an_estimate_the_static_number_stands_for_market_and_liquidity() -> None:
    nothing = layers(NO_RISK)

    assert (nothing.market, nothing.rise, nothing.liquidity, nothing.estimated) == (0.0, 0.0, 0.0, False)
    assert nothing.assumed == ("market", "liquidity", "bridge")


def test_bridge_and_chain_come_off_by_their_words() -> None:
    found = layers(asset=eth("multisig"), chain=OTHER_CHAIN)

    assert (found.bridge, found.chain) == (0.15, 0.03)
    assert found.non_market == pytest.approx(1 - (1 - 0.005) * (1 - 0.15) * (1 - 0.03))


def test_a_bridge_that_the_policy_does_not_know_takes_everything_and_no_cap_gives_it_back() -> None:
    found = layers(asset=eth("canonicall"))

    assert (found.bridge, found.cap) == (1.0, 1.0)
    assert layers().cap == 0.8
    assert "bridge" in found.assumed


def test_a_pegged_asset_loses_what_was_seen_and_else_what_the_policy_says() -> None:
    seen = PegRisk(identity="ETH", fall=0.123, basis="history", last_day="2025-11-20")

    assert layers(asset_class="stable").peg == 0.05
    assert "peg" in layers(asset_class="stable").assumed
    assert layers(replace(RISK, pegs=(seen,))).peg == 0.123
    assert layers(replace(RISK, pegs=(seen,)), policy=with_layers("[layers]", "[layers]\npeg = false")).peg == 0.0


@pytest.mark.parametrize("fall, counted", [(0.0, 0.05), (0.02, 0.05), (0.123, 0.123)])
def test_what_was_seen_of_a_peg_long_ago_is_no_less_than_the_policys_word(fall: float, counted: float) -> None:
    seen = PegRisk(identity="ETH", fall=fall, basis="history", last_day="2020-11-20")

    assert layers(replace(RISK, pegs=(seen,)), asset_class="stable").peg == fall
    assert layers(replace(RISK, pegs=(replace(seen, fresh=False),)), asset_class="stable").peg == counted


def test_a_debt_of_what_is_like_usd_does_not_rise() -> None:
    assert layers(asset_class="stable").rise == 0.0


def test_without_volume_nothing_can_be_sold() -> None:
    assert layers(replace(RISK, liquidity=(replace(POOL, daily_volume_usd=0.0),))).liquidity == 1.0


@given(
    fixed=st.floats(0, 1.2),
    slope=st.floats(0, 1e-2),
    smaller=st.floats(0, 1e12),
    more=st.floats(0, 1e12),
)
def test_selling_more_never_brings_less(fixed: float, slope: float, smaller: float, more: float) -> None:
    larger = smaller + more
    brought = [value * (1 - sale_cost(value, fixed=fixed, slope=slope)) for value in (smaller, larger)]

    assert brought[1] >= brought[0] - 1e-9 * larger
    assert 0 <= sale_cost(larger, fixed=fixed, slope=slope) <= 1


def test_the_envelope_is_the_best_of_all_smaller_sales() -> None:
    fixed, slope = 0.01, 1e-4  # v* = (0.99 / 1.5e-4)² = 43.56 M
    for value in (1e6, 4e7, 4.4e7, 2e8, 1e9):
        sales = [value * part / 20_000 for part in range(20_001)]
        best = max(sold * (1 - fixed - slope * math.sqrt(sold)) for sold in sales)
        assert value * (1 - sale_cost(value, fixed=fixed, slope=slope)) == pytest.approx(best, rel=1e-6)


def test_a_policy_of_layers_comes_back_from_json_as_it_was() -> None:
    policy = with_layers().layers

    assert read_layers(json.loads(json.dumps(asdict(policy)).replace(".0,", ",").replace(".0}", "}"))) == policy


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("depth = 0.25", "dept = 0.25", r'\[layers\]: unknown key "dept"; did you mean "depth"'),
        ("depth = 0.25", "depth = 0", r"\[layers\] must keep 0 < depth ≤ 1"),
        ("multisig = 0.15", 'multisig = "15%"', r"\[layers.bridge\] multisig must be a number"),
        ("other = 0.03", "other = 1.03", r"\[layers.chain\] other must be a share from 0 to 1, not 1.03"),
        ("[layers.class.major]", "[layers.class.majors]", r'unknown asset class "majors"; did you mean "major"'),
        ("cap = 0.8", "cap = 0.01", r"\[layers.class.major\] must keep liquidity ≤ cap"),
        ("usd_like = true", "usd_like = 1", r"\[layers.class.stable\] usd_like must be true or false, not 1"),
        ("[layers.chain]", "[layers.chains]", r'\[layers\]: unknown key "chains"; did you mean "chain"'),
    ],
)
def test_layers_that_cannot_be_meant_are_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        with_layers(old, new)


def test_a_policy_without_layers_takes_nothing_off() -> None:
    found = layers(NO_RISK, policy=parse_policy(POLICY), chain=OTHER_CHAIN)

    assert (found.non_market, found.cap) == (0.0, 1.0)
