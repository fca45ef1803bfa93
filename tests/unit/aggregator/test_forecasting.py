"""Forecasts of a book: what is gone already is certain, what no path reaches is told as one path, and who cannot be judged is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregator.book import Book, judged
from aggregator.forecasting import Forecasts, forecast
from aggregator.margin.inputs import MarginAccount
from aggregator.margin.risk import AssetRisk, RiskInputs
from aggregator.risk.paths import PATHS, falls
from aggregator.risk.series import Series, series_of_bars
from chains.identifiers import Account
from tests.support.walks import walks
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_stressing import ISOLATED, POLICY_WITH_DOLLARS, book, owner


@pytest.fixture(scope="module")
def ether() -> Series:
    [bars] = walks("E", 900)
    return replace(series_of_bars(bars), identity="ETH")


def estimated(found: Book, ether: Series) -> Book:
    asset = AssetRisk(
        identity="ETH",
        maintenance=0.1,
        initial=0.2,
        rise_maintenance=0.1,
        rise_initial=0.2,
        deviation=0.03,
        swing=float(ether.swings[-1]),
        basis="fhs",
        days=900,
        last_day="2022-06-18",
    )
    risk = RiskInputs(assets=(asset,), correlation=((1.0,),), minima=tuple(np.linspace(9, 0, 13)))
    return judged(replace(found.inputs, risk=risk))


def of(found: Forecasts, number: int) -> tuple[float, ...]:
    [one] = [each for each in found.forecasts if owner(number).hex() in each.account.lower()]
    return one.chances


def test_chances_are_the_shares_of_paths_that_reach_the_boundary(ether: Series) -> None:
    # The venue takes 1 WETH at 80 %: 1,600. The house asks for more, so that its own equity is gone sooner.
    holdings = [
        Holding(supplied={WETH: 1}, owed={USDC: 1_600 * part}, owner=owner(n))
        for n, part in ((1, 0.9), (2, 0.8), (3, 1.01))
    ]
    found = estimated(
        book({CHAIN: holdings, OTHER_CHAIN: [Holding(supplied={WETH: 1}, owed={}, owner=owner(4))]}), ether
    )

    told = forecast(found, {"ETH": ether})

    assert [each.account[-4:] for each in told.forecasts] == [owner(n).hex()[-4:] for n in (3, 1, 2)]
    assert of(told, 3) == (1.0, 1.0, 1.0)
    factor = next(each.house.health_factor for each in found.accounts if owner(1).hex() in each.account.id.lower())
    assert factor is not None
    nearest = min(1 / float(factor), 0.9)
    drawn = np.mean(falls(ether, days=1) >= -np.log(nearest))
    assert of(told, 1)[1] == pytest.approx(drawn, abs=0.03)
    hour, day, week = of(told, 2)
    assert 1 / PATHS <= hour <= day <= week < 0.5
    assert week > 1 / PATHS
    assert told.forecasts[0].debt_usd == pytest.approx(1_616)
    assert not told.unknown


def test_what_is_owed_in_an_isolated_pool_is_expected_too(ether: Series) -> None:
    both = [Holding(supplied={WETH: 1}, owed={USDC: owed}, owner=owner(1)) for owed in (1_000, 1_500)]
    holdings = {CHAIN: both[:1], OTHER_CHAIN: both[1:]}
    account = MarginAccount(id="both", members=tuple(str(Account(chain, owner(1))) for chain in (CHAIN, OTHER_CHAIN)))
    made = book(holdings, policy=POLICY_WITH_DOLLARS + ISOLATED, accounts=(account,))

    [one] = forecast(estimated(made, ether), {"ETH": ether}).forecasts

    assert one.debt_usd == pytest.approx(2_500)


def test_the_same_seed_announces_the_same(ether: Series) -> None:
    found = estimated(
        book({CHAIN: [Holding(supplied={WETH: 1}, owed={USDC: 1_300}, owner=owner(1))], OTHER_CHAIN: []}), ether
    )

    assert forecast(found, {"ETH": ether}) == forecast(found, {"ETH": ether})
    assert forecast(found, {"ETH": ether}).forecasts != forecast(found, {"ETH": ether}, seed=9).forecasts


def test_who_cannot_be_judged_is_named(ether: Series) -> None:
    held = {CHAIN: [Holding(supplied={WETH: 1}, owed={USDC: 1_300}, owner=owner(1))], OTHER_CHAIN: []}
    nothing = forecast(book(held), {})

    assert not nothing.forecasts
    assert [each.code for each in nothing.unknown.values()] == ["nothing_estimated"]

    owes_ether = {CHAIN: [Holding(supplied={USDC: 5_000}, owed={WETH: 1}, owner=owner(1))], OTHER_CHAIN: []}
    other = replace(ether, identity="BTC")
    found = estimated(book(owes_ether), ether)
    risk = replace(found.inputs.risk, assets=(replace(found.inputs.risk.assets[0], identity="BTC"),))
    told = forecast(judged(replace(found.inputs, risk=risk)), {"BTC": other})
    assert [each.code for each in told.unknown.values()] == ["breach_not_estimated"]
    assert not told.forecasts
