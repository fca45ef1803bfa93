"""Whatever feeds say, and in whatever order, a mark errs to the outer side only, and is made of its window alone.

K1 low ≤ mid ≤ high, and the middle is bounded by what was used or by what it can be redeemed for
K2 the order in which observations come changes nothing
K3 a feed that is listed twice adds nothing
K4 a wider interval or deviation of a feed never narrows a mark
K5 an older answer is never narrower, while everything else is as it was
K6 an answer from before the window, but for the last one, changes nothing
K7 every observation is used or listed with its reason, once
K8 no operator moves the middle out of what two others say that agree
K9 the middle of one plain source is exactly its answer
K10 a worse status band is left no sooner with a window than without, and nobody is called liquidatable by a doubtful price alone
K11 what one operator prints far below redemption for the first time is held: the bounds reach the print and what it is redeemed for
"""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aggregator.margin.policy import StatusPolicy
from aggregator.margin.status import HealthFactors, Status, band, held_band, house_status, may_be_held, worst
from aggregator.oracle.mark import About, Mark, Observation, Reading, Unpriced, mark, marks_of
from aggregator.oracle.observation import WINDOW_S
from aggregator.oracle.rules import MarkRules, Mode, State
from tests.unit.aggregator.builders import CHAIN, NOW, OTHER_CHAIN, USD, USDC, WETH, observation

TIMES = {CHAIN: NOW, OTHER_CHAIN: NOW - 12}
OPERATORS = ["chainlink", "pyth", "switchboard", "redstone"]

usd = st.one_of(st.integers(min_value=190_000, max_value=210_000), st.integers(min_value=1, max_value=10**12)).map(
    lambda cents: cents / 100
)
ages = st.sampled_from([0, 1, 12, 300, 900, 3600, 3900, 4020, 4021, -1])
about = st.builds(About, daily_deviation=st.none() | st.sampled_from([0.0, 0.04, 2.0]), at_par=st.booleans())
rules = st.builds(MarkRules, mode=st.sampled_from(list(Mode)))


@st.composite
def pasts(draw: st.DrawFn) -> tuple[Reading, ...]:
    """Answers of the last two hours, oldest first."""
    said = draw(st.dictionaries(st.integers(min_value=0, max_value=7200), usd, max_size=6))
    return tuple(Reading(round(price * USD), USD, NOW - ago, 98) for ago, price in sorted(said.items(), reverse=True))


@st.composite
def observations(draw: st.DrawFn, *, place: int = 0) -> Observation:
    reading = draw(st.none() | st.just(0))
    found = observation(
        WETH,
        draw(usd),
        age_s=draw(ages),
        deviation=draw(st.sampled_from([0.0, 0.01, 0.5])),
        confidence=draw(st.none() | st.just(0.001)),
        feed=bytes([place]) * 20,
        operator=draw(st.sampled_from(OPERATORS)),
    )
    at = found.reading.updated_at if found.reading else 0
    past = tuple(each for each in draw(pasts()) if each.updated_at < at)
    chain = draw(st.sampled_from([CHAIN, OTHER_CHAIN]))
    return replace(found, past=past, chain_id=chain, reading=found.reading if reading is None else None)


@st.composite
def several(draw: st.DrawFn) -> list[Observation]:
    return [draw(observations(place=place)) for place in range(draw(st.integers(min_value=0, max_value=5)))]


def bounds(found: Mark | Unpriced) -> tuple[float, float, float] | None:
    return (found.low, found.mid, found.high) if isinstance(found, Mark) else None


def told(found: Mark | Unpriced) -> object:
    """All that a mark says, but for the order in which it lists observations."""
    if isinstance(found, Unpriced):
        return found.state
    return (bounds(found), found.state, found.reasons, found.operators, found.twap_5m, found.twap_1h, found.path)


@given(several(), about, rules)
def test_k1_a_mark_is_in_order_and_bounded_by_what_was_used(
    said: list[Observation], known: About, how: MarkRules
) -> None:
    found = mark("ETH", said, TIMES, about=known, rules=how)

    if isinstance(found, Mark):
        prices = [item.price for item in found.used]
        most = max([*prices, 1 - how.peg_haircut] if known.at_par else prices)
        assert 0 <= found.low <= found.mid <= found.high
        assert min(prices) <= found.mid <= most
        assert found.lowest <= found.mid <= found.highest


@given(several(), about, rules, st.randoms(use_true_random=False))
def test_k2_the_order_of_observations_changes_nothing(
    said: list[Observation], known: About, how: MarkRules, chance: random.Random
) -> None:
    before = mark("ETH", said, TIMES, about=known, rules=how)
    chance.shuffle(said)

    assert told(mark("ETH", said, TIMES, about=known, rules=how)) == told(before)


@given(several(), about, st.integers(min_value=0, max_value=4))
def test_k3_a_feed_that_is_listed_twice_adds_nothing(said: list[Observation], known: About, place: int) -> None:
    again = [*said, *said[place : place + 1]]

    assert told(mark("ETH", again, TIMES, about=known)) == told(mark("ETH", said, TIMES, about=known))


@given(several(), about, st.integers(min_value=0, max_value=4), st.floats(0, 0.4), st.floats(0, 0.01))
def test_k4_a_wider_interval_never_narrows_a_mark(
    said: list[Observation], known: About, place: int, deviation: float, confidence: float
) -> None:
    said = [replace(item, max_confidence=0.5) for item in said]
    wider = [_widened(item, deviation, confidence) if at == place else item for at, item in enumerate(said)]

    before, after = bounds(mark("ETH", said, TIMES, about=known)), bounds(mark("ETH", wider, TIMES, about=known))

    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert after[0] <= before[0]
        assert after[1] == before[1]
        assert after[2] >= before[2]


