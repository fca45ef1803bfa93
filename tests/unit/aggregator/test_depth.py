"""Depth that somebody tells: how it is read, which one counts, and that simulated sales follow it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from aggregator.histories import depth_curves
from aggregator.liquidating import outlet_of, stage
from aggregator.margin.layers import index_of
from aggregator.margin.policy import parse_policy
from aggregator.margin.risk import Liquidity, RiskInputs
from chains.identifiers import token
from crossmargin.errors import UsageError
from crossmargin.imports import depth_of
from indexer.store import ImportedLiquidity
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, POLICY, WETH
from tests.unit.aggregator.test_stressing import book, borrowers

TOLD = "1000:0.001;50000:0.02"


def said(day: int, depth: str | None) -> ImportedLiquidity:
    return ImportedLiquidity("ETH", date(2024, 1, day), 1e9, 0.001, 0.0005, "desk", 0, "sha256:0", depth=depth)


def test_what_sales_lose_is_read_and_written_alike() -> None:
    assert depth_of(TOLD, "row 1") == "1000.0:0.001;50000.0:0.02"
    assert depth_of(depth_of(TOLD, "row 1"), "row 1") == depth_of(TOLD, "row 1")
    assert depth_of(None, "row 1") is None
    assert depth_of("", "row 1") is None


WRONG = (
    "1000",
    "1000:0.001:5",
    "0:0.1",
    "-5:0.1",
    "1000:0",
    "1000:1",
    "1000:-0.1",
    "1000:nan",
    "inf:0.1",
    "a:b",
    ";",
    7,
)
FALLING = ("2000:0.1;1000:0.2", "1000:0.2;2000:0.1")


@pytest.mark.parametrize("wrong", [*WRONG, *FALLING])
def test_a_depth_that_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="row 1: depth"):
        depth_of(wrong, "row 1")


def test_the_newest_that_is_said_counts_also_when_it_says_nothing_of_depth() -> None:
    curve = ((1_000.0, 0.001), (50_000.0, 0.02))

    assert depth_curves([said(1, TOLD), said(3, None)], date(2024, 1, 2)) == {"ETH": curve}
    assert depth_curves([said(1, TOLD), said(3, None)], date(2024, 1, 3)) == {}


def test_a_sale_follows_what_is_told_while_it_is_fresh() -> None:
    asset, curves = str(token(CHAIN, WETH)), depth_curves([said(1, TOLD)], date(2024, 1, 2))
    context = book({CHAIN: [], OTHER_CHAIN: []}).context
    liquid = Liquidity(identity="ETH", daily_volume_usd=1e9, spread=0.0, fee=0.0, as_of="2024-01-01", source="desk")
    fresh = replace(context, risk_index=index_of(RiskInputs(liquidity=(liquid,))))

    found = outlet_of(asset, "ETH", fresh, curves)
    assert [found.cost(usd, 1.0) for usd in (500, 1_000, 25_500, 100_000)] == pytest.approx(
        [0.0005, 0.001, 0.0105, 0.04]
    )
    assert found.cost(500, 0.1) == pytest.approx(0.001 + 0.019 * 4_000 / 49_000)
    assert outlet_of(asset, "ETH", context, curves).curve == ()
    assert outlet_of(asset, "ETH", fresh).curve == ()


@pytest.mark.parametrize("thin", [CHAIN, OTHER_CHAIN])
def test_an_identity_is_sold_as_the_worst_of_its_classes(thin: str) -> None:
    layers = "[layers.class.major]\nliquidity = 0.01\n[layers.class.default]\nliquidity = 0.2\n"
    made = book({CHAIN: borrowers(2, 1), OTHER_CHAIN: borrowers(2, 2)})
    worse = str(token(thin, WETH))
    context = replace(
        made.context,
        policy=parse_policy(POLICY + layers),
        assets={**made.context.assets, worse: replace(made.context.assets[worse], asset_class="default")},
    )

    assert stage(made.units, context).scene.outlets["ETH"].fixed == 0.2
