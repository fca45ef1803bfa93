"""What an answer weighs among others, what the middle of weighted answers is, and what a window of the past says of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from aggregator.oracle.combined import quote_of
from aggregator.oracle.mark import About, Observation, Reading, Refusal, Unpriced, Used, mark, marks_of
from aggregator.oracle.rules import MarkRules, Mode, State
from aggregator.oracle.weights import SCALE, half_spread, lower_median, mean, median, quantile, strays, upper_median
from aggregator.oracle.weights import weights as weights_of
from tests.unit.aggregator.builders import CHAIN, NOW, OTHER_CHAIN, USD
from tests.unit.aggregator.test_mark_states import TIMES, priced, refused, said

HOUR = 3600


def used(
    by: str | None, age_s: int = 0, *, feed: bytes = b"\1" * 20, chain: str = CHAIN, heartbeat_s: int | None = HOUR
) -> Used:
    told = replace(said(1.0), operator=by, feed=feed, chain_id=chain, heartbeat_s=heartbeat_s)
    return Used(observation=told, age_s=age_s, low=1.0, price=1.0, high=1.0)


def parts(*items: Used) -> list[float]:
    """The share that each has of all weight."""
    found = weights_of(items)
    return [each / sum(found) for each in found]


def test_a_weight_halves_with_each_heartbeat_and_is_never_nothing() -> None:
    """Of four operators, none weighs as much as the others together."""
    ages = [0, HOUR, HOUR, 2 * HOUR, 30 * HOUR]

    found = weights_of([used(str(place), age) for place, age in enumerate(ages)])

    assert found == [SCALE, SCALE // 2, SCALE // 2, SCALE // 4, 1]


def test_what_does_not_age_weighs_as_if_it_were_new() -> None:
    found = weights_of([used("a", 9 * HOUR, heartbeat_s=None), used("b", 0), used("c", 0)])

    assert found == [SCALE, SCALE, SCALE]


def test_an_operator_weighs_as_much_as_its_freshest_feed_and_its_feeds_share_that_by_their_age() -> None:
    """Two feeds of a, of weight 1 and 1/2, share what b, c and d have each: 2/3 and 1/3 of a quarter."""
    feeds = [used("a", 0), used("a", HOUR, feed=b"\2" * 20), *(used(by) for by in "bcd")]

    assert parts(*feeds) == pytest.approx([1 / 6, 1 / 12, 1 / 4, 1 / 4, 1 / 4])
    assert parts(*feeds[::-1]) == pytest.approx([1 / 4, 1 / 4, 1 / 4, 1 / 12, 1 / 6])
    first, second, *others = weights_of(feeds)
    assert {first + second} == set(others)


def test_what_feeds_of_one_operator_share_does_not_depend_on_how_old_others_are() -> None:
    """Operator a has 1, which its feeds share as 2 to 1; b has 1/2, c and d have 1: 3.5 in all."""
    feeds = [used("a", 0), used("a", HOUR, feed=b"\2" * 20), used("b", HOUR), used("c"), used("d")]

    assert parts(*feeds) == pytest.approx([2 / 10.5, 1 / 10.5, 0.5 / 3.5, 1 / 3.5, 1 / 3.5])


def test_feeds_without_an_operator_each_speak_for_themselves_one_on_two_chains_too() -> None:
    alike = [used(None), used(None, feed=b"\2" * 20), used(None, chain=OTHER_CHAIN)]

    assert parts(*alike) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert parts(*alike[:2], used("b"), used("c")) == pytest.approx([1 / 4, 1 / 4, 1 / 4, 1 / 4])


def test_of_two_operators_each_weighs_half_however_old() -> None:
    assert parts(used("a"), used("b", 10 * HOUR)) == [0.5, 0.5]
    assert parts(used("a", 30 * HOUR), used("b", 30 * HOUR)) == [0.5, 0.5]


def test_of_several_operators_one_always_weighs_less_than_the_others_together() -> None:
    fresh, *others = weights_of([used("a"), used("b", 4 * HOUR), used("c", 4 * HOUR)])

    assert fresh == sum(others) - 1
    assert others == [SCALE // 16, SCALE // 16]
    assert weights_of([used(by, 30 * HOUR) for by in "abc"]) == [1, 1, 1]
    assert weights_of([used("a"), used("b", 30 * HOUR), used("c", 30 * HOUR)]) == [1, 1, 1]


def test_alone_an_operator_has_all_the_weight_of_its_feeds() -> None:
    assert parts(used("a", 0), used("a", HOUR, feed=b"\2" * 20)) == pytest.approx([2 / 3, 1 / 3])
    assert weights_of([used("a", HOUR)]) == [SCALE // 2]


@pytest.mark.parametrize(
    "weighing, lower, upper",
    [
        ([1], 1.0, 1.0),
        ([1, 1], 1.0, 2.0),
        ([2, 1], 1.0, 1.0),
        ([1, 2], 2.0, 2.0),
        ([1, 1, 1], 2.0, 2.0),
        ([3, 1, 1], 1.0, 1.0),
        ([2, 1, 1], 1.0, 2.0),
        ([1, 1, 2], 2.0, 3.0),
        ([1, 1, 1, 1], 2.0, 3.0),
        ([1, 1, 1, 3], 3.0, 4.0),
    ],
)
def test_half_of_the_weight_is_at_or_below_the_lower_median_and_at_or_above_the_upper(
    weighing: list[int], lower: float, upper: float
) -> None:
    values = [float(place) for place in range(1, len(weighing) + 1)]

    for order in (slice(None), slice(None, None, -1)):
        assert lower_median(values[order], weighing[order]) == lower
        assert upper_median(values[order], weighing[order]) == upper
        assert median(values[order], weighing[order]) == (lower + upper) / 2


@pytest.mark.parametrize(
    "weighing, half",
    [
        ([1], 0.0),
        ([1, 1], 0.5),
        ([3, 1], 0.5),
        ([4, 1], 0.0),
        ([1, 1, 1, 1], 1.5),
        ([1, 2, 4, 1], 0.5),
        ([1, 1, 9, 1], 0.0),
    ],
)
def test_the_spread_is_half_of_what_lies_between_the_outer_quarters(weighing: list[int], half: float) -> None:
    """A quarter of the weight is at or below the lower end, and at or above the upper one."""
    values = [float(place) for place in range(1, len(weighing) + 1)]

    assert half_spread(values, weighing) == half
    assert half_spread(values[::-1], weighing[::-1]) == half


def test_a_mean_stays_within_what_was_said() -> None:
    assert mean([0.1, 0.1, 0.1], [1, 1, 1]) == 0.1
    assert mean([1.0, 4.0], [2, 1]) == 2.0
    assert all(low <= mean([low] * 3, [3, 7, 5]) <= low for low in (0.1, 0.3, 1.1, 2.3))


def test_quantiles_count_weight_and_not_answers() -> None:
    assert [quantile([1.0, 2.0, 3.0], [1, 1, 6], share) for share in map(_eighths, (1, 2, 3, 8))] == [
        1.0,
        2.0,
        3.0,
        3.0,
    ]


def _eighths(number: int) -> Fraction:
    return Fraction(number, 8)


@pytest.mark.parametrize(
    "prices, found",
    [
        ([100.0, 200.0], [False, False]),
        ([100.0, 100.0, 100.9], [False, False, False]),
        ([100.0, 100.0, 101.1], [False, False, True]),
        ([98.0, 100.0, 102.0, 108.0], [False] * 4),
        ([98.0, 100.0, 102.0, 111.0], [False, False, False, True]),
    ],
)
def test_who_strays_is_farther_than_a_hundredth_and_than_three_scaled_deviations(
    prices: list[float], found: list[bool]
) -> None:
    """Of the last four: the middle is √(100 · 102), and the median of all deviations of logs from it 0.020, times 4.45."""
    assert strays(prices, [1] * len(prices), 0.01, 3.0) == found


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e9])
def test_who_strays_does_so_in_any_unit(unit: float) -> None:
    """A token may be worth a millionth of a dollar."""
    prices = [unit * each for each in (1.0, 1.001, 1.4)]

    assert strays(prices, [1] * 3, 0.01, 3.0) == [False, False, True]


def test_a_price_of_next_to_nothing_strays_and_breaks_nothing() -> None:
    assert strays([100.0, 100.0, 0.0], [1, 1, 1], 0.01, 3.0) == [False, False, True]


def test_the_wider_end_of_a_feed_said_twice_decides_between_equal_lows() -> None:
    narrow = said(2000.0, confidence=0.0)
    alike = replace(narrow, asset="eip155:1/slip44:60")

    for words in ([narrow, alike], [alike, narrow]):
        assert [item.observation.asset for item in priced(mark("ETH", words, TIMES)).used] == [
            min(narrow.asset, alike.asset)
        ]


def test_the_middle_over_time_is_of_all_who_spoke_by_then() -> None:
    """From 400 s ago one operator said 1900, and from 200 s ago another 2100 too; from 100 s ago the first says 2000."""
    words = [
        said(2000.0, age_s=100, past=[(400, 1900.0)]),
        said(2100.0, "pyth", age_s=200),
    ]

    found = priced(mark("ETH", words, TIMES))

    assert found.path == ((NOW - 400, 1900.0), (NOW - 200, 2000.0), (NOW - 100, 2050.0))
    assert found.twap_5m == pytest.approx((100 * 1900 + 100 * 2000 + 100 * 2050) / 300)
    assert (found.lowest, found.highest, found.twap_1h) == (1900.0, 2050.0, None)


def test_the_path_begins_with_the_last_answer_at_or_before_the_hour() -> None:
    words = said(2000.0, past=[(2 * HOUR, 1.0), (HOUR, 1900.0), (60, 1950.0)])

    found = priced(mark("ETH", [words], TIMES))

    assert found.path == ((NOW - HOUR, 1900.0), (NOW - 60, 1950.0), (NOW, 2000.0))
    assert (found.lowest, found.highest) == (1900.0, 2000.0)


@pytest.mark.parametrize(
    "wrong",
    [
        Reading(0, USD, NOW - 60, 98),
        Reading(-5 * USD, USD, NOW - 60, 98),
        Reading(900 * USD, USD, NOW - 60, 98, 19 * USD),
        Reading(900 * USD, USD, NOW - 60, 98, -1),
        Reading(900 * USD, USD, NOW + 60, 98),
    ],
    ids=["nothing", "negative", "a wide interval", "an interval below nothing", "from the future"],
)
def test_what_could_not_be_used_when_it_was_said_is_no_part_of_the_past(wrong: Reading) -> None:
    told = said(2000.0, past=[(600, 2000.0)])

    found = priced(mark("ETH", [replace(told, past=(*told.past, wrong))], TIMES))

    assert (found.twap_5m, found.lowest, found.highest) == (2000.0, 2000.0, 2000.0)
    assert found.state is State.DEGRADED


def test_an_interval_that_is_just_believed_is_part_of_the_past_by_the_feeds_own_limit() -> None:
    """18 of 900 are 2 %."""
    told = said(2000.0, past=[(600, 2000.0)])
    at_limit, wide = (Reading(900 * USD, USD, NOW - 60, 98, confidence * USD) for confidence in (18, 45))

    assert priced(mark("ETH", [replace(told, past=(*told.past, at_limit))], TIMES)).lowest == 900.0
    assert priced(mark("ETH", [replace(told, past=(*told.past, wide), max_confidence=0.05)], TIMES)).lowest == 900.0
    assert (
        priced(mark("ETH", [replace(told, past=(*told.past, at_limit), max_confidence=0.019)], TIMES)).lowest == 2000.0
    )


def test_a_window_ends_with_the_newest_block_of_those_who_are_used() -> None:
    """The other chain's block is a minute older, its answer as old as its own clock says."""
    here = said(2000.0, past=[(600, 1000.0)])
    there = replace(said(2000.0, "pyth", age_s=60, past=[(600, 1000.0)]), chain_id=OTHER_CHAIN)

    found = priced(mark("ETH", [here, there], {CHAIN: NOW, OTHER_CHAIN: NOW - 60}))

    assert found.twap_5m == pytest.approx((240 * 1000 + 60 * 1500) / 300)


