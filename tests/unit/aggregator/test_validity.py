"""What may rest on a mark in its state, and how long a worse band is kept. WETH: threshold 0.8, haircut 0.25; USDC: 0.9, 0.1."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.marks_policy import Validity
from aggregator.margin.policy import StatusPolicy, parse_policy
from aggregator.margin.risk import AssetRisk, RiskInputs
from aggregator.margin.status import Status, band, held_band, may_be_held
from aggregator.margin.validity import at_worst
from aggregator.margin.valuation import last_value, value_positions
from aggregator.oracle.mark import Discarded, Mark, Observation, Refusal, Unpriced
from aggregator.oracle.rules import State
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
    policy,
    venue,
)
from tests.unit.aggregator.test_stressing import book

PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
DOLLAR = observation(USDC, 1.0)
BANDS = StatusPolicy(danger_below=1.1, watch_below=1.5, full_score_at=3.0, dust_share=0.01)


def ether(usd: float, *past: tuple[int, float]) -> Observation:
    return observation(WETH, usd, past=past)


def judged(*said: Observation, owed: float, at_venue: float = 2000) -> HealthDocument:
    prices = {**PRICES, WETH: Price(usd=at_venue)}
    return evaluate(inputs(venue(prices, borrower(owed, weth=10)), observations=[*said, DOLLAR]))


def breached(document: HealthDocument) -> list[str]:
    return [reason.subject for reason in document.reasons if reason.code == "breach_unconfirmed"]


def test_a_breach_by_a_price_that_jumped_is_danger_until_it_is_confirmed() -> None:
    """The venue still says 2000, so that it liquidates nobody itself."""
    held = judged(ether(1500.0, (60, 2000.0)), owed=13_000)
    confirmed = judged(
        ether(1500.0, (60, 2000.0)), observation(WETH, 1500.0, operator="pyth", feed=b"\x01" * 20), owed=13_000
    )

    assert held.health_factor == confirmed.health_factor == "0.923076"  # 10 · 1500 · 0.8 / 13000
    assert (held.status, held.score, breached(held)) == (Status.DANGER, 0, ["ETH"])
    assert (confirmed.status, breached(confirmed)) == (Status.LIQUIDATABLE, [])
    assert (held.prices[0].state, held.prices[0].reasons[0]) == ("held", "jump_unconfirmed")


def test_a_breach_that_a_doubtful_price_could_not_mend_is_one() -> None:
    """At the price before the jump, 2000, it would be 10 · 2000 · 0.8 / 17000 = 0.94 as well."""
    document = judged(ether(1500.0, (60, 2000.0)), owed=17_000)

    assert (document.status, breached(document)) == (Status.LIQUIDATABLE, [])


def test_a_doubtful_rise_lifts_nobody_out_of_a_band() -> None:
    """At 2500 it would be 10 · 2500 · 0.8 / 11000 = 1.82, at the 2000 before 1.45: below the 1.5 from which an account is healthy."""
    held, sure = (judged(ether(2500.0, *past), owed=11_000, at_venue=2500) for past in ([(60, 2000.0)], []))

    assert (held.health_factor, sure.health_factor) == ("1.818181", "1.818181")
    assert (held.status, sure.status) == (Status.WATCH, Status.HEALTHY)


def test_a_venues_own_verdict_is_never_touched() -> None:
    prices = {**PRICES, WETH: Price(usd=1500)}

    document = evaluate(
        inputs(venue(prices, borrower(13_000, weth=10)), observations=[ether(1500.0, (60, 2000.0)), DOLLAR])
    )

    assert document.venues[0].units[0].liquidatable is True
    assert document.status is Status.LIQUIDATABLE


def test_an_escrow_whose_breach_rests_on_a_doubtful_price_is_not_called_liquidatable() -> None:
    vault = escrow({WETH: 1}, said=liabilities("1800"))

    held, confirmed = (
        evaluate(inputs(vault, observations=[ether(1500.0, *past), DOLLAR])) for past in ([(60, 2000.0)], [])
    )

    (doubtful,), (sure,) = held.venues[0].units, confirmed.venues[0].units
    assert doubtful.health_factor == sure.health_factor == "0.833333"  # 1500 / 1800
    assert (doubtful.liquidatable, doubtful.status) == (False, Status.DANGER)
    assert (sure.liquidatable, sure.status, confirmed.status) == (True, Status.LIQUIDATABLE, Status.LIQUIDATABLE)
    assert [reason.code for reason in doubtful.reasons] == ["breach_unconfirmed"]


@pytest.mark.parametrize(
    "requirement, liquidatable, doubted",
    [
        ("1000", False, []),
        ("1500", False, []),  # on the boundary, which is covered
        ("1500.00000001", False, ["breach_unconfirmed"]),
        ("2000", False, ["breach_unconfirmed"]),  # covered at the price before the jump
        ("2000.00000001", True, []),
        ("2500", True, []),
    ],
)
def test_an_escrow_is_in_doubt_where_a_doubtful_price_decides(
    requirement: str,
    liquidatable: bool,  # noqa: FBT001
    doubted: list[str],
) -> None:
    """One WETH that is said to be 1500, and was 2000."""
    document = evaluate(
        inputs(escrow({WETH: 1}, said=liabilities(requirement)), observations=[ether(1500.0, (60, 2000.0)), DOLLAR])
    )

    (unit,) = document.venues[0].units
    assert (unit.liquidatable, [reason.code for reason in unit.reasons]) == (liquidatable, doubted)


@pytest.mark.parametrize(
    "requirement, status",
    [
        ("1200", Status.DANGER),  # one WETH at 1500 covers it, and at the 1000 of before it would not
        ("960", Status.DANGER),  # 1000 / 960 = 1.04
        ("900", Status.WATCH),
        ("500", Status.HEALTHY),
    ],
)
def test_the_band_of_an_escrow_goes_by_the_adverse_side_of_a_doubtful_price(requirement: str, status: Status) -> None:
    vault = escrow({WETH: 1}, said=liabilities(requirement))

    risen, known = (
        evaluate(inputs(vault, observations=[ether(1500.0, *past), DOLLAR])) for past in ([(60, 1000.0)], [])
    )

    (doubtful,), (sure,) = risen.venues[0].units, known.venues[0].units
    assert doubtful.status is status
    assert doubtful.health_factor == sure.health_factor
    assert doubtful.liquidatable is False


def test_what_is_not_valid_carries_no_new_debt_and_still_counts_for_maintenance() -> None:
    held, calm = judged(ether(2500.0, (60, 2000.0)), owed=1_000), judged(ether(2500.0), owed=1_000)

    assert (calm.collateral.haircut, calm.headroom) == ("18750.00000000", "17750.00000000")  # 10 · 2500 · 0.75 − 1000
    assert (held.collateral.haircut, held.headroom) == ("0.00000000", "-1000.00000000")
    assert held.collateral.maintenance == calm.collateral.maintenance == "20000.00000000"
    assert held.health_factor == calm.health_factor


def test_a_first_print_far_below_par_is_danger_to_whom_it_would_not_cover_and_liquidates_nobody() -> None:
    """10000 USDC at par against 7500: at 0.875, where the middle stays, 7875 cover it, and at the 0.65 that was printed 5850 do not."""
    rules = parse_policy(f'{POLICY}\n[marks]\npar_classes = ["stable"]\npeg_haircut = "12.5%"\n')
    owing = Holding(supplied={USDC: 10_000}, owed={WETH: 3.75}, flagged=(USDC,))
    printed = observation(USDC, 0.65, past=[(60, 1.0)])

    document = evaluate(replace(inputs(venue(PRICES, owing), observations=[ether(2000.0), printed]), policy=rules))

    assert document.health_factor_interval is not None
    assert (document.health_factor, document.health_factor_interval.low) == ("1.050000", "0.780000")
    assert document.status is Status.DANGER


def test_a_debt_whose_price_is_not_valid_counts_at_its_high() -> None:
    account = inputs(
        venue(PRICES, Holding(supplied={USDC: 20_000}, owed={WETH: 1}, flagged=(USDC,))),
        observations=[ether(1500.0, (60, 2000.0)), DOLLAR],
    )

    assert evaluate(account).debt.initial == "2500.00000000"  # 2000, before the jump, · 1.25
    assert evaluate(account).debt.raw == "1500.00000000"


def test_the_policy_says_what_may_rest_on_what() -> None:
    lenient = replace(policy(), validity=Validity(initial=tuple(State)[:3], liquidatable=tuple(State)[:3]))
    strict = replace(
        policy(), validity=Validity(maintenance=(State.OK,), initial=(State.OK,), liquidatable=(State.OK,))
    )
    account = inputs(venue(PRICES, borrower(13_000, weth=10)), observations=[ether(1500.0, (60, 2000.0)), DOLLAR])

    allowed, refused = (evaluate(replace(account, policy=chosen)) for chosen in (lenient, strict))

    assert (allowed.status, allowed.collateral.haircut) == (Status.LIQUIDATABLE, "11250.00000000")
    assert refused.status is Status.UNKNOWN
    assert refused.prices[0].mid is None
    assert refused.prices[0].feeds[0].reason == "state_not_valid"


def test_a_gift_with_a_doubtful_price_hides_no_breach_and_makes_nothing_worse() -> None:
    prices = {**PRICES, JUNK: Price(usd=0.01)}
    odd = replace(observation(JUNK, 0.01, past=[(60, 5.0)]))
    unit = Holding(supplied={WETH: 10, JUNK: 1}, owed={USDC: 16_100}, flagged=(WETH, JUNK))
    healthy = replace(unit, owed={USDC: 10_000})

    def status(held: Holding) -> Status:
        return evaluate(inputs(venue(prices, held), observations=[ether(2000.0), DOLLAR, odd])).status

    assert status(replace(unit, supplied={WETH: 10})) is status(unit) is Status.LIQUIDATABLE
    assert status(replace(healthy, supplied={WETH: 10})) is status(healthy) is Status.HEALTHY


@pytest.mark.parametrize(
    "mid, window, status",
    [
        (0.99, 0.99, Status.LIQUIDATABLE),
        (1.05, 1.05, Status.DANGER),
        (1.11, 1.09, Status.DANGER),  # back above, within the margin of 2 %, and below within the window
        (1.123, 1.09, Status.WATCH),  # 1.1 · 1.02 = 1.122
        (1.11, 1.1, Status.WATCH),  # out of it for the whole window
        (1.51, 1.49, Status.WATCH),
        (1.54, 1.05, Status.HEALTHY),  # 1.5 · 1.02 = 1.53
        (1.0, 0.9, Status.DANGER),  # being liquidatable is a fact, and has no memory
    ],
)
def test_a_worse_band_is_entered_at_once_and_left_late(mid: float, window: float, status: Status) -> None:
    assert held_band(mid, window, BANDS) is status


def test_a_band_is_kept_while_the_worst_price_of_the_hour_is_in_it() -> None:
    """10 · p · 0.8 / 10900: 1.4972 at 2040, 1.5082 at 2055, 1.5413 at 2100."""
    before, back, well = (
        judged(ether(usd, (4000, 2040.0)), owed=10_900, at_venue=3000) for usd in (2040.0, 2055.0, 2100.0)
    )
    new = judged(ether(2055.0), owed=10_900, at_venue=3000)

    assert [document.status for document in (before, back, well, new)] == [
        Status.WATCH, Status.WATCH, Status.HEALTHY, Status.HEALTHY,
    ]  # fmt: skip
    assert (back.prices[0].lowest, back.prices[0].highest) == ("2040.000000000000", "2055.000000000000")


def test_a_document_says_what_a_mark_is_made_of() -> None:
    eth = judged(ether(2055.0, (4000, 2040.0), (150, 2050.0)), owed=1).prices[0]

    assert (eth.state, eth.reasons, eth.operators) == ("degraded", ("too_few_operators",), ("chainlink",))
    assert (eth.twap_5m, eth.twap_1h) == ("2045.000000000000", "2040.416666666667")
    assert (eth.feeds[0].operator, eth.feeds[0].past, eth.basis, eth.age_s) == ("chainlink", 2, "rule", 0)


def test_an_estimated_deviation_widens_what_is_old() -> None:
    risk = RiskInputs(
        assets=(
            AssetRisk(
                identity="ETH", maintenance=0.1, initial=0.2, rise_maintenance=0.1, rise_initial=0.2, deviation=0.04, swing=0.04,
                basis="fhs", days=900, last_day="2023-11-13",
            ),
        ),
        correlation=((1.0,),),
    )  # fmt: skip
    account = inputs(
        venue(PRICES, borrower(1_000, weth=10)), observations=[observation(WETH, 2000.0, age_s=3600), DOLLAR]
    )

    plain, estimated = evaluate(account).prices[0], evaluate(replace(account, risk=risk)).prices[0]

    assert (plain.low, plain.basis) == ("2000.000000000000", "rule")
    assert estimated.low is not None
    assert float(estimated.low) == pytest.approx(2000 * (1 - 2.326 * 0.04 / 24**0.5))
    assert estimated.basis == "estimated"


def test_a_rate_is_not_what_a_supply_was_last_known_to_be_worth() -> None:
    """Ten at a rate of 1.1 of something worth 2000 are no eleven dollars, which would be dust beside any debt."""
    rate = replace(observation(WETH, 1.1), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None)
    left_out = Discarded(observation=rate, age_s=0, refusal=Refusal.NOT_VALID)
    market = Discarded(observation=observation(WETH, 2200.0, age_s=60), age_s=60, refusal=Refusal.NOT_VALID)
    world = toy({"a": [(0, Side.SUPPLY, 10.0)]})

    def last(*discarded: Discarded) -> float | None:
        unpriced = world.repriced({"A0": Unpriced(identity="A0", discarded=discarded)})
        return last_value(unpriced.assessed("a").positions[0])

    assert last(left_out) is None
    assert last(left_out, market) == 22_000.0


def test_a_health_factor_on_a_bound_is_in_the_better_band() -> None:
    bounds = (1.0, BANDS.danger_below, BANDS.watch_below)

    assert [band(bound, BANDS) for bound in bounds] == [Status.DANGER, Status.WATCH, Status.HEALTHY]
    assert [band(math.nextafter(bound, 0), BANDS) for bound in bounds] == [
        Status.LIQUIDATABLE,
        Status.DANGER,
        Status.WATCH,
    ]


def test_the_worst_of_the_window_matters_up_to_the_margin_beyond_the_last_band() -> None:
    outside = 1.5 * 1.02

    assert [may_be_held(factor, BANDS) for factor in (0.99, 1.0, 1.51, math.nextafter(outside, 0), outside)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("side, worst", [(Side.SUPPLY, 1500.0), (Side.BORROW, 2600.0)])
def test_a_mark_that_is_taken_at_its_worst_still_reaches_from_its_low_to_its_high(side: Side, worst: float) -> None:
    held = Holding(supplied={WETH: 10}, owed={WETH: 1}, owner=b"\x01" * 20)
    made = book({CHAIN: [held], OTHER_CHAIN: []})
    [found] = [item for item in value_positions(made.context, made.units) if item.position.side is side]
    assert isinstance(found.mark, Mark)
    mark = replace(found.mark, low=1900.0, mid=2000.0, high=2100.0, path=((0, 1500.0), (60, 2600.0)))

    [after] = at_worst([replace(found, mark=mark)])

    assert isinstance(after.mark, Mark)
    assert (after.mark.low, after.mark.mid, after.mark.high) == (min(1900.0, worst), worst, max(2100.0, worst))
