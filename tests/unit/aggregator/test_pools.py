"""Which collateral stands for which debt. WETH: threshold 0.8, haircut 0.25; USDC: threshold 0.9, haircut 0.1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Asset, HealthInputs, InFlight, VenueInputs
from aggregator.margin.layers import Purpose
from aggregator.margin.policy import parse_policy
from aggregator.margin.policy_text import PolicyError
from aggregator.margin.status import Status
from chains.identifiers import token
from chains.model import Side
from tests.unit.aggregator.arrays.books import toy
from tests.unit.aggregator.builders import (
    CHAIN,
    JUNK,
    OTHER_CHAIN,
    POLICY,
    USDC,
    WETH,
    Holding,
    Price,
    borrower,
    escrow,
    inputs,
    liabilities,
    observation,
    venue,
)

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
EXACT = [observation(WETH, 2000.0), observation(USDC, 1.0)]
ALONE = '\n[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["toy-10"]\n'


def account(*venues: VenueInputs, pools: str = "") -> HealthInputs:
    return replace(inputs(*venues, observations=EXACT), policy=parse_policy(POLICY + pools))


def answer(*venues: VenueInputs, pools: str = "") -> HealthDocument:
    return evaluate(account(*venues, pools=pools))


def here(holding: Holding) -> VenueInputs:
    return venue(PRICES, holding, name="toy-1")


def there(holding: Holding) -> VenueInputs:
    return venue(PRICES, holding, name="toy-10", chain=OTHER_CHAIN)


def without_verdict(document: HealthDocument) -> dict[str, object]:
    """Everything that is said of the account together, and of its cross pools."""
    said = document.model_dump(exclude={"status", "score", "venues", "pools", "input_digest", "completeness", "prices", "as_of",
                                        "min_unit_health_factor", "reasons"})  # fmt: skip
    return said | {"cross": [pool for pool in document.pools if pool.kind == "cross"]}


def test_without_a_table_everything_is_in_one_pool() -> None:
    document = answer(here(borrower(8000, weth=10)), there(borrower(100, weth=1)))

    (pool,) = document.pools
    assert (pool.pool, pool.kind, pool.venue, pool.excess_counts) == ("main", "cross", None, True)
    assert (pool.health_factor, pool.maintenance_margin) == (document.health_factor, document.maintenance_margin)


@pytest.mark.parametrize("said", ["", "count_excess = true\n"])
def test_a_deficit_of_an_isolated_unit_is_nobody_elses(said: str) -> None:
    """Not even where what such a unit has left is the account's."""
    lost = answer(here(borrower(8000, weth=10)), there(borrower(2500, weth=1)), pools=ALONE + said)
    alone = answer(here(borrower(8000, weth=10)), there(Holding()), pools=ALONE + said)

    assert without_verdict(lost) == without_verdict(alone)
    (isolated,) = [pool for pool in lost.pools if pool.kind == "isolated"]
    assert (isolated.venue, isolated.health_factor, isolated.bad_debt_usd) == ("toy-10", "0.640000", "500.00000000")
    assert isolated.status is Status.LIQUIDATABLE
    assert lost.health_factor == "2.000000"
    assert lost.status is Status.LIQUIDATABLE


def test_units_of_one_isolated_pool_do_not_stand_for_each_other() -> None:
    both = ALONE.replace('["toy-10"]', '["toy-1", "toy-10"]')

    document = answer(here(borrower(8000, weth=10)), there(borrower(2500, weth=1)), pools=both)

    assert [pool.health_factor for pool in document.pools] == ["2.000000", "0.640000"]
    assert document.health_factor is None
    assert document.status is Status.LIQUIDATABLE


@pytest.mark.parametrize("said, factor", [("", "2.000000"), ("count_excess = true\n", "2.187500")])
def test_what_an_isolated_unit_has_left_counts_only_where_its_pool_says_so(said: str, factor: str) -> None:
    """1600 − 100 = 1500 more against 8000."""
    document = answer(here(borrower(8000, weth=10)), there(borrower(100, weth=1)), pools=ALONE + said)

    assert document.health_factor == factor
    assert document.collateral.raw == "20000.00000000"


