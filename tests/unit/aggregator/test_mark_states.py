"""What becomes of a mark when feeds fail: one test for each way in which they do, and in which they did."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from aggregator.oracle.combined import quote_of
from aggregator.oracle.mark import About, Mark, Observation, Refusal, Unpriced, Used, mark, marks_of
from aggregator.oracle.rules import MarkRules, Mode, State
from tests.unit.aggregator.builders import CHAIN, NOW, OTHER_CHAIN, USD, USDC, WETH, observation

TIMES = {CHAIN: NOW, OTHER_CHAIN: NOW}
ETH_A_DAY = 0.04
HISTORIES = Path(os.environ.get("CROSSMARGIN_PRICES", Path(__file__).parents[4] / "shared/fixtures/prices"))


def priced(found: Mark | Unpriced) -> Mark:
    assert isinstance(found, Mark)
    return found


def said(
    usd: float | None, by: str = "chainlink", *, past: Iterable[tuple[int, float]] = (), **more: object
) -> Observation:
    """What an operator's feed of ether says."""
    return observation(WETH, usd, operator=by, feed=by.encode().ljust(20, b"\0"), past=past, **more)  # type: ignore[arg-type]


def refused(found: Mark | Unpriced) -> dict[str | None, Refusal]:
    return {item.observation.operator: item.refusal for item in found.discarded}


def test_two_operators_that_agree_make_a_mark_that_is_ok() -> None:
    found = priced(mark("ETH", [said(2000.0), said(2002.0, "pyth")], TIMES))

    assert (found.state, found.reasons, found.operators) == (State.OK, (), ("chainlink", "pyth"))
    assert (found.low, found.mid, found.high, found.confidence) == (2000.0, 2001.0, 2002.0, 1.0)
    assert priced(mark("ETH", [said(2000.0)], TIMES)).confidence == 0.0


def test_one_operator_with_two_feeds_is_one_opinion_and_degraded() -> None:
    feeds = [said(2000.0), replace(said(2000.0), feed=b"\x01" * 20, chain_id=OTHER_CHAIN)]

    found = priced(mark("ETH", feeds, TIMES))

    assert (found.state, found.reasons) == (State.DEGRADED, ("too_few_operators",))


def test_an_interval_that_is_meant_to_cover_the_price_is_taken_as_it_is() -> None:
    told = said(2000.0, "switchboard", confidence=10.0)

    assert priced(mark("ETH", [replace(told, whole_interval=True)], TIMES)).low == 1990.0
    assert priced(mark("ETH", [told], TIMES)).low == 1978.8  # 2000 − 2.12 · 10


def test_a_policy_may_demand_a_quorum() -> None:
    found = priced(mark("ETH", [said(2000.0)], TIMES, rules=MarkRules(demand_quorum=True)))

    assert found.state is State.NO_QUORUM


def test_a_feed_that_goes_to_zero_is_left_out_and_alone_it_prices_nothing() -> None:
    together, alone = mark("ETH", [said(0.0), said(2000.0, "pyth")], TIMES), mark("ETH", [said(0.0)], TIMES)

    assert (priced(together).mid, priced(together).state) == (2000.0, State.DEGRADED)
    assert refused(together) == {"chainlink": Refusal.NON_POSITIVE}
    assert isinstance(alone, Unpriced)
    assert (alone.state, alone.reasons) == (State.NON_POSITIVE, ("non_positive",))


def test_a_negative_answer_is_no_price() -> None:
    found = mark("ETH", [said(-2000.0)], TIMES)

    assert (found.state, refused(found)) == (State.NON_POSITIVE, {"chainlink": Refusal.NON_POSITIVE})


def test_an_answer_of_the_future_is_no_price() -> None:
    found = mark("ETH", [said(2000.0, age_s=-1)], TIMES)

    assert (found.state, refused(found)) == (State.NO_QUORUM, {"chainlink": Refusal.FROM_THE_FUTURE})