def _widened(item: Observation, deviation: float, confidence: float) -> Observation:
    if item.reading is None or item.reading.answer_raw <= 0:
        return item
    own = item.reading.confidence_raw or 0
    more = own + int(item.reading.answer_raw * confidence)
    return replace(
        item,
        deviation=min(item.deviation + deviation, 0.99),
        reading=item.reading._replace(confidence_raw=more),
    )


@given(usd, st.integers(0, 3600), st.integers(0, 420), about, st.sampled_from([0.0, 0.01]))
def test_k5_an_older_answer_is_never_narrower(
    price: float, age_s: int, more: int, known: About, deviation: float
) -> None:
    younger, older = (
        bounds(mark("ETH", [observation(WETH, price, age_s=age, deviation=deviation)], TIMES, about=known))
        for age in (age_s, min(age_s + more, 4020))
    )

    assert younger is not None
    assert older is not None
    assert older[0] <= younger[0]
    assert older[1] == younger[1]
    assert older[2] >= younger[2]


@given(several(), about)
def test_k6_an_answer_from_before_the_window_changes_nothing(said: list[Observation], known: About) -> None:
    trimmed = [replace(item, past=_seen(item)) for item in said]

    assert told(mark("ETH", trimmed, TIMES, about=known)) == told(mark("ETH", said, TIMES, about=known))


def _seen(item: Observation) -> tuple[Reading, ...]:
    """What is within the window of a feed's own chain, and the last answer before it."""
    start = TIMES[item.chain_id] - WINDOW_S
    before = [each for each in item.past if each.updated_at <= start]
    return (*before[-1:], *(each for each in item.past if each.updated_at > start))


@given(several(), about)
def test_k7_every_observation_is_used_or_listed_once(said: list[Observation], known: About) -> None:
    found = mark("ETH", said, TIMES, about=known)

    used = [item.observation for item in found.used] if isinstance(found, Mark) else []
    listed = [*used, *(item.observation for item in found.discarded)]
    assert sorted(item.feed for item in listed) == sorted(item.feed for item in said)


@given(usd, st.sampled_from([1.0, 1.004, 0.997]), usd, ages.filter(lambda age: 0 <= age <= 4020))
def test_k8_no_operator_moves_the_middle_out_of_what_two_others_say(
    honest: float, factor: float, wild: float, age_s: int
) -> None:
    other = round(honest * factor * USD) / USD
    feeds = [
        observation(WETH, price, operator=by, feed=by.encode(), age_s=age)
        for price, by, age in ((honest, "chainlink", age_s), (other, "pyth", age_s), (wild, "redstone", 0))
    ]

    found = mark("ETH", feeds, TIMES)

    assert isinstance(found, Mark)
    low, high = min(honest, other), max(honest, other)
    reach = 0.01 * high + 1e-6
    assert low - reach <= found.mid <= high + reach


@given(usd, pasts(), about.filter(lambda known: not known.at_par))
def test_k9_the_middle_of_one_plain_source_is_exactly_its_answer(
    price: float, past: tuple[Reading, ...], known: About
) -> None:
    only = replace(observation(WETH, price), past=tuple(each for each in past if each.updated_at < NOW))

    found = mark("ETH", [only], TIMES, about=known)

    assert isinstance(found, Mark)
    assert found.mid == round(price * USD) / USD
    assert marks_of({"ETH": [only]}, TIMES, about={"ETH": known})["ETH"] == found


factors = st.floats(min_value=0, max_value=4)
BANDS = StatusPolicy(danger_below=1.1, watch_below=1.5, full_score_at=3.0, dust_share=0.01)


@given(factors, factors, factors, factors, factors)
def test_k10_a_band_is_left_no_sooner_and_no_doubtful_price_alone_makes_anybody_liquidatable(
    low: float, mid: float, window: float, down: float, up: float
) -> None:
    seen = HealthFactors(
        low=min(low, mid), mid=mid, worst=min(window, mid), adverse=min(down, mid), favourable=max(up, mid)
    )
    found = house_status(seen, BANDS)

    assert may_be_held(mid, BANDS) or held_band(mid, seen.worst, BANDS) is band(mid, BANDS)
    assert worst([held_band(mid, seen.worst, BANDS), band(mid, BANDS)]) is held_band(mid, seen.worst, BANDS)
    assert found is not Status.LIQUIDATABLE or seen.favourable < 1
    assert seen.favourable >= 1 or found is Status.LIQUIDATABLE
    assert mid >= 1 or found in {Status.DANGER, Status.LIQUIDATABLE}


@given(
    st.floats(0.01, 0.87),
    st.floats(0.88, 1.1),
    st.integers(1, 7200),
    st.sampled_from([0.0, 0.01, 0.5]),
    st.none() | st.just(0.04),
)
def test_k11_the_bounds_of_a_first_print_far_below_redemption_reach_it_and_what_it_is_redeemed_for(
    price: float, before: float, ago: int, deviation: float, daily: float | None
) -> None:
    printed = observation(USDC, price, deviation=deviation, past=[(ago, before)])

    found = mark("USDC", [printed], TIMES, about=About(at_par=True, daily_deviation=daily))

    assert isinstance(found, Mark)
    assert found.state in {State.HELD, State.VOLATILE}
    assert "first_print_below_fair" in found.reasons
    assert found.mid == 0.875
    assert found.low <= found.used[0].low <= price + 1e-8
    assert found.high >= max(1.0, found.used[0].high)