def test_what_an_isolated_unit_has_left_is_told_from_each_side_and_for_either_margin() -> None:
    """10 WETH against 1000 USDC: 14000 are left initially (20000 · 0.75 − 1000), 15000 of the maintenance margin; 1 % less from below."""
    known = account(
        here(borrower(8000, weth=10)), there(borrower(1000, weth=10)), pools=ALONE + "count_excess = true\n"
    )
    blurred = replace(known, observations=(observation(WETH, 2000.0, deviation=0.01), observation(USDC, 1.0)))

    document = evaluate(blurred)

    assert document.headroom == "20700.00000000"  # 14850 − 8000 of its own, 14850 − 1000 left
    assert document.maintenance_margin.excess == "23000.00000000"  # 16000 − 8000, 15000 left
    interval = document.health_factor_interval
    assert interval is not None
    assert (interval.low, interval.mid, interval.high) == (
        "3.835000",
        "3.875000",
        "3.915000",
    )  # (15840 + 14840) / 8000, …


LENT = ALONE + "count_excess = true\n[layers.class.stable]\nusd_like = true\n"


def lent(*, owed: float = 9500, eth: float = 2000.0, **said: Any) -> HealthInputs:
    """10000 USDC against a debt in USDC, and an isolated unit of 1 WETH against 100, whose surplus of 1500 counts."""
    own = venue({USDC: Price(usd=1, threshold_bp=9_900)}, borrower(owed, usdc=10_000), name="toy-1")
    venues = own, there(borrower(100, weth=1))
    seen = (observation(WETH, eth, **said), observation(USDC, 1.0))
    return replace(inputs(*venues, observations=seen), policy=parse_policy(POLICY + LENT))


def test_what_an_isolated_unit_has_left_moves_with_its_prices() -> None:
    """9000 + 1600 · f − 100 = 9500 at f = 0.375, a price of 750."""
    assert evaluate(lent()).health_factor == "1.105263"  # 10500 / 9500
    assert [evaluate(lent(eth=eth)).health_factor for eth in (749.99, 750.01)] == ["0.999999", "1.000000"]


def test_what_an_isolated_unit_has_left_ends_at_nothing_and_never_weighs() -> None:
    """10000 − 1000 of its own: without anything left 8950 of 9000 are owed, whatever ETH is worth."""
    assert [evaluate(lent(owed=8950, eth=eth)).health_factor for eth in (10.0, 120.0)] == ["1.005586"] * 2


def test_what_an_isolated_unit_has_left_moves_no_limit_and_frees_nothing() -> None:
    """16000 cover 12000 of its own: to 1500 a WETH; 15000 of the initial margin, so that 4000 USD may go. 7900 are left elsewhere."""
    held = here(borrower(12_000, weth=10)), there(borrower(100, weth=5))
    alone, document = answer(*held, pools=ALONE), answer(*held, pools=ALONE + "count_excess = true\n")

    assert (alone.health_factor, document.health_factor) == ("1.333333", "1.991666")
    assert [(each.identity, each.liquidation_price_usd) for each in document.liquidation_prices] == [
        ("ETH", "1500.000000000000"),
        ("USDC", "1.333333333333"),
    ]
    assert [(each.identity, each.usd) for each in document.free_collateral] == [("ETH", "3999.99999998")]
    assert document.distance == alone.distance


def test_nothing_is_free_and_no_limit_told_of_a_pool_that_stands_by_what_an_isolated_unit_lends() -> None:
    document = answer(
        here(borrower(16_500, weth=10)), there(borrower(100, weth=5)), pools=ALONE + "count_excess = true\n"
    )

    assert (document.status, document.health_factor) == (Status.LIQUIDATABLE, "1.448484")  # 23900 / 16500
    assert {each.liquidation_price_usd for each in document.liquidation_prices} == {None}
    assert (document.distance.common_fall_pct, document.distance.deviations) == (None, None)
    assert {each.usd for each in document.free_collateral} == {"0.00000000"}


def test_a_doubtful_price_is_doubtful_of_what_an_isolated_unit_has_left_too() -> None:
    """ETH jumped from 2000 to 700 a minute ago: with 460 left 9460 do not cover 9500, and with 1500 they would."""
    document = evaluate(lent(eth=700.0, age_s=60, past=[(120, 2000.0)]))

    assert document.health_factor == "0.995789"
    assert "breach_unconfirmed" in {reason.code for reason in document.reasons}
    assert document.status is Status.LIQUIDATABLE  # its cross pool by itself is


def test_an_account_whose_every_debt_is_isolated_has_no_health_factor_of_its_own() -> None:
    document = answer(here(Holding(supplied={WETH: 1})), there(borrower(1000, weth=1)), pools=ALONE)

    assert (document.health_factor, document.liquidation_prices) == (None, ())
    assert document.status is Status.HEALTHY
    assert [pool.health_factor for pool in document.pools] == [None, "1.600000"]