def test_a_feed_whose_decimals_change_does_not_move_the_middle_and_the_bounds_cover_it_while_it_is_held() -> None:
    wrong = said(2000.0 * 100, past=[(60, 2001.0)])

    found = priced(mark("ETH", [wrong, said(2000.0, "pyth", past=[(60, 2001.0)])], TIMES))

    assert (found.mid, found.state) == (2000.0, State.HELD)
    assert refused(found) == {"chainlink": Refusal.UNCONFIRMED}
    assert found.high == 200_000.0


def test_two_of_three_feeds_that_are_wrong_in_different_ways_move_nothing() -> None:
    feeds = [said(0.0), said(200_000.0, "pyth", past=[(60, 2000.0)]), said(2000.0, "redstone", past=[(60, 2000.0)])]

    found = priced(mark("ETH", feeds, TIMES))

    assert (found.mid, found.state) == (2000.0, State.HELD)
    assert refused(found) == {"chainlink": Refusal.NON_POSITIVE, "pyth": Refusal.UNCONFIRMED}


def test_one_of_three_that_strays_is_left_out_and_the_mark_is_ok() -> None:
    found = priced(mark("ETH", [said(2000.0), said(2001.0, "pyth"), said(1500.0, "redstone")], TIMES))

    assert (found.low, found.mid, found.high, found.state) == (2000.0, 2000.5, 2001.0, State.OK)
    assert refused(found) == {"redstone": Refusal.OUTLIER}


def test_a_stray_within_a_hundredth_is_none() -> None:
    feeds = [said(2000.0), said(2000.0, "pyth"), said(2000.0 * math.exp(0.0099), "redstone")]

    assert refused(mark("ETH", feeds, TIMES)) == {}


def test_two_operators_far_apart_are_uncertain_and_the_bounds_are_both() -> None:
    found = priced(mark("ETH", [said(2000.0), said(2100.0, "pyth")], TIMES))

    assert (found.state, found.reasons) == (State.UNCERTAIN, ("operators_disagree",))
    assert (found.low, found.high, found.confidence) == (2000.0, 2100.0, 50.0)


def test_all_stale_is_no_price() -> None:
    found = mark("ETH", [said(2000.0, age_s=4021), said(2000.0, "pyth", age_s=99_999)], TIMES)

    assert isinstance(found, Unpriced)
    assert (found.state, found.reasons) == (State.NO_QUORUM, ("stale",))


def test_late_answers_are_used_and_their_mark_is_stale() -> None:
    found = priced(mark("ETH", [said(2000.0, age_s=3811)], TIMES))  # more than half of 360 + 60 s beyond 3600 s

    assert (found.state, found.reasons) == (State.STALE, ("late", "too_few_operators"))
    assert priced(mark("ETH", [said(2000.0, age_s=3810)], TIMES)).state is State.DEGRADED


def test_one_answer_in_time_is_enough_for_a_mark_not_to_be_late() -> None:
    found = priced(mark("ETH", [said(2000.0, age_s=3600 + 300), said(2000.0, "pyth")], TIMES))

    assert (found.state, found.reasons) == (State.OK, ())


def test_age_widens_smoothly_up_to_the_limit_and_never_beyond_what_is_believed() -> None:
    about = About(daily_deviation=ETH_A_DAY)
    widths = [
        1 - priced(mark("ETH", [said(2000.0, age_s=age, deviation=0.005)], TIMES, about=about)).low / 2000.0
        for age in (0, 60, 600, 3600, 4020)
    ]

    assert widths == sorted(widths)
    assert widths[0] == pytest.approx(0.005)
    assert widths[3] == pytest.approx(2.326 * 0.04 * math.sqrt(3600 / 86_400))  # 1.9 %
    steep = priced(mark("ETH", [said(2000.0, age_s=4000)], TIMES, about=About(daily_deviation=9.0)))
    assert steep.low == pytest.approx(1600.0)  # most_widening
    assert (steep.basis, priced(mark("ETH", [said(2000.0)], TIMES)).basis) == ("estimated", "rule")