def test_bounds_reach_what_was_before_a_jump_with_the_width_that_they_have_now() -> None:
    """1600 ± 1 % and twice the half-width of 8 that the feed gives: the same share below the lowest and above the highest."""
    told = said(1600.0, deviation=0.01, confidence=8.0, past=[(60, 2000.0)])

    found = priced(mark("ETH", [told], TIMES))

    low, high = 1584 - 2.12 * 8, 1616 + 2.12 * 8
    assert (found.low, found.high) == pytest.approx((low, 2000 * high / 1600))


def test_bounds_reach_the_lowest_and_the_highest_of_what_was_before_and_of_five_minutes() -> None:
    """By two answers that nobody believes yet: up from 1000 to 2500, 1200 on average; and down from 3000 to 1600, 2800 on average."""
    up = priced(mark("ETH", [said(2500.0, deviation=0.01, past=[(4000, 1000.0), (60, 2000.0)])], TIMES))
    down = priced(mark("ETH", [said(1600.0, deviation=0.01, past=[(4000, 3000.0), (60, 2000.0)])], TIMES))

    assert (up.twap_5m, down.twap_5m) == (1200.0, 2800.0)
    assert (up.low, up.high) == pytest.approx((1000 * 0.99, 2525.0))
    assert (down.low, down.high) == pytest.approx((1584.0, 3000 * 1.01))


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e6])
def test_a_jump_is_one_whatever_a_thing_costs(unit: float) -> None:
    held, calm = (priced(mark("X", [said(usd * unit, past=[(60, unit)])], TIMES)) for usd in (0.8, 0.9))

    assert held.reasons[0] == "jump_unconfirmed"
    assert "jump_unconfirmed" not in calm.reasons


