"""Properties of simulated liquidations, by the numbers of docs/properties.md."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.freezing import frozen, later, reopened
from aggregator.liquidating import stage_of
from aggregator.risk.liquidation import Order, Outcome, Outlet, Scene, Terms
from aggregator.risk.liquidation_run import simulate
from chains.identifiers import token
from chains.liquidating import Exposed, Taken
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, WETH, Holding
from tests.unit.aggregator.test_stressing import book, borrowers, owner

ETHER = str(token(CHAIN, WETH))
CENT = 0.01

SEEDS = st.integers(0, 10**6)
MOVES = st.floats(-0.9, 0.1)
TERMS = st.builds(
    Terms,
    order=st.sampled_from(Order),
    impact_cap=st.sampled_from((0.01, 0.05, 1.0)),
    venue_limit_usd=st.sampled_from((None, 500.0)),
    profitable_only=st.booleans(),
    depth=st.sampled_from((1.0, 0.1)),
    seed=st.integers(0, 9),
)
CURVE = ((1_000.0, 0.002), (20_000.0, 0.1))


def scene(
    seed: int, ether: float, shown: float | None = None, *, slope: float = 0.001, curve: bool = False, fund: float = 0.0
) -> Scene:
    """A crowd at two venues after a move of ether; venues see `shown` of it."""
    found = stage_of(book({CHAIN: borrowers(20, seed), OTHER_CHAIN: borrowers(8, seed + 1)})).scene
    assets = [asset for asset, identity in found.identities.items() if identity == "ETH"]
    outlets = {
        name: Outlet(identity=name, fixed=0.0, slope=slope, volume_usd=1e6, curve=CURVE if curve else ())
        for name in found.outlets
    }
    return replace(
        found,
        outlets=outlets,
        moves=dict.fromkeys(assets, ether),
        shown={} if shown is None else dict.fromkeys(assets, shown),
        funds={"toy-1": fund},
        common_usd=fund,
    )


def assert_conserved(found: Outcome) -> None:
    """L1: what accounts lose is what liquidators, venues and the market gain, and equity falls by that, to the cent."""
    lost = found.total("lost")
    assert lost == pytest.approx(found.total("gained") + found.total("kept") + found.total("impact"), abs=CENT)
    change = lost - found.total("forgiven") + found.revalued
    assert found.equity_before - found.equity_after == pytest.approx(change, abs=CENT)


@settings(max_examples=15, deadline=None)
@given(SEEDS, MOVES, st.none() | MOVES, TERMS, st.sampled_from((0.0, 300.0)))
def test_l1_l2_value_is_conserved_and_losses_are_paid_once(
    seed: int, ether: float, shown: float | None, terms: Terms, fund: float
) -> None:
    made = scene(seed, ether, shown, curve=seed % 2 == 1, fund=fund)
    found = simulate(made, terms)

    assert_conserved(found)
    for loss in found.losses:
        assert min(loss.by_fund, loss.by_common, loss.by_lenders) >= -1e-9
        assert loss.bad_debt == pytest.approx(loss.by_fund + loss.by_common + loss.by_lenders, abs=CENT)
    paid = 2 * fund - math.fsum(found.funds_left.values()) - found.common_left
    assert found.bad_debt - math.fsum(loss.by_lenders for loss in found.losses) == pytest.approx(paid, abs=CENT)


@settings(max_examples=8, deadline=None)
@given(SEEDS, MOVES, TERMS)
def test_l3_the_order_of_units_and_a_second_run_change_nothing(seed: int, ether: float, terms: Terms) -> None:
    made = scene(seed, ether)
    shuffled = list(made.borrowers)
    random.Random(seed).shuffle(shuffled)

    found, again = simulate(made, terms), simulate(replace(made, borrowers=tuple(shuffled)), terms)

    assert (found.steps, found.losses, found.times) == (again.steps, again.losses, again.times)


@settings(max_examples=8, deadline=None)
@given(SEEDS, MOVES, TERMS)
def test_l4_no_raw_unit_is_lost_or_made(seed: int, ether: float, terms: Terms) -> None:
    made = scene(seed, ether)
    found = simulate(made, terms)

    for borrower in made.borrowers:
        steps = [step for step in found.steps if step.unit == borrower.name]
        taken = sum(step.seized_raw + step.fee_raw for step in steps)
        before, after = (amounts(each, "collaterals") for each in (borrower.exposed, found.left[borrower.name]))
        assert sum(before.values()) - sum(after.values()) == taken
        paid = sum(step.paid_raw for step in steps)
        owed, left = (sum(amounts(each, "debts").values()) for each in (borrower.exposed, found.left[borrower.name]))
        assert owed - left >= paid
        if not any(step.forgiven for step in steps):
            assert owed - left == paid


def amounts(exposed: Exposed, side: str) -> dict[bytes, int]:
    return {lot.market: lot.amount_raw for lot in getattr(exposed, side)}


@settings(max_examples=6, deadline=None)
@given(SEEDS, MOVES, TERMS)
def test_l5_a_freeze_of_no_days_and_a_lag_of_nothing_are_the_scenario_itself(
    seed: int, ether: float, terms: Terms
) -> None:
    made = book({CHAIN: borrowers(12, seed), OTHER_CHAIN: borrowers(5, seed + 1)})
    plain = replace(stage_of(made).scene, moves={ETHER: ether})

    [frozen_none] = reopened(made, [0], terms, plain)

    assert frozen_none.outcome == simulate(plain, terms)
    assert frozen_none.interest_usd == 0
    assert frozen(made, 0) == stage_of(made)
    assert later(made, 0) is made
    assert simulate(replace(plain, shown=plain.moves), terms) == simulate(plain, terms)


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.integers(1, 30))
def test_l6_a_longer_freeze_never_owes_less(seed: int, days: int) -> None:
    made = book({CHAIN: borrowers(12, seed), OTHER_CHAIN: []})
    plain = replace(stage_of(made).scene, moves={ETHER: -0.3})

    few, many = reopened(made, [days, days + 1], Terms(), plain)

    assert 0 <= few.interest_usd <= many.interest_usd
    assert stage_of(later(made, days)).scene.borrowers == frozen(made, days).scene.borrowers


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.floats(-0.9, -0.2))
def test_l7_a_pool_that_fails_changes_no_other(seed: int, ether: float) -> None:
    """Where sales move no price, what happens at one venue is the same whoever fails at another."""
    alone, beside = (
        stage_of(book({CHAIN: borrowers(10, seed), OTHER_CHAIN: there})).scene
        for there in ([], [Holding(supplied={WETH: 9}, owed={WETH: 8.9}, owner=owner(99)), *borrowers(6, seed + 7)])
    )
    found = []
    for made in (alone, beside):
        outlets = {name: Outlet(identity=name, fixed=0.0) for name in made.outlets}
        moves = dict.fromkeys((asset for asset, name in made.identities.items() if name == "ETH"), ether)
        found.append(
            simulate(replace(made, outlets=outlets, moves=moves, funds={"toy-1": 50.0}), Terms(impact_cap=1.0))
        )

    first, second = found
    assert [step for step in second.steps if step.venue == "toy-1"] == list(first.steps)
    assert [loss for loss in second.losses if loss.pool.venue == "toy-1"] == list(first.losses)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(-0.9, -0.1), st.floats(0, 1))
def test_l8_no_cover_takes_more_than_there_is_or_is_allowed(seed: int, ether: float, part: float) -> None:
    made = scene(seed, ether)
    for borrower in made.borrowers[:6]:
        times = {lot.asset: 1 + made.moves.get(borrower.assets[lot.asset], 0.0) for lot in borrower.exposed.collaterals}
        exposed: Exposed = borrower.exposed.moved({asset: Fraction(value) for asset, value in times.items()})
        assert exposed.health_factor_wad is not None
        for pledged in exposed.collaterals:
            for owed in exposed.debts:
                most = exposed.most(pledged.market, owed.market)
                assert 0 <= most <= owed.amount_raw
                assert (most == 0) or exposed.health_factor_wad < 10**18
                cover = exposed.most(pledged.market, owed.market, int(most * part))
                if cover:
                    left, done = exposed.taken(pledged.market, owed.market, cover)
                    assert_taken(exposed, left, done)


def assert_taken(before: Exposed, after: Exposed, done: Taken) -> None:
    had, has = amounts(before, "collaterals"), amounts(after, "collaterals")
    for portion in (*done.seized, *done.fee):
        had[portion.market] -= portion.amount_raw
    assert {market: amount for market, amount in had.items() if amount} == has
    owed, owes = amounts(before, "debts"), amounts(after, "debts")
    for portion in (*done.relieved, *done.forgiven):
        owed[portion.market] -= portion.amount_raw
    assert {market: amount for market, amount in owed.items() if amount} == owes
