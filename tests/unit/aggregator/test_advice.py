"""What an account may do: each piece of advice is what the account would be, and the best comes first."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregator.advice import Advised, Reach, advise, carried, health_of, swapped
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs
from aggregator.margin.policy import parse_policy
from aggregator.whatif import Action, Kind, WhatIfError, changed
from chains.model import Side
from tests.unit.aggregator.builders import (
    CHAIN,
    OTHER_CHAIN,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    inputs,
    observation,
    venue,
)

PRICES = {WETH: Price(usd=2_000.0), USDC: Price(usd=1.0, threshold_bp=9_000)}
BOTH = Reach(pairs=frozenset({(OTHER_CHAIN, CHAIN)}), bridge_cost=0.01)


def account() -> HealthInputs:
    """1 WETH and 100 USDC against 1,500 USDC here, at 1.13; 1 WETH and nothing owed there."""
    here = venue(PRICES, Holding(supplied={WETH: 1, USDC: 100}, owed={USDC: 1_500}))
    there = venue(PRICES, Holding(supplied={WETH: 1}), name="toy-2", chain=OTHER_CHAIN)
    return inputs(here, there, observations=(observation(WETH, 2_000.0), observation(USDC, 1.0)))


@pytest.mark.parametrize("reach", [Reach(), BOTH])
def test_advice_is_what_the_account_would_be_best_first(reach: Reach) -> None:
    found = account()
    before = evaluate(found)
    advice = advise(found, before, 90.0, reach)

    assert advice is not None
    assert advice.refused == ()
    known, gains = health_of(before), [each.per_dollar for each in advice.priced]
    assert known is not None
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] > 0
    for each in advice.priced:
        again = evaluate(changed(found, each.trade.actions, {}))
        assert health_of(again) == pytest.approx(known + each.gain)
        assert each.trade.moved_usd <= 90.0 + 1e-9
    kinds = {each.trade.kind for each in advice.priced}
    assert {Advised.REPAY, Advised.TOP_UP, Advised.REPAY_WITH} <= kinds
    crossing = {
        each.trade.kind for each in advice.priced if {"toy-2", "toy-1"} == {a.venue for a in each.trade.actions}
    }
    assert (Advised.MOVE in crossing) is bool(reach.pairs)


def test_repaying_by_hand() -> None:
    # 1 · 2,000 · 0.8 + 100 · 0.9 = 1,690 against 1,500: 1.1266…; 90 repaid: 1,690 / 1,410.
    found = account()
    advice = advise(found, evaluate(found), 90.0, Reach())

    assert advice is not None
    [repay] = [each for each in advice.priced if each.trade.kind is Advised.REPAY]
    [unit] = [each for each in repay.after.venues if each.venue == "toy-1"]
    assert float(unit.units[0].health_factor or 0) == pytest.approx(1_690 / 1_410, rel=1e-6)
    assert repay.trade.outside


def test_a_swap_and_a_move_are_what_leaves_and_what_arrives() -> None:
    found = account()
    gone, arrived = swapped(found, "toy-1", ("WETH", "USDC"), Decimal("0.1"))
    moved = carried(found, ("toy-2", "toy-1"), "WETH", Decimal("0.5"), BOTH)

    assert (gone.kind, gone.tokens, arrived.kind) == (Kind.WITHDRAW, Decimal("0.1"), Kind.SUPPLY)
    assert 0 < arrived.tokens <= 200
    assert [(each.kind, each.venue) for each in moved] == [(Kind.WITHDRAW, "toy-2"), (Kind.SUPPLY, "toy-1")]
    assert moved[1].tokens == pytest.approx(Decimal("0.495"))
    with pytest.raises(WhatIfError, match="nothing leads from"):
        carried(found, ("toy-1", "toy-2"), "WETH", Decimal("0.5"), BOTH)
    with pytest.raises(WhatIfError, match="is 0 supplies"):
        swapped(found, "toy-1", ("WETH", "DOGE"), Decimal(1))


def test_amounts_of_any_width_are_exact() -> None:
    # A thousandth of a cent a token: 1,000,000 USD are 10^11 of 18 decimals, 30 digits. 10^11 and one raw unit are owed there.
    cheap = PRICES | {WETH: Price(usd=1e-5)}
    here = venue(cheap, Holding(supplied={USDC: 2_000_000}, owed={WETH: 1e11}))
    [unit] = here.units
    debt = (WETH, Side.BORROW)
    here = replace(here, units=(replace(unit, positions={**unit.positions, debt: 10**29 + 1}),))
    found = inputs(here, observations=(observation(WETH, 1e-5), observation(USDC, 1.0)))
    advice = advise(found, evaluate(found), 1_000_000.0, Reach())

    assert advice is not None
    [repay] = [each for each in advice.priced if each.trade.kind is Advised.REPAY]
    assert float(repay.trade.actions[0].tokens) == pytest.approx(1e11)
    exact = Action(kind=Kind.REPAY, venue="toy-1", asset="WETH", tokens=Decimal("99999999999.123456789123456789"))
    [venue_after] = changed(found, [exact], {}).venues
    assert venue_after.units[0].positions[debt] == 10**29 + 1 - 99999999999123456789123456789


ALONE = '\n[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-1"]\n'
APART = '\n[[pool]]\nid = "apart"\nvenues = ["toy-1"]\n'


@pytest.mark.parametrize("pools", [ALONE, APART])
def test_what_stands_alone_in_a_pool_is_advised_by_that_pool(pools: str) -> None:
    """The house counts 0.8 of 2000 and 0.9 of 100 against 1500: 1690 / 1500, whatever there is elsewhere; the venue 0.9 of both."""
    prices = {**PRICES, WETH: Price(usd=2_000.0, threshold_bp=9_000)}
    here = venue(prices, Holding(supplied={WETH: 1, USDC: 100}, owed={USDC: 1_500}))
    there = venue(PRICES, Holding(supplied={WETH: 1}), name="toy-2", chain=OTHER_CHAIN)
    seen = (observation(WETH, 2_000.0), observation(USDC, 1.0))
    found = replace(inputs(here, there, observations=seen), policy=parse_policy(POLICY + pools))

    before = evaluate(found)
    advice = advise(found, before, 90.0, BOTH)

    assert health_of(before) == pytest.approx(1690 / 1500, abs=1e-6)
    assert advice is not None
    assert advice.priced[0].after.pools[0].health_factor is not None
    assert all(health_of(each.after) == pytest.approx(1690 / 1500 + each.gain, abs=1e-6) for each in advice.priced)
    assert all(each.gain > 0 for each in advice.priced)


def test_nothing_is_advised_where_nothing_is_known() -> None:
    mute = venue(PRICES, Holding(supplied={WETH: 1}, owed={USDC: 1_500}, mute="not_supported"))
    found = inputs(mute, observations=(observation(WETH, 2_000.0), observation(USDC, 1.0)))

    assert advise(found, evaluate(found), 90.0, Reach()) is None