def test_without_an_estimate_the_feeds_own_deviation_is_what_it_moves_in_a_heartbeat() -> None:
    fresh, old = (priced(mark("ETH", [said(2000.0, age_s=age, deviation=0.1)], TIMES)) for age in (3600, 4020))

    assert fresh.low == 1800.0
    assert old.low == pytest.approx(2000.0 * (1 - 0.1 * math.sqrt(4020 / 3600)))
    always = priced(mark("ETH", [said(2000.0, age_s=30, deviation=0.1, heartbeat_s=0)], TIMES))
    assert always.low == 1800.0  # it promises to speak with each block


def test_a_print_far_below_redemption_lowers_the_middle_no_further_than_the_peg_haircut_and_the_low_all_the_way() -> (
    None
):
    """October 2025: one venue printed 0.65 of what the token could be redeemed for. The bounds reach what is said and what it is worth."""
    rate = replace(said(1.0), kind="redemption-rate", of="USD", heartbeat_s=None, operator=None, feed=b"\x77" * 20)
    dollar = [replace(said(1.0), heartbeat_s=None)]
    first = said(0.65, "venue", past=[(60, 0.999)])
    second = said(0.65, "venue", past=[(120, 0.999), (60, 0.66)])

    held = priced(marks_of({"USDe": [rate, first], "USD": dollar}, TIMES)["USDe"])
    told = priced(marks_of({"USDe": [rate, second], "USD": dollar}, TIMES)["USDe"])

    assert (held.low, held.mid, held.high) == (0.65, 0.875, 1.0)  # 1 − 12.5 %
    assert (held.state, held.reasons[0]) == (State.HELD, "first_print_below_fair")
    assert (told.mid, told.low, told.high) == (0.65, 0.65, 1.0)


def test_the_bounds_of_a_first_print_are_its_own_and_do_not_stretch_with_the_lifted_middle() -> None:
    """At 0.65 ± 1 % after an hour at par: 0.65 · 0.99; the mean of five minutes, 1, is reached from above with the same width."""
    dollar = said(0.65, deviation=0.01, past=[(4000, 1.0)])

    found = priced(mark("USDe", [dollar], TIMES, about=About(at_par=True)))

    assert (found.low, found.mid) == (0.6435, 0.875)
    assert found.high == pytest.approx(1.01)
    assert found.state is State.HELD


def test_two_operators_below_redemption_are_believed_at_once() -> None:
    rate = replace(said(1.0), kind="redemption-rate", of="USD", heartbeat_s=None, operator=None, feed=b"\x77" * 20)
    prints = [said(0.65, by, past=[(60, 0.99)]) for by in ("pyth", "redstone")]

    found = priced(marks_of({"USDe": [rate, *prints], "USD": [replace(said(1.0), heartbeat_s=None)]}, TIMES)["USDe"])

    assert (found.mid, found.state) == (0.65, State.OK)


def test_collateral_counts_the_lower_of_market_and_redemption_and_debt_the_higher() -> None:
    rate = replace(said(1.25), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None, feed=b"\x77" * 20)

    found = priced(marks_of({"stETH": [rate, said(2400.0, "pyth")], "ETH": [said(2000.0)]}, TIMES)["stETH"])

    assert (found.low, found.mid, found.high) == (2400.0, 2400.0, 2500.0)  # the market's; 1.25 · 2000
    assert (found.operators, found.state) == (("pyth",), State.DEGRADED)


def test_a_rate_is_no_operator_but_stands_on_those_of_what_it_multiplies() -> None:
    rate = replace(said(1.25), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None)

    found = priced(marks_of({"stETH": [rate], "ETH": [said(2000.0), said(2000.0, "pyth")]}, TIMES)["stETH"])

    assert (found.operators, found.state) == (("chainlink", "pyth"), State.OK)