def test_two_cross_pools_are_one_account_and_shown_apart() -> None:
    document = answer(
        here(borrower(17_000, weth=10)),
        there(Holding(supplied={WETH: 10})),
        pools='\n[[pool]]\nid = "second"\nvenues = ["toy-10"]\n',
    )

    assert document.health_factor == "1.882352"  # 2 · 16000 / 17000
    assert [(pool.pool, pool.health_factor) for pool in document.pools] == [("main", "0.941176"), ("second", None)]
    assert document.status is Status.LIQUIDATABLE


def test_what_is_not_eligible_is_no_collateral() -> None:
    holding = borrower(8000, weth=10, usdc=1000)
    only = '\n[[pool]]\nid = "main"\neligible = ["major"]\n'

    document = answer(here(holding), pools=only)

    assert document.health_factor == "2.000000"
    assert document.collateral.not_counted == "1000.00000000"
    assert answer(here(holding), pools=only.replace("major", "USDC")).health_factor == "0.112500"


def test_each_pool_says_for_itself_what_is_eligible() -> None:
    """USDC backs debt in the second pool alone, whichever of both is written first."""
    first, second = '\n[[pool]]\nid = "main"\neligible = ["major"]\n', '\n[[pool]]\nid = "b"\nvenues = ["toy-10"]\n'
    for pools in (first + second, second + first):
        document = answer(here(borrower(8000, weth=10, usdc=1000)), there(borrower(0, usdc=1000)), pools=pools)

        assert document.health_factor == "2.112500"  # (16000 + 900) / 8000
        assert document.collateral.not_counted == "1000.00000000"


@pytest.mark.parametrize(
    "limit, headroom",
    [
        ("[pool.cap_usd]\nETH = 10000\n", "400.00000000"),  # 10000 · 0.75 + 1000 · 0.9 − 8000
        ("[pool.cap_usd]\nmajor = 10000\nother = 0\n", "-500.00000000"),  # 10000 · 0.75 − 8000
        ("max_share = 0.5\n", "775.00000000"),  # 10500 · 0.75 + 900 − 8000, of 21000 in all
        ("[pool.max_share]\nstable = 0.01\n", "7189.00000000"),  # 15000 + 210 · 0.9 − 8000
    ],
)
def test_limits_cut_what_new_debt_may_rest_on_and_liquidate_nobody(limit: str, headroom: str) -> None:
    document = answer(here(borrower(8000, weth=10, usdc=1000)), pools=f'\n[[pool]]\nid = "main"\n{limit}')

    assert document.headroom == headroom
    assert document.health_factor == "2.112500"  # (16000 + 900) / 8000, as without a limit


def test_of_one_identity_the_strictest_limit_of_its_assets_counts() -> None:
    """Of 20000 in all 1000 count: 0.05 · (10000 · 0.75 + 10000 · 0.5) − 100."""
    limit = '\n[[pool]]\nid = "main"\n[pool.cap_usd]\nmajor = 9000\ndefault = 1000\n'
    holding = Holding(supplied={WETH: 5, JUNK: 5}, owed={USDC: 100}, flagged=(WETH, JUNK, USDC))
    known = venue({**PRICES, JUNK: Price(usd=2000)}, holding, name="toy-1")
    alike = Asset(id=str(token(CHAIN, JUNK)), symbol="JUNK", asset_class="default", same_as="ETH")
    asked = account(known, pools=limit)

    document = evaluate(replace(asked, assets=(*asked.assets, alike)))

    assert document.headroom == "525.00000000"


def test_what_is_free_within_limits_leaves_the_initial_margin_covered() -> None:
    """Without w USDC the share of WETH may be half of 21000 − w."""
    document = answer(here(borrower(7000, weth=10, usdc=1000)), pools='\n[[pool]]\nid = "main"\nmax_share = 0.5\n')

    assert document.headroom == "1775.00000000"
    usdc = next(each for each in document.free_collateral if each.identity == "USDC")
    assert usdc.usd == "1000.00000000"  # 10000 · 0.75 ≥ 7000
    eth = next(each for each in document.free_collateral if each.identity == "ETH")
    left = 20_000 - float(eth.usd)
    assert 0.5 * (left + 1000) * 0.75 + 900 == pytest.approx(7000)