def test_answers_whose_times_go_back_are_judged_all_the_same() -> None:
    told = said(2400.0, past=[(60, 2000.0), (120, 2000.0)])
    backward = replace(told, past=(*told.past, told.past[0]._replace(updated_at=NOW - 600)))

    found = priced(mark("ETH", [backward], TIMES, about=About(daily_deviation=0.04)))

    assert found.state is State.HELD


def test_the_confidence_of_a_mark_is_the_feeds_own_interval_where_that_is_wider_than_what_parts_them() -> None:
    wide, narrow = said(2000.0, confidence=30.0), said(2010.0, "pyth", confidence=10.0)

    assert priced(mark("ETH", [wide], TIMES)).confidence == 30.0
    assert priced(mark("ETH", [narrow, wide], TIMES)).confidence == 30.0
    assert priced(mark("ETH", [narrow, replace(wide, reading=narrow.reading)], TIMES)).confidence == 10.0
    assert priced(mark("ETH", [said(2000.0), said(2010.0, "pyth")], TIMES)).confidence == 5.0


def test_a_mark_is_as_old_as_the_oldest_answer_that_it_rests_on() -> None:
    assert priced(mark("ETH", [said(2000.0, age_s=5), said(2000.0, "pyth", age_s=70)], TIMES)).age_s == 70


