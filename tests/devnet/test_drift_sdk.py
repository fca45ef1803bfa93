"""Drift beside driftpy 0.8.89: what the SDK says of users by chance is what is computed here, as near as its floats allow.

Where the SDK departs from the program's source (protocol-v2 `math/margin.rs`, `state/user.rs`, `state/oracle.rs`) the numbers here follow
the source, and the comparison is of what both have in common:

- it nets deposits of the quote token with what orders would pay, so collateral and requirement differ by the same amount: their difference
  is compared;
- roots of sizes are floats and rounded up: a basis point of what is weighed so (`Drawn.tolerance`);
- it knows no limit of 100 USD for initial profits, and takes their size a thousand times smaller: initial profits are left out;
- it chooses the side of orders after the owner's own margin ratio, the program before: own ratios come without spot orders, and a test of
  their own;
- it takes the price of a stable coin as it is where the program takes 1: a test of its own;
- it compares the initial collateral with the requirement of liquidations (`can_be_liquidated`): not compared;
- it knows no isolated positions and no high leverage in `get_margin_requirement`: not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chains.model import Reason
from chains.solana.drift.margin import Calculation, Context, calculate
from chains.solana.drift.oracles import SOURCES
from chains.solana.drift.spot import Requirement, token_amount
from chains.solana.drift.states import SpotMarket, spot_address
from tests.devnet.drift_cases import PRICES, Drawn, drawn, oracle_of
from tests.devnet.sdk.drivers import Driver, driftpy
from tests.support.drift_runs import PROGRAM_ID, seen
from tests.unit.chains.solana.drift.builders import ANNS, SLOT, deposit, quote_market, spot_market, user

EXAMPLES = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def sdk() -> Iterator[Driver]:
    with driftpy() as driver:
        yield driver


def calculated(case: Drawn, requirement: Requirement) -> Calculation:
    """The program's sums with the interest that is stored, without averages: as the SDK is asked."""
    account = case.account
    world = account.book.world(account.user, accrued=False)
    assert not isinstance(world, Reason), world
    return calculate(account.user, account.balances, world, Context(requirement))


def surplus(said: Any, category: str) -> Fraction:
    return Fraction(said["total_collateral"][category]) - Fraction(said["margin_requirement"][category])


@pytest.mark.parametrize("rooted", [False, True], ids=["plain", "rooted"])
@EXAMPLES
@given(seed=SEEDS)
def test_what_is_kept_of_the_maintenance_requirement_is_what_the_sdk_says(
    sdk: Driver, *, rooted: bool, seed: int
) -> None:
    case = drawn(seed, rooted=rooted)
    said = sdk.ask(case.asked)
    found = calculated(case, Requirement.MAINTENANCE)

    assert "error" not in said, said
    ours = found.cross.total_collateral - found.cross.margin_requirement
    assert abs(ours - surplus(said, "maintenance")) <= case.tolerance
    if abs(ours) > case.tolerance:
        assert found.cross.is_met is (surplus(said, "maintenance") > 0)


@pytest.mark.parametrize("rooted", [False, True], ids=["plain", "rooted"])
@EXAMPLES
@given(seed=SEEDS)
def test_what_is_free_initially_is_what_the_sdk_says_but_for_profits(sdk: Driver, *, rooted: bool, seed: int) -> None:
    case = drawn(seed, rooted=rooted)
    said = sdk.ask(case.asked)
    found = calculated(case, Requirement.INITIAL)

    profits = sum(each.weighted_pnl for each in found.perp.values())
    ours = found.cross.total_collateral - found.cross.margin_requirement - profits
    theirs = surplus(said, "initial") - Fraction(said["weighted_pnl"]["initial"])
    assert abs(ours - theirs) <= case.tolerance


@EXAMPLES
@given(seed=SEEDS)
def test_amounts_profits_and_perp_requirements_are_what_the_sdk_says(sdk: Driver, seed: int) -> None:
    case = drawn(seed, rooted=False)
    said = sdk.ask(case.asked)
    native = case.account.venue_unit().native
    found = calculated(case, Requirement.MAINTENANCE)

    assert native is not None
    for position in case.account.user.spot:
        market = case.account.book.spot(position.market_index)
        assert isinstance(market, SpotMarket)
        tokens = token_amount(market, position.balance_type, case.account.balances.spot[position.market_index])
        assert abs(tokens - said["tokens"][str(position.market_index)]) <= 1 + (abs(tokens) >> 50)
    profits = sum(each.weighted_pnl for each in found.perp.values())
    assert abs(profits - Fraction(said["weighted_pnl"]["maintenance"])) <= 8
    assert sum(each.margin_requirement for each in found.perp.values()) == said["perp_liability_value"]["maintenance"]
    assert (native["status"] & 3 > 0) is said["being_liquidated"]


def test_the_side_of_orders_is_chosen_before_the_own_ratio(sdk: Driver) -> None:
    """By the weights of 0.5 and 1.2, bids for 2 SOL leave −1 SOL's worth and asks of 3 leave −0.6: the program takes the bids.

    With the owner's ratio of 0.5 bids still leave −1, and asks −1.5: these the SDK takes.
    """
    plain = drawn(1, rooted=False).accounts
    sol = spot_market(oracle=oracle_of(1), oracle_source=SOURCES.index("PythPull"), initial_asset_weight=5_000)
    orders = deposit(1, 0, open_bids=2 * 10**9, open_asks=-3 * 10**9, open_orders=1)
    mine = user(spot=[deposit(0, 10**13), orders], max_margin_ratio=5_000)
    case = Drawn(plain | {spot_address(PROGRAM_ID, 1): seen(sol, SLOT), ANNS: seen(mine, SLOT)})

    ours = calculated(case, Requirement.INITIAL).cross
    theirs = surplus(sdk.ask(case.asked), "initial")

    half = PRICES[1] // 100 // 2
    assert abs(ours.total_collateral - ours.margin_requirement - theirs - half) <= case.tolerance


def test_a_stable_coin_near_one_is_one_for_the_program_alone(sdk: Driver) -> None:
    market = quote_market(oracle=oracle_of(0), oracle_source=SOURCES.index("PythStableCoinPull"))
    accounts = drawn(1, rooted=False).accounts | {
        spot_address(PROGRAM_ID, 0): seen(market, SLOT),
        ANNS: seen(user(spot=[deposit(0, 10**15)]), SLOT),
    }
    case = Drawn(accounts)

    assert calculated(case, Requirement.MAINTENANCE).cross.total_collateral == 10**12
    assert sdk.ask(case.asked)["total_collateral"]["maintenance"] == 999_997 * 10**6