def test_what_is_free_leaves_the_initial_margin_of_each_pool_covered() -> None:
    """Of two cross pools with 10 WETH each (15000 initially) one owes 1000, and has 1800 of USDC: all its WETH may go.

    Of the other only what is above its own debt: 150 / 0.75. All together 15950 of 31800 are left, as if 21266 could go.
    """
    two = '\n[[pool]]\nid = "second"\nvenues = ["toy-10"]\n'
    rich = here(borrower(1000, weth=10, usdc=2000))

    def free(owed: float) -> dict[str, str]:
        document = answer(rich, there(borrower(owed, weth=10)), pools=two)
        return {each.identity: each.usd for each in document.free_collateral}

    assert free(14_850) == {"ETH": "20199.99999998", "USDC": "2000.00000000"}
    assert free(15_000) == {"ETH": "20000.00000000", "USDC": "2000.00000000"}
    # 15000 + 1800 + 0.75 · 2800 / 3 − 17500 = 0
    assert float(free(16_500)["ETH"]) == pytest.approx(20_000 - 2_800 / 3)
    assert free(16_500)["USDC"] == "2000.00000000"
    assert free(40_000) == {"ETH": "0.00000000", "USDC": "0.00000000"}


def test_liquidation_prices_and_distances_are_of_the_pool_that_is_nearest() -> None:
    """One of two cross pools has 10 WETH against 8000, the other 10 against 14000: 2000 · 14000 / 16000 = 1750 is the nearest price.

    All together it would be 2000 · 22000 / 32000 = 1375.
    """
    two = '\n[[pool]]\nid = "second"\nvenues = ["toy-10"]\n[layers.class.stable]\nusd_like = true\n'
    rich, tight = here(borrower(8000, weth=10)), there(borrower(14_000, weth=10))

    document = answer(rich, tight, pools=two)

    (eth,) = [each for each in document.liquidation_prices if each.identity == "ETH"]
    assert (eth.liquidation_price_usd, eth.distance_pct) == ("1750.000000000000", "-12.500000")
    assert document.distance.common_fall_pct == "12.500000"
    alone = answer(tight, pools=two)
    assert (alone.liquidation_prices, alone.distance) == (document.liquidation_prices, document.distance)
    gone = answer(rich, there(borrower(17_000, weth=10)), pools=two)
    assert (gone.status, gone.health_factor) == (Status.LIQUIDATABLE, "1.280000")  # 32000 / 25000
    assert {each.liquidation_price_usd for each in gone.liquidation_prices} == {None}
    assert gone.distance.common_fall_pct is None


def test_each_debt_requires_a_minimum_by_its_chain() -> None:
    charges = f'\n[[pool]]\nid = "main"\n[pool.minimum_charge_usd]\n"{CHAIN}" = 50\nother = 1\n'

    document = answer(here(borrower(950, weth=1)), there(borrower(999, weth=1)), pools=charges)

    assert document.health_factor == "1.600000"  # 3200 / (950 + 50 + 999 + 1)
    assert document.debt.raw == "1949.00000000"


@pytest.mark.parametrize("owed, charge", [(0.0, 0.0), (1e-6, 30.0)])
def test_a_debt_of_nothing_requires_nothing(owed: float, charge: float) -> None:
    charged = '\n[[pool]]\nid = "main"\nminimum_charge_usd = { other = 30.0 }\n'

    assessed = toy({"a": [(0, Side.SUPPLY, 1.0), (8, Side.BORROW, owed)]}, model=charged).assessed("a")

    assert assessed.house.requirements(Purpose.MAINTENANCE) == charge


def test_what_another_system_requires_is_of_the_pool_of_its_escrow() -> None:
    pools = '\n[[pool]]\nid = "alone"\nkind = "isolated"\nvenues = ["vault"]\n'
    vault = escrow({WETH: 1}, said=liabilities("1000"))

    document = answer(here(borrower(8000, weth=10)), vault, pools=pools)

    assert document.health_factor == "2.000000"
    assert [pool.health_factor for pool in document.pools] == ["2.000000", "1.600000"]


def test_unpriced_collateral_leaves_an_isolated_unit_in_doubt_too() -> None:
    holding = Holding(supplied={WETH: 1, JUNK: 5}, owed={USDC: 1700}, flagged=(WETH, JUNK))
    prices = PRICES | {JUNK: Price(usd=400)}
    odd = [*EXACT, observation(JUNK, None, chain=OTHER_CHAIN)]
    isolated = venue(prices, holding, name="toy-10", chain=OTHER_CHAIN)

    document = evaluate(
        replace(inputs(here(borrower(8000, weth=10)), isolated, observations=odd), policy=parse_policy(POLICY + ALONE))
    )

    assert document.status is Status.UNKNOWN
    assert "low_bound_not_healthy" in {reason.code for reason in document.reasons}


