"""Simulated liquidations: numbers by hand, and what holds in any of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aggregator.liquidating import stage_of
from aggregator.risk.liquidation import Order, Outlet, Pool, Scene, Terms
from aggregator.risk.liquidation_run import compared, simulate
from chains.identifiers import format_address, token
from chains.liquidating import Weighted
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, USDC, WETH, Holding
from tests.unit.aggregator.test_liquidation_properties import assert_conserved
from tests.unit.aggregator.test_stressing import book, borrowers, owner

ETHER, DOLLAR = (str(token(CHAIN, asset)) for asset in (WETH, USDC))
FREELY = Terms(impact_cap=1.0)


def scene(*holdings: Holding, there: tuple[Holding, ...] = (), ether: float = 0.0, **outlets: float) -> Scene:
    """A book of toy units after a move of ether; `outlets`: slope by identity, nothing is lost otherwise."""
    found = stage_of(book({CHAIN: list(holdings), OTHER_CHAIN: list(there)})).scene
    assets = [asset for asset, identity in found.identities.items() if identity == "ETH"]
    return replace(
        found,
        outlets={
            name: Outlet(
                identity=name, fixed=0.0, slope=outlets.get(name, 0.0), volume_usd=1e6 if name == "ETH" else 1e9
            )
            for name in found.outlets
        },
        moves=dict.fromkeys(assets, ether),
    )


def test_one_liquidation_by_hand() -> None:
    # 1 WETH at 1,800 · 0.8 = 1,440 against 1,500: half is paid, 750, for 825 of WETH; a tenth of the 75 is the venue's.
    # Then 975 · 0.8 = 780 against 750: sound. Nothing is lost by selling.
    found = simulate(scene(Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1)), ether=-0.1), FREELY)

    [step] = found.steps
    assert (step.paid, step.seized, step.fee) == pytest.approx((750, 817.5, 7.5))
    assert (step.lost, step.gained, step.kept, step.impact) == pytest.approx((75, 67.5, 7.5, 0))
    assert (found.equity_before, found.equity_after) == pytest.approx((300, 225))
    assert found.ended
    assert found.rounds == 2
    assert found.bad_debt == 0
    assert found.standing == ()


def test_a_sale_marks_the_book_and_takes_others_with_it() -> None:
    # Selling V loses 0.001·√V: of 817.5, 2.86 %, half of which stays. The second stands at 1,450 · 0.8 ≥ 1,150 until then.
    first = Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))
    second = Holding(supplied={WETH: 1}, owed={USDC: 1_430}, owner=owner(2))
    alone = simulate(scene(second, ether=-0.1, ETH=0.001), FREELY)
    found = simulate(scene(first, second, ether=-0.1, ETH=0.001), FREELY)

    assert alone.steps == ()
    assert len(found.liquidated) == 2
    assert [step.round for step in found.steps][:2] == [1, 2]
    fall = 0.001 * math.sqrt(817.5)
    assert found.steps[0].impact == pytest.approx(817.5 * fall)
    assert found.times[ETHER] < 0.9 * (1 - fall / 2) + 1e-12
    assert_conserved(found)


def test_what_any_amount_loses_stays_in_the_price_once() -> None:
    # A sale loses 2 % whatever its amount. The first is liquidated in four rounds: half of 2 % stays once, not round by round,
    # and the second, at 1,800 · 0.99 · 0.8 = 1,425.6 ≥ 1,420, is never reached.
    first = Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1))
    second = Holding(supplied={WETH: 1}, owed={USDC: 1_420}, owner=owner(2))
    made = scene(first, second, ether=-0.1)
    fixed = {name: replace(outlet, fixed=0.02) for name, outlet in made.outlets.items()}
    found = simulate(replace(made, outlets=fixed), replace(FREELY, venue_limit_usd=200.0))

    assert {step.round for step in found.steps} == {1, 2, 3, 4}
    assert [step.impact for step in found.steps] == pytest.approx([0.02 * step.seized for step in found.steps])
    assert found.times[ETHER] == pytest.approx(0.9 * 0.99)
    assert len(found.liquidated) == 1
    assert found.ended
    assert_conserved(found)


def test_selling_more_never_brings_less() -> None:
    # 1 − 0.02 − 0.001·√V of V brings the most at V = (0.98 / 0.0015)²; beyond that no more comes in, and no less.
    outlet = Outlet(identity="X", fixed=0.02, slope=0.001)
    best = (0.98 / 0.0015) ** 2

    assert outlet.cost(best, 1.0) == pytest.approx(0.02 + 0.001 * math.sqrt(best))
    brought = [sold * (1 - outlet.cost(sold, 1.0)) for sold in (best / 2, best, 2 * best, 9 * best)]
    assert brought == pytest.approx([brought[0], best * 0.98 / 3, best * 0.98 / 3, best * 0.98 / 3])
    assert brought[0] < brought[1]


def test_what_nothing_is_left_for_is_forgiven_and_paid_by_the_fund_then_by_lenders() -> None:
    # 1 WETH of 2,000 falls by 60 % to 800 against 1,000: it pays for 727.27, and 272.73 are bad debt.
    fallen = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))
    lender = Holding(supplied={USDC: 1_000}, flagged=(), owner=owner(2))
    made = replace(scene(fallen, lender, ether=-0.6), funds={"toy-1": 100.0}, common_usd=50.0)
    found = simulate(made, FREELY)

    [loss] = found.losses
    bad = 1_000 - 800 / 1.1
    assert loss.pool == Pool("toy-1", format_address(CHAIN, USDC))
    assert (loss.bad_debt, loss.by_fund, loss.by_common) == pytest.approx((bad, 100, 50))
    assert loss.by_lenders == pytest.approx(bad - 150)
    assert loss.share == pytest.approx((bad - 150) / 1_000)
    assert (found.funds_left["toy-1"], found.common_left) == pytest.approx((0, 0))
    assert_conserved(found)


def test_a_surplus_of_one_pays_no_loss_of_another_and_lenders_lose_no_more_than_all() -> None:
    # 272.73 are lacking as above; 400 USD of the other's collateral are beyond its debt of 400, and 100 were lent.
    fallen = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))
    sound = Holding(supplied={WETH: 1}, owed={USDC: 400}, owner=owner(2))
    lender = Holding(supplied={USDC: 100}, flagged=(), owner=owner(3))
    found = simulate(scene(fallen, sound, lender, ether=-0.6), FREELY)

    [loss] = found.losses
    assert loss.bad_debt == pytest.approx(1_000 - 800 / 1.1)
    assert loss.share == 1


def test_a_loss_of_one_pool_changes_no_other() -> None:
    """A venue that fails beside another leaves every liquidation and loss there as it is."""
    falling = Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1))
    worse = Holding(supplied={WETH: 5}, owed={USDC: 9_000}, owner=owner(2))
    alone, beside = (
        simulate(replace(scene(falling, there=there, ether=-0.6), funds={"toy-1": 10.0, "toy-2": 5.0}), FREELY)
        for there in ((), (worse,))
    )

    assert len(beside.losses) == 2
    assert [loss for loss in beside.losses if loss.pool.venue == "toy-1"] == list(alone.losses)
    assert [step for step in beside.steps if step.venue == "toy-1"] == list(alone.steps)


def test_limits_are_kept() -> None:
    crowd = borrowers(30, 5)
    free = simulate(scene(*crowd, ether=-0.25, ETH=0.0005), Terms(impact_cap=1.0, rounds=200))
    held = simulate(scene(*crowd, ether=-0.25, ETH=0.0005), Terms(venue_limit_usd=700.0, impact_cap=0.01, rounds=200))

    by_round: dict[int, float] = {}
    for step in held.steps:
        by_round[step.round] = by_round.get(step.round, 0.0) + step.paid
    assert max(by_round.values()) <= 700
    assert held.rounds > free.rounds
    ether = [(step.round, step.seized) for step in held.steps if step.collateral == ETHER]
    for number in by_round:
        sold = sum(seized for made, seized in ether if made == number)
        assert 0.0005 * math.sqrt(sold) <= 0.01 + 1e-9


def test_nobody_liquidates_at_a_loss_where_that_is_asked() -> None:
    # Selling 817.5 loses 0.01·√817.5 = 28.6 % of it, far more than the bonus.
    made = scene(Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1)), ether=-0.1, ETH=0.01)

    assert simulate(made, replace(FREELY, profitable_only=True)).steps == ()
    assert simulate(made, replace(FREELY, profitable_only=True)).standing
    assert simulate(made, FREELY).total("gained") < 0


def test_of_whom_nothing_is_left_to_take_he_is_not_counted_as_standing() -> None:
    # 400 of WETH for 1,000 of debt: all of it goes, and the venue writes nothing off.
    made = scene(Holding(supplied={WETH: 1}, owed={USDC: 1_000}, owner=owner(1)), ether=-0.8)
    [held] = made.borrowers
    assert isinstance(held.exposed, Weighted)
    kept = replace(made, borrowers=(replace(held, exposed=replace(held.exposed, forgives=False)),))

    found = simulate(kept, FREELY)

    assert not found.left[held.name].collaterals
    assert found.left[held.name].debts
    assert (found.liquidated, found.standing) == ((held.name,), ())
    assert found.bad_debt > 600


def test_who_is_late_liquidates_by_old_prices_and_sells_at_new_ones() -> None:
    # The market is at 1,200, the venue still at 1,800: half of 1,500 is paid for 825 at the venue's price, 550 at the market's.
    made = scene(Holding(supplied={WETH: 1}, owed={USDC: 1_500}, owner=owner(1)), ether=-0.4)
    late = simulate(replace(made, shown={ETHER: -0.1}), FREELY)
    blind = simulate(replace(made, shown={ETHER: 0.0}), FREELY)

    assert (late.steps[0].paid, late.steps[0].seized) == pytest.approx((750, 817.5 * 1_200 / 1_800))
    assert late.steps[0].gained < 0
    assert simulate(replace(made, shown={ETHER: -0.1}), replace(FREELY, profitable_only=True)).steps == ()
    assert blind.steps == ()
    assert blind.bad_debt == pytest.approx(300)
    assert_conserved(late)
    assert simulate(replace(made, shown=made.moves), FREELY) == simulate(made, FREELY)


@pytest.mark.parametrize("shown", [-0.1, 0.5])
def test_the_cap_is_kept_at_the_prices_of_the_market(shown: float) -> None:
    # 0.01·√V is 1 % at 1 USD and 5 % at 25: so much is sold in a round, whatever the venue takes ether for.
    crowd = [Holding(supplied={WETH: 1}, owed={USDC: 2_900}, owner=owner(number)) for number in range(1, 4)]
    made = replace(scene(*crowd, ether=-0.4, ETH=0.01), shown={ETHER: shown})
    found = simulate(made, Terms(impact_cap=0.05, rounds=3))

    sold: dict[int, float] = {}
    for step in found.steps:
        sold[step.round] = sold.get(step.round, 0.0) + step.seized
    assert list(sold.values()) == pytest.approx([25] * 3, rel=1e-3)


def test_orders_sell_in_their_order() -> None:
    both = Holding(supplied={WETH: 1, USDC: 500}, owed={USDC: 2_050}, owner=owner(1))
    found = compared(scene(both, ether=-0.1), FREELY)

    first = {order: outcome.steps[0].collateral for order, outcome in found.items()}
    assert first[Order.LEAST_LIQUID] == ETHER
    assert first[Order.MOST_LIQUID] == DOLLAR
    assert {step.collateral for step in found[Order.PRO_RATA].steps[:2]} == {ETHER, DOLLAR}


def test_a_curve_is_followed_between_its_points() -> None:
    curve = Outlet(identity="X", fixed=0.0, curve=((1_000.0, 0.01), (5_000.0, 0.05)))

    assert [curve.cost(sold, 1.0) for sold in (500, 1_000, 3_000, 5_000, 10_000)] == pytest.approx(
        [0.005, 0.01, 0.03, 0.05, 0.1]
    )
    assert curve.cost(500, 0.1) == pytest.approx(0.05)
    assert curve.room(0.03, 1.0) == pytest.approx(3_000)
    assert curve.room(0.03, 0.1) == pytest.approx(300)


def test_the_cheapest_collateral_is_that_which_brings_the_most_health_for_what_is_lost() -> None:
    # A dollar of either pays 1 / 1.1 of debt. Of USDC, which counts 90 %, that brings 0.009 of headroom for 0.091; of WETH, which counts
    # 80 %, 0.109 for 0.091 and the 10 % that its sale loses.
    held = Holding(supplied={WETH: 1, USDC: 500}, owed={USDC: 2_100}, owner=owner(1))
    lossy = scene(held, ether=-0.1, ETH=0.1 / math.sqrt(1_800))

    found = simulate(lossy, replace(FREELY, order=Order.CHEAPEST))

    assert found.steps[0].collateral == str(token(CHAIN, WETH))