def test_a_dollar_at_88_cents_is_88_cents_of_collateral_and_a_dollar_of_debt() -> None:
    """March 2023: the third look at a price that fell in steps."""
    dollar = replace(observation(USDC, 0.88), past=observation(USDC, 1.0, past=[(120, 0.97), (60, 0.92)]).past)

    found = priced(mark("USDC", [dollar], TIMES, about=About(at_par=True)))

    assert (found.low, found.mid, found.high) == (0.88, 0.88, 1.0)
    assert found.state is State.DEGRADED


def test_a_dollar_above_par_is_a_dollar_of_collateral() -> None:
    told = [replace(observation(USDC, 1.05), feed=each * 20, operator=each.hex()) for each in (b"\x01", b"\x02")]

    found = priced(mark("USDC", told, TIMES, about=About(at_par=True)))

    assert (found.low, found.mid, found.high) == (1.0, 1.05, 1.05)


def test_the_days_of_march_2023_as_they_were() -> None:
    source = HISTORIES / "a_usdc_usd_1d.csv"
    if not source.exists():
        pytest.skip(f"no price histories at {HISTORIES}; set CROSSMARGIN_PRICES")
    with source.open(encoding="utf-8") as text:
        days = [row for row in csv.DictReader(text) if "2023-03-09" <= row["date"][:10] <= "2023-03-14"]
    lows = [float(row["low"]) for row in days]
    assert min(lows) < 0.88

    for before, low in pairwise(lows):
        steps = [(200 - 10 * step, before + (low - before) * step / 20) for step in range(20)]
        found = priced(mark("USDC", [said(low, past=steps)], TIMES, about=About(at_par=True)))
        assert found.mid == round(low * USD) / USD
        assert found.low <= min(low, 1.0)
        assert found.high >= 1.0


def test_a_sequencer_that_is_down_leaves_the_word_of_other_chains() -> None:
    here, there = said(1000.0), replace(said(2000.0, "pyth"), chain_id=OTHER_CHAIN)

    found = priced(mark("ETH", [here, there], TIMES, {CHAIN}))

    assert (found.mid, refused(found)) == (2000.0, {"chainlink": Refusal.STALE_CHAIN})


def test_what_a_halted_chain_said_three_days_ago_is_stale_and_as_wide_as_three_days_make_it() -> None:
    halted = {CHAIN: NOW, OTHER_CHAIN: NOW + 3 * 86_400}
    about = About(daily_deviation=ETH_A_DAY)

    found = priced(mark("ETH", [said(2000.0)], halted, {CHAIN}, about=about))

    assert (found.mid, found.state, found.reasons[0]) == (2000.0, State.STALE, "stale_chain")
    assert found.low == pytest.approx(2000.0 * (1 - 2.326 * 0.04 * math.sqrt(3)))
    month = {CHAIN: NOW, OTHER_CHAIN: NOW + 30 * 86_400}
    assert priced(mark("ETH", [said(2000.0)], month, {CHAIN}, about=about)).low == pytest.approx(1600.0)


def test_a_chain_that_is_behind_others_and_not_stale_is_no_wider_for_it() -> None:
    about = About(daily_deviation=ETH_A_DAY)
    behind = {CHAIN: NOW, OTHER_CHAIN: NOW + 600}

    found = mark("ETH", [said(2000.0, age_s=60)], behind, about=about)

    assert found == mark("ETH", [said(2000.0, age_s=60)], {CHAIN: NOW}, about=about)


def test_a_jump_that_nobody_confirms_is_held_between_what_was_and_what_is_said() -> None:
    found = priced(mark("ETH", [said(1600.0, past=[(60, 2000.0)], deviation=0.01)], TIMES))

    assert (found.state, found.reasons[0]) == (State.HELD, "jump_unconfirmed")
    assert found.mid == 1600.0
    assert (found.low, found.high) == (1584.0, 2020.0)  # 1600 · 0.99; 2000 · 1.01