def test_unpriced_collateral_of_a_unit_that_lends_leaves_in_doubt_whom_it_lends_to() -> None:
    """9000 and the 300 that are left beside JUNK stand for 9500; what JUNK is worth may make up for the rest."""
    own = venue({USDC: Price(usd=1, threshold_bp=9_900)}, borrower(9500, usdc=10_000), name="toy-1")
    holding = Holding(supplied={WETH: 1, JUNK: 5}, owed={USDC: 1300}, flagged=(WETH, JUNK))
    lender = venue(PRICES | {JUNK: Price(usd=400)}, holding, name="toy-10", chain=OTHER_CHAIN)
    odd = [*EXACT, observation(JUNK, None, chain=OTHER_CHAIN)]

    document = evaluate(replace(inputs(own, lender, observations=odd), policy=parse_policy(POLICY + LENT)))

    assert document.status is Status.UNKNOWN
    assert "low_bound_not_healthy" in {reason.code for reason in document.reasons}


def test_inputs_with_pools_are_read_back() -> None:
    before = account(here(borrower(8000, weth=10)), pools=ALONE + "max_share = 0.5\n")

    assert from_json(to_json(before)) == before


@pytest.mark.parametrize(
    "pools, complaint",
    [
        ('[[pool]]\nid = "a"\n[[pool]]\nid = "b"\n', "at most one pool without venues"),
        ('[[pool]]\nid = "a"\nvenues = ["v"]\n[[pool]]\nid = "b"\nvenues = ["v"]\n', 'the venue "v" is named twice'),
        ('[[pool]]\nid = "a"\n[[pool]]\nid = "a"\nvenues = ["v"]\n', 'the id "a" is named twice'),
        ('[[pool]]\nid = "a"\nkind = "isolated"\n', "the venues of an isolated pool by name"),
        ('[[pool]]\nid = "a"\nkind = "joint"\n', 'kind must be "cross" or "isolated"'),
        ('[[pool]]\nid = "a"\nvenue = ["v"]\n', 'did you mean "venues"'),
        ('[[pool]]\nid = "a"\nmax_share = 1.5\n', "max_share ≤ 1"),
        ('[[pool]]\nid = "a"\ncount_excess = true\n', 'count_excess for kind = "isolated" only'),
        ('[[pool]]\nid = "a"\n[pool.cap_usd]\nETH = -1\n', "must not be negative"),
        ('[[pool]]\nid = "a"\nminimum_charge_usd = nan\n', "minimum_charge_usd must be a number such as 0.25, not nan"),
        ('[[pool]]\nid = "a"\n[pool.cap_usd]\nETH = nan\n', "cap_usd must be a number such as 0.25, not nan"),
        ('[[pool]]\nid = "main"\nvenues = ["v"]\n', '"main" for the pool without venues'),
        ('[pool]\nid = "a"\n', "must be a list of tables"),
    ],
)
def test_a_pool_that_cannot_be_meant_is_refused(pools: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        parse_policy(POLICY + pools)


@pytest.mark.parametrize(
    "model, complaint",
    [
        ("kappa = 0.4\n", "0.5 ≤ kappa ≤ 1"),
        ("offset_cap = 1.0\n", "offset_cap < 1"),
        ("stress_offset_cap = 0.9\n", "stress_offset_cap ≤ offset_cap"),
        ('haircuts = "none"\n', 'must be "layered" or "static"'),
        ("cappa = 0.5\n", 'did you mean "kappa"'),
    ],
)
def test_a_model_that_cannot_be_meant_is_refused(model: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        parse_policy(f"{POLICY}\n[model]\n{model}")


@pytest.mark.parametrize("proven", [False, True])
def test_what_is_on_its_way_is_shown_and_worth_nothing_yet(proven: bool) -> None:  # noqa: FBT001
    sent = InFlight(
        message="ccip:0x01",
        asset=str(token(OTHER_CHAIN, WETH)),
        amount_raw=15 * 10**17,
        decimals=18,
        sender=f"{CHAIN}:0x" + "11" * 20,
        recipient=f"{OTHER_CHAIN}:0x" + "11" * 20,
        proven=proven,
    )
    before = account(here(borrower(8000, weth=10)))
    with_it = replace(before, in_flight=(sent,))

    document = evaluate(with_it)

    (shown,) = document.in_flight
    assert (shown.identity, shown.amount, shown.value_usd) == ("ETH", "1.500000000000000000", "3000.00000000")
    assert document.model_copy(update={"in_flight": (), "input_digest": ""}) == evaluate(before).model_copy(
        update={"input_digest": ""}
    )
    assert from_json(to_json(with_it)) == with_it


def test_a_pool_that_owes_nothing_has_no_health_factor() -> None:
    document = evaluate(inputs(venue(PRICES, Holding(supplied={WETH: 1})), observations=EXACT))

    assert [pool.health_factor for pool in document.pools] == [None]
    assert document.status is Status.NO_DEBT
