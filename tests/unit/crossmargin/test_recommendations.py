"""Which identities a class's advice rests on, and what it does for those of which nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from aggregator.governance.terms import read_terms
from aggregator.margin.inputs import Asset
from aggregator.margin.layers import Purpose
from aggregator.margin.policy import Policy
from aggregator.risk.recommend import Move
from aggregator.risk.series import PriceDay, Series, series_of, series_of_bars
from crossmargin.recommendations import Proposal, challenged, proposals
from tests.support.walks import walks
from tests.unit.aggregator.builders import POLICY

START, DAYS = date(2020, 1, 1), 700
TODAY = START + timedelta(DAYS)
TERMS = read_terms(POLICY)


def asset(identity: str, asset_class: str = "major") -> Asset:
    return Asset(id=f"eip155:1/{identity}", symbol=identity, asset_class=asset_class, same_as=identity)


def moving(identity: str, deviation: float, *, days: int = DAYS) -> Series:
    """Prices of as many days from `START` on that go up and down by turns."""
    found = series_of(
        identity,
        [PriceDay(START + timedelta(n), 100.0 + 100 * deviation * (n % 2), None, None, "x") for n in range(days)],
    )
    assert found is not None
    return found


def proposed(*known: Series, assets: tuple[Asset, ...], policy: Policy = TERMS.policy) -> Mapping[Purpose, Proposal]:
    found = proposals(assets, policy, {one.identity: one for one in known}, TODAY)
    return {each.purpose: each for each in found}


def test_a_first_day_without_a_range_keeps_nobody_from_learning() -> None:
    [bars] = walks("A", 1100)
    whole = series_of_bars(bars)
    lows, highs = whole.lows.copy(), whole.highs.copy()
    lows[0] = highs[0] = np.nan

    assert challenged(whole, 86_400)["challenger"] == pytest.approx(
        challenged(replace(whole, lows=lows, highs=highs), 86_400)["challenger"]
    )
    lows[7] = np.nan
    assert challenged(replace(whole, lows=lows), 86_400) == {}


def test_a_class_of_calm_identities_is_lowered() -> None:
    found = proposed(moving("ETH", 0.001), assets=(asset("ETH"),))[Purpose.INITIAL]

    assert (found.advice.move, found.unmeasured) == (Move.LOWER, ())
    assert found.advice.proposed < found.advice.current


@pytest.mark.parametrize("known", [(), (moving("NEW", 0.001, days=200),)])
def test_a_class_is_not_lowered_while_too_little_is_known_of_one_of_its_identities(known: tuple[Series, ...]) -> None:
    found = proposed(moving("ETH", 0.001), *known, assets=(asset("ETH"), asset("NEW")))[Purpose.INITIAL]

    assert (found.advice.move, found.unmeasured) == (Move.KEEP, ("NEW",))
    assert found.advice.proposed == found.advice.current


def test_a_class_is_raised_whatever_is_not_known_of_others() -> None:
    found = proposed(moving("ETH", 0.6), assets=(asset("ETH"), asset("NEW")))[Purpose.INITIAL]

    assert found.advice.move in {Move.RAISE, Move.ALERT}
    assert found.advice.proposed > found.advice.current


def test_a_history_that_ended_too_long_ago_advises_nothing() -> None:
    age = TERMS.policy.estimates.ages.history_max_age_s // 86_400
    last, older = moving("ETH", 0.001, days=DAYS - age + 1), moving("ETH", 0.001, days=DAYS - age)

    assert proposed(last, assets=(asset("ETH"),))
    assert proposed(older, assets=(asset("ETH"),)) == {}
    both = proposed(older, moving("BTC", 0.001), assets=(asset("ETH"), asset("BTC")))[Purpose.INITIAL]
    assert (both.identity, both.advice.move, both.unmeasured) == ("BTC", Move.KEEP, ("ETH",))