def test_a_rate_whose_base_jumped_is_held_by_that_and_not_stretched_again() -> None:
    """1.1 times 1600, which was 2000: the bounds of the base, 1600 and 2000, times the rate."""
    rate = replace(said(1.1), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None, feed=b"\x77" * 20)

    found = marks_of({"ETH": [said(1600.0, past=[(60, 2000.0)])], "stETH": [rate]}, TIMES)

    staked, ether = priced(found["stETH"]), priced(found["ETH"])
    assert (staked.low, staked.high) == pytest.approx((1.1 * ether.low, 1.1 * ether.high))
    assert staked.reasons == ("base_in_doubt", "too_few_operators")
    assert refused(staked) == {}


def test_a_rate_is_listed_beside_the_prices_that_make_the_middle() -> None:
    rate = replace(said(1.25), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None, feed=b"\x77" * 20)
    astray = [said(price, by) for price, by in ((2500.0, "chainlink"), (2501.0, "pyth"), (9000.0, "redstone"))]

    found = priced(marks_of({"stETH": [rate, *astray], "ETH": [said(2000.0)]}, TIMES)["stETH"])

    assert [item.observation.operator for item in found.used] == [None, "chainlink", "pyth"]
    assert refused(found) == {"redstone": Refusal.OUTLIER}


def test_a_first_print_below_par_is_one_of_each_feed_of_the_operator() -> None:
    """Floor 0.875. What has no past is taken at its word, and what is above the floor is nobody's print below it."""
    first = said(0.65, past=[(60, 0.875)])
    other = replace(said(0.66), feed=b"\2" * 20)
    above = replace(said(0.9), feed=b"\2" * 20)
    at_floor = replace(said(0.875), feed=b"\2" * 20)

    def is_held(*words: Observation) -> bool:
        found = priced(mark("USDe", words, TIMES, about=About(at_par=True), rules=MarkRules(jump=9.0)))
        return "first_print_below_fair" in found.reasons

    assert is_held(first)
    assert not is_held(said(0.65))
    assert not is_held(first, other)
    assert is_held(first, replace(other, past=first.past))
    assert is_held(first, above)
    assert is_held(first, at_floor)