def test_what_was_before_a_jump_and_the_mean_of_five_minutes_stretch_a_mark_once() -> None:
    found = priced(mark("ETH", [said(1600.0, past=[(4000, 2000.0)], deviation=0.01)], TIMES))

    assert found.twap_5m == 2000.0
    assert (found.low, found.high) == (1584.0, 2020.0)


def test_of_two_that_jumped_apart_and_one_that_stayed_the_middle_is_its_and_the_bounds_are_theirs() -> None:
    jumped = [said(1600.0, past=[(60, 2000.0)]), said(2600.0, "pyth", past=[(60, 2000.0)])]

    found = priced(mark("ETH", [*jumped, said(2000.0, "redstone", past=[(60, 2000.0)])], TIMES))

    assert (found.low, found.mid, found.high, found.state) == (1600.0, 2000.0, 2600.0, State.HELD)
    assert refused(found) == {"chainlink": Refusal.UNCONFIRMED, "pyth": Refusal.UNCONFIRMED}


def test_a_jump_is_released_when_another_operator_confirms_it() -> None:
    feeds = [said(1600.0, past=[(60, 2000.0)]), said(1610.0, "pyth", past=[(60, 2000.0)])]

    found = priced(mark("ETH", feeds, TIMES))

    assert (found.state, found.mid) == (State.OK, 1605.0)


def test_a_jump_is_released_when_its_time_is_over() -> None:
    later = priced(mark("ETH", [said(1600.0, past=[(1000, 2000.0), (900, 1600.0)])], TIMES))
    sooner = priced(mark("ETH", [said(1600.0, past=[(1000, 2000.0), (899, 1600.0)])], TIMES))

    assert (sooner.state, later.state) == (State.HELD, State.DEGRADED)


def test_a_jump_that_came_back_is_none() -> None:
    assert priced(mark("ETH", [said(2010.0, past=[(120, 2000.0), (60, 900.0)])], TIMES)).state is State.DEGRADED


def test_what_moves_a_lot_by_itself_may_jump_further() -> None:
    jumped = [said(1600.0, past=[(3000, 2000.0)])]

    calm, wild = (mark("ETH", jumped, TIMES, about=About(daily_deviation=d)) for d in (0.04, 0.4))

    assert (priced(calm).state, priced(wild).state) == (State.HELD, State.DEGRADED)


def test_far_from_the_mean_of_an_hour_is_volatile() -> None:
    past = [(3700, 300.0), (1200, 900.0), (1000, 1600.0)]
    rules = MarkRules(hold_s=60)

    found = priced(mark("ETH", [said(9000.0, past=past)], TIMES, rules=rules))

    assert (found.state, found.reasons[0]) == (State.VOLATILE, "far_from_the_hour")


def test_far_below_the_mean_of_an_hour_is_volatile_too() -> None:
    found = priced(mark("ETH", [said(300.0, past=[(4000, 2000.0)])], TIMES))

    assert found.state is State.VOLATILE
    assert found.reasons[0] == "far_from_the_hour"


def test_a_mark_by_rates_alone_is_in_no_better_state_than_what_they_multiply() -> None:
    """What is worth 1.1 ether while the only word on ether has jumped."""
    rate = replace(said(1.1), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None)

    jumped = marks_of({"ETH": [said(1600.0, past=[(600, 2000.0)])], "stETH": [rate]}, TIMES)
    sound = marks_of({"ETH": [said(2000.0)], "stETH": [rate]}, TIMES)

    assert priced(jumped["ETH"]).state is State.HELD
    assert (priced(jumped["stETH"]).state, priced(jumped["stETH"]).reasons[0]) == (State.HELD, "base_in_doubt")
    assert (priced(sound["stETH"]).state, priced(sound["stETH"]).reasons) == (State.DEGRADED, ("too_few_operators",))


def test_the_bounds_hold_a_mean_that_leaves_the_medians() -> None:
    words = [said(100.0), said(100.0, "pyth"), said(99.1, "switchboard")]

    found = priced(mark("ETH", words, TIMES, rules=MarkRules(mode=Mode.MEAN)))

    assert found.low == found.mid == pytest.approx((100 + 100 + 99.1) / 3)
    assert found.high == 100.0


