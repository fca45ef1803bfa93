"""Observations become a mark, or the reasons why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.oracle.mark import Mark, Observation, Refusal, Unpriced, age_limit_s, mark, marks_of
from tests.unit.aggregator.builders import CHAIN, NOW, OTHER_CHAIN, USDC, WETH, observation

TIMES = {CHAIN: NOW, OTHER_CHAIN: NOW}


def priced(found: Mark | Unpriced) -> Mark:
    assert isinstance(found, Mark)
    return found


def refusals(found: Mark | Unpriced) -> list[Refusal]:
    return [item.refusal for item in found.discarded]


def test_one_feed_is_the_mark_and_its_deviation_the_bounds() -> None:
    found = priced(mark("ETH", [observation(WETH, 2000.0, deviation=0.25)], TIMES))

    assert (found.low, found.mid, found.high) == (1500.0, 2000.0, 2500.0)  # 2000 · (1 ∓ 0.25)


def test_of_two_feeds_the_mark_is_the_middle_and_the_bounds_are_the_outer_ones() -> None:
    found = priced(mark("ETH", [observation(WETH, 1900.0), observation(WETH, 2000.0, feed=b"\x01" * 20)], TIMES))

    assert (found.low, found.mid, found.high) == (1900.0, 1950.0, 2000.0)


def test_of_three_feeds_one_that_is_far_off_moves_nothing() -> None:
    feeds = [observation(WETH, usd, feed=bytes([n]) * 20) for n, usd in enumerate((1990.0, 2000.0, 9.0))]

    found = priced(mark("ETH", feeds, TIMES))

    assert (found.low, found.mid, found.high) == (1990.0, 1995.0, 2000.0)
    assert refusals(found) == [Refusal.OUTLIER]


@pytest.mark.parametrize(
    "age_s, refused",
    [
        (4020, []),  # 3600 · 11 // 10 + 60
        (4021, [Refusal.STALE]),
        (-1, [Refusal.FROM_THE_FUTURE]),
        (0, []),
    ],
)
def test_an_answer_has_an_age_limit_and_none_comes_from_the_future(age_s: int, refused: list[Refusal]) -> None:
    assert age_limit_s(3600) == 4020
    assert refusals(mark("ETH", [observation(WETH, 2000.0, age_s=age_s)], TIMES)) == refused


def test_the_age_is_counted_from_the_block_of_the_feeds_own_chain() -> None:
    times = {CHAIN: NOW + 10_000, OTHER_CHAIN: NOW}

    found = mark("ETH", [observation(WETH, 2000.0, chain=OTHER_CHAIN), observation(WETH, 1.0)], times)

    assert priced(found).mid == 2000.0
    assert refusals(found) == [Refusal.STALE]


def test_the_smallest_answer_is_a_price() -> None:
    assert priced(mark("ETH", [observation(WETH, None, answer_raw=1)], TIMES)).mid == 1e-8


@pytest.mark.parametrize("answer_raw", [0, -1, -(2**255)])
def test_an_answer_that_is_not_positive_is_no_price(answer_raw: int) -> None:
    assert refusals(mark("ETH", [observation(WETH, None, answer_raw=answer_raw)], TIMES)) == [Refusal.NON_POSITIVE]


def test_the_largest_answer_is_a_finite_price() -> None:
    huge = observation(WETH, None, answer_raw=2**255 - 1)

    assert priced(mark("ETH", [huge], TIMES)).mid == (2**255 - 1) / 10**8


def test_a_confidence_interval_widens_the_bounds_beyond_the_deviation() -> None:
    found = priced(mark("ETH", [observation(WETH, 2000.0, deviation=0.25, confidence=10.0)], TIMES))

    assert (found.low, found.mid, found.high) == (1478.8, 2000.0, 2521.2)  # 2000 · (1 ∓ 0.25) ∓ 2.12 · 10


@pytest.mark.parametrize(
    "confidence, limit, refused",
    [
        (40.0, None, []),  # 2 % of 2000, the limit of a feed that has none of its own
        (40.00000001, None, [Refusal.TOO_WIDE]),
        (60.0, 0.03, []),  # 3 %
        (60.00000001, 0.03, [Refusal.TOO_WIDE]),
        (0.0, 0.0, []),
        (0.00000001, 0.0, [Refusal.TOO_WIDE]),
        (-0.00000001, None, [Refusal.TOO_WIDE]),
        (None, 0.0, []),
    ],
)
def test_an_interval_wider_than_is_believed_leaves_the_answer_out(
    confidence: float | None, limit: float | None, refused: list[Refusal]
) -> None:
    said = replace(observation(WETH, 2000.0, confidence=confidence), max_confidence=limit)

    assert refusals(mark("ETH", [said], TIMES)) == refused


def test_an_answer_that_is_stale_and_too_wide_is_called_stale() -> None:
    assert refusals(mark("ETH", [observation(WETH, 2000.0, age_s=99_999, confidence=999.0)], TIMES)) == [Refusal.STALE]


def test_the_low_of_an_uncertain_answer_is_never_below_zero() -> None:
    said = replace(observation(WETH, 2000.0, deviation=0.5, confidence=1200.0), max_confidence=0.9)

    found = priced(mark("ETH", [said], TIMES))

    assert (found.low, found.high) == (0.0, 5544.0)  # 2000 · 0.5 − 2.12 · 1200 is below zero; 2000 · 1.5 + 2.12 · 1200


def test_feeds_with_and_without_an_interval_are_combined_as_any_others() -> None:
    feeds = [observation(WETH, 1990.0, confidence=20.0), observation(WETH, 2000.0, feed=b"\x01" * 20)]

    found = priced(mark("ETH", feeds, TIMES))

    assert (found.low, found.mid, found.high) == (
        1947.6,
        1995.0,
        2032.4,
    )  # 1990 − 2.12 · 20, the mean, 1990 + 2.12 · 20


def test_a_feed_that_has_said_nothing_is_listed() -> None:
    found = mark("ETH", [observation(WETH, None)], TIMES)

    assert isinstance(found, Unpriced)
    assert found.cause == "no_answer"


def test_a_feed_in_doubt_is_not_believed_whatever_it_says() -> None:
    doubted = replace(observation(WETH, 2000.0), fault="it says 7 and emitted 8")

    assert refusals(mark("ETH", [doubted], TIMES)) == [Refusal.IN_DOUBT]
    assert refusals(mark("ETH", [replace(doubted, reading=None)], TIMES)) == [Refusal.NO_ANSWER]


def test_without_any_feed_the_cause_is_named() -> None:
    found = mark("ETH", [], TIMES)

    assert isinstance(found, Unpriced)
    assert found.cause == "no_feed"


def test_every_discarded_observation_keeps_its_own_reason() -> None:
    feeds = [
        observation(WETH, 2000.0),
        observation(WETH, 2000.0, age_s=99_999),
        observation(WETH, None),
        observation(WETH, None, answer_raw=0),
    ]

    found = mark("ETH", feeds, TIMES)

    assert refusals(found) == [Refusal.STALE, Refusal.NO_ANSWER, Refusal.NON_POSITIVE]
    assert [item.age_s for item in found.discarded] == [99_999, None, 0]


def test_a_fixed_answer_does_not_age() -> None:
    fixed = replace(observation(USDC, 1.0, age_s=10**9, heartbeat_s=None), kind="fixed")

    assert priced(mark("USDC", [fixed], TIMES)).mid == 1.0


def test_what_a_stale_chain_says_gives_way_to_any_other() -> None:
    feeds = [observation(WETH, 1000.0), observation(WETH, 2000.0, chain=OTHER_CHAIN)]

    found = mark("ETH", feeds, TIMES, {CHAIN})

    assert priced(found).mid == 2000.0
    assert refusals(found) == [Refusal.STALE_CHAIN]


def test_what_a_stale_chain_says_is_used_where_nothing_else_speaks() -> None:
    assert priced(mark("ETH", [observation(WETH, 1000.0)], TIMES, {CHAIN})).mid == 1000.0


def test_a_chain_without_a_block_prices_nothing() -> None:
    assert refusals(mark("ETH", [observation(WETH, 2000.0)], {})) == [Refusal.FROM_THE_FUTURE]


def rate(of: str, worth: float, *, deviation: float = 0.0, chain: str = CHAIN) -> Observation:
    told = observation(WETH, worth, deviation=deviation)
    return replace(told, kind="redemption-rate", of=of, heartbeat_s=None, chain_id=chain)


def test_a_rate_multiplies_the_mark_of_what_is_redeemed_with_its_bounds_and_its_age() -> None:
    marks = marks_of(
        {"stETH": [rate("ETH", 1.25, deviation=0.5)], "ETH": [observation(WETH, 2000.0, deviation=0.25, age_s=90)]},
        TIMES,
    )

    found = priced(marks["stETH"])
    assert (found.low, found.mid, found.high) == (
        937.5,
        2500.0,
        4687.5,
    )  # 1.25 · 1500 · 0.5, 1.25 · 2000, 1.25 · 2500 · 1.5
    assert (found.used[0].age_s, found.used[0].base) == (90, marks["ETH"])


def test_rates_upon_rates_are_multiplied_in_any_order() -> None:
    eth = [observation(WETH, 2000.0)]
    marks = marks_of({"vault": [rate("stETH", 1.5)], "stETH": [rate("ETH", 1.25)], "ETH": eth}, TIMES)

    assert priced(marks["vault"]).mid == 3750.0


def test_a_rate_of_what_has_no_mark_prices_nothing() -> None:
    stale = [observation(WETH, 2000.0, age_s=4021)]

    assert refusals(marks_of({"stETH": [rate("ETH", 1.25)], "ETH": stale}, TIMES)["stETH"]) == [Refusal.BASE_UNPRICED]
    assert refusals(marks_of({"stETH": [rate("ETH", 1.25)]}, TIMES)["stETH"]) == [Refusal.BASE_UNPRICED]
    assert refusals(marks_of({"stETH": [rate("ETH", 0.0)], "ETH": stale}, TIMES)["stETH"]) == [Refusal.NON_POSITIVE]


def test_rates_in_a_circle_price_nothing() -> None:
    marks = marks_of({"a": [rate("b", 1.25)], "b": [rate("a", 1.25)], "c": [rate("a", 1.0)]}, TIMES)

    assert {type(found) for found in marks.values()} == {Unpriced}


def test_a_rate_upon_the_word_of_a_stale_chain_is_left_out_where_there_is_another() -> None:
    eth = [replace(observation(WETH, 2000.0), chain_id=OTHER_CHAIN)]
    direct = observation(WETH, 2400.0, feed=b"\x07" * 20)

    found = priced(marks_of({"stETH": [rate("ETH", 1.25), direct], "ETH": eth}, TIMES, {OTHER_CHAIN})["stETH"])

    assert (found.mid, refusals(found)) == (2400.0, [Refusal.STALE_CHAIN])