def test_the_floor_of_a_print_goes_by_what_the_thing_is_redeemed_for() -> None:
    """Redeemed for 1.25 · 2000 = 2500, floor 2187.5."""
    rate = replace(said(1.25), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None, feed=b"\x77" * 20)
    printed, near = said(1500.0, "pyth", past=[(60, 2500.0)]), said(2200.0, "pyth", past=[(60, 2500.0)])

    held, fine = (
        priced(marks_of({"stETH": [rate, word], "ETH": [said(2000.0)]}, TIMES)["stETH"]) for word in (printed, near)
    )

    assert (held.low, held.mid, held.high, held.reasons[0]) == (1500.0, 2187.5, 2500.0, "first_print_below_fair")
    assert (fine.low, fine.mid, fine.high) == (2200.0, 2200.0, 2500.0)


def test_what_is_redeemed_at_less_than_its_low_lowers_the_low() -> None:
    rate = replace(said(0.9), kind="redemption-rate", of="ETH", heartbeat_s=None, operator=None, feed=b"\x77" * 20)

    found = priced(marks_of({"wETH": [rate, said(2000.0, "pyth")], "ETH": [said(2000.0)]}, TIMES)["wETH"])

    assert (found.low, found.mid, found.high) == (1800.0, 2000.0, 2000.0)


def test_a_jump_without_an_estimate_is_judged_by_its_share_alone_however_long_it_took() -> None:
    """By a fifth, ln 1.2 = 0.18, since three days ago; six deviations of 2 % a day are 0.21 by then."""
    told = said(2400.0, heartbeat_s=86_400 * 4, past=[(3 * 86_400, 2000.0)])

    assert priced(mark("ETH", [told], TIMES)).state is State.HELD
    assert priced(mark("ETH", [told], TIMES, about=About(daily_deviation=0.02))).state is not State.HELD


def test_one_answer_that_is_from_a_chain_in_time_or_from_a_base_in_order_is_enough() -> None:
    rates = [
        replace(said(1.25), kind="redemption-rate", of=base, heartbeat_s=None, operator=None, feed=bytes([place]) * 20)
        for place, base in enumerate(("ETH", "BTC"), start=5)
    ]
    bases = {"ETH": [said(1600.0, past=[(60, 2000.0)])], "BTC": [replace(said(1600.0), feed=b"\x66" * 20)]}

    found = priced(marks_of({**bases, "both": rates}, TIMES)["both"])

    assert "base_in_doubt" not in found.reasons


def test_the_worst_reason_is_told_first_and_others_of_its_state_by_name() -> None:
    """1600 in place of 9000 for more than an hour, late, and by one operator alone where two are demanded."""
    words = said(1600.0, age_s=3811, past=[(3900, 9000.0)])

    found = priced(mark("ETH", [words], TIMES, {CHAIN}, rules=MarkRules(demand_quorum=True)))

    assert (found.state, found.reasons) == (State.NO_QUORUM, ("too_few_operators", "late", "stale_chain"))


@pytest.mark.parametrize("spread, state", [(2.0, State.OK), (2.1, State.UNCERTAIN)])
def test_operators_that_part_by_the_limit_still_agree(spread: float, state: State) -> None:
    """Half of what parts 98 and 102 is 2 % of 100."""
    found = priced(mark("ETH", [said(100.0 - spread), said(100.0 + spread, "pyth")], TIMES))

    assert found.state is state


@pytest.mark.parametrize("past, state", [(500.0, State.DEGRADED), (499.0, State.VOLATILE), (12_500.0, State.DEGRADED)])
def test_a_middle_at_the_very_multiple_of_the_hours_mean_is_not_far_from_it(past: float, state: State) -> None:
    rules = MarkRules(hold_s=0, volatile_ratio=5.0)

    found = priced(mark("ETH", [said(2500.0, past=[(HOUR, past)])], TIMES, rules=rules))

    assert found.state is state


def test_a_mean_above_every_high_lifts_the_high() -> None:
    items = [
        Used(observation=said(usd, by), age_s=0, low=usd, price=usd, high=usd)
        for usd, by in ((1.0, "a"), (1.0, "b"), (4.0, "c"))
    ]

    quote = quote_of(items, [1, 1, 1], MarkRules(mode=Mode.MEAN))

    assert (quote.low, quote.mid, quote.high) == (1.0, 2.0, 2.0)


def test_a_circle_of_rates_prices_nothing_and_no_rate_is_used_without_its_base() -> None:
    first, second = (
        replace(said(1.0), kind="redemption-rate", of=of, heartbeat_s=None, operator=None) for of in ("B", "A")
    )

    found = marks_of({"A": [first], "B": [second]}, TIMES)

    assert all(isinstance(each, Unpriced) for each in found.values())
    assert {each.reasons for each in found.values()} == {("base_unpriced",)}
