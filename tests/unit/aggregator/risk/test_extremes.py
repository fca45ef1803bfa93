"""Everything at once, by what is estimated; and how much of a thing is too much."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest

from aggregator.risk.extremes import smallest_multiple, together
from aggregator.risk.grid import CHANCES
from aggregator.risk.scenarios import Held, Library, Rule, ScenarioError, parse_library

ETHER = Held(asset="eip155:1/slip44:60", identity="ETH", chain="eip155:1")
DOLLAR = Held(asset="eip155:1/erc20:0x02", identity="USDC", chain="eip155:1", usd_like=True)
OTHER = Held(asset="eip155:1/erc20:0x04", identity="OP", chain="eip155:1", beta=1.2)
MINIMA = tuple(-2.5 * math.log10(chance) for chance in CHANCES)
"""At a chance of 0.001 a day falls 7.5 deviations."""


@pytest.fixture(scope="module")
def library() -> Library:
    document = Path(__file__).parents[4] / "config" / "scenarios.toml"
    return parse_library(tomllib.loads(document.read_text(encoding="utf-8")))


def test_everything_falls_by_its_own_deviations(library: Library) -> None:
    made = together(library, [ETHER, DOLLAR, OTHER], {"ETH": 0.04, "BTC": 0.03}, MINIMA)

    beyond = max(chance for chance in CHANCES if chance <= library.together)
    deviations = -2.5 * math.log10(beyond)
    assert deviations == pytest.approx(7.5, abs=0.06)
    assert deviations >= 7.5
    assert {applied.asset: (applied.move, applied.rule) for applied in made.moves} == {
        ETHER.asset: (pytest.approx(math.exp(-0.04 * deviations) - 1, abs=1e-9), Rule.ESTIMATED),
        DOLLAR.asset: (0.0, Rule.UNTOUCHED),
        OTHER.asset: (pytest.approx((math.exp(-0.03 * deviations) - 1) * 1.2 * 1.5, abs=1e-9), Rule.BETA),
    }


def test_what_nobody_knows_is_not_made(library: Library) -> None:
    with pytest.raises(ScenarioError, match="how far days go"):
        together(library, [ETHER], {"ETH": 0.04}, ())
    with pytest.raises(ScenarioError, match="nothing is estimated of OP"):
        together(library, [OTHER], {"ETH": 0.04}, MINIMA)


@pytest.mark.parametrize(
    "limit, expected", [(0.0, 0.5), (25.0, 3.0), (-1.0, 0.0), (1e9, None), (634.9, 63.99), (635.0, None)]
)
def test_the_smallest_multiple_is_told_from_below(limit: float, expected: float | None) -> None:
    found = smallest_multiple(lambda multiple: max(10 * (multiple - 0.5), 0.0), limit)

    assert found == (None if expected is None else pytest.approx(expected))
    assert found is None or limit < 0 or 10 * (found - 0.5) <= limit