def test_means_over_time_are_of_what_was_said_and_unknown_where_that_does_not_reach() -> None:
    known = priced(mark("ETH", [said(2000.0, age_s=100, past=[(4000, 1000.0), (200, 1900.0)])], TIMES))
    short = priced(mark("ETH", [said(2000.0, age_s=100, past=[(400, 1900.0)])], TIMES))
    mute = priced(mark("ETH", [said(2000.0, age_s=100)], TIMES))

    assert known.twap_5m == pytest.approx((100 * 1000 + 100 * 1900 + 100 * 2000) / 300)
    assert known.twap_1h == pytest.approx((3400 * 1000 + 100 * 1900 + 100 * 2000) / 3600)
    assert short.twap_5m == pytest.approx((200 * 1900 + 100 * 2000) / 300)
    assert short.twap_1h is None
    assert (mute.twap_5m, mute.twap_1h) == (None, None)
    assert (known.lowest, known.highest, mute.lowest) == (1000.0, 2000.0, 2000.0)
    fixed = priced(mark("ETH", [said(2000.0, heartbeat_s=None)], TIMES))
    assert (fixed.twap_5m, fixed.twap_1h) == (2000.0, 2000.0)
    rate = replace(said(1.25, heartbeat_s=None), of="ETH", operator=None)
    redeemed = priced(mark("stETH", [rate], TIMES, bases={"ETH": known}))
    assert known.twap_1h is not None
    assert redeemed.twap_1h == pytest.approx(1.25 * known.twap_1h)


def test_the_low_is_the_mean_of_five_minutes_where_that_is_lower_and_the_middle_stays() -> None:
    found = priced(mark("ETH", [said(2000.0, past=[(4000, 1900.0)])], TIMES))

    assert (found.low, found.mid, found.high) == (1900.0, 2000.0, 2000.0)


def test_the_same_feed_twice_adds_nothing() -> None:
    once = priced(mark("ETH", [said(2000.0), said(2100.0, "pyth")], TIMES))
    twice = priced(mark("ETH", [said(2000.0), said(2100.0, "pyth"), said(2000.0)], TIMES))

    assert (twice.low, twice.mid, twice.high, twice.state) == (once.low, once.mid, once.high, once.state)
    assert refused(twice) == {"chainlink": Refusal.SAID_TWICE}


def test_of_one_feed_said_twice_the_wider_word_stays() -> None:
    """Two assets of one identity may name it, each with a deviation of its own."""
    narrow, wide = said(2000.0, deviation=0.001), replace(said(2000.0, deviation=0.05), asset="eip155:1/slip44:60")

    for words in ([narrow, wide], [wide, narrow]):
        found = priced(mark("ETH", words, TIMES))

        assert (found.low, found.high) == (1900.0, 2100.0)
        assert refused(found) == {"chainlink": Refusal.SAID_TWICE}


def test_a_mean_gives_way_to_one_feed_and_a_median_does_not() -> None:
    used = [Used(observation=said(usd, by), age_s=0, low=usd, price=usd, high=usd) for usd, by in (
        (2000.0, "a"), (2000.0, "b"), (2000.0, "c"), (2000.0, "d"), (10**6, "e"),
    )]  # fmt: skip

    median, mean = (quote_of(used, [1] * 5, MarkRules(mode=mode)).mid for mode in (Mode.MEDIAN, Mode.MEAN))

    assert (median, mean) == (2000.0, (4 * 2000.0 + 10**6) / 5)


def test_no_operator_outweighs_two_others_however_fresh_it_is() -> None:
    old = [said(2000.0 + n, by, age_s=3600) for n, by in enumerate(("pyth", "redstone"))]

    found = priced(mark("ETH", [said(2019.0), *old], TIMES))

    assert found.mid == 2001.0  # the weights are 1, ½ and ½, of which the first is cut to less than both others
