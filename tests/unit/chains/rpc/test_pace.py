"""How fast a node is asked: as fast as may be until it refuses, and then as fast as it bears."""

from __future__ import annotations

import asyncio
import math

import pytest

from chains.rpc.pace import FIRST_PAUSE_S, LONGEST_PAUSE_S, Gate, Pace


def driven(pace: Pace, limit_per_s: float, seconds: float, *, start: float = 0.0) -> tuple[int, int]:
    """Ask a node that bears so much, as fast as the pace allows; returns what it answered and what it refused in the last second."""
    now, tokens, last = start, limit_per_s, start
    good = refused = 0
    while now < start + seconds:
        now += max(pace.delay(now), 0.001)
        pace.take(now, 1)
        tokens, last = min(limit_per_s, tokens + (now - last) * limit_per_s), now
        if tokens >= 1:
            tokens -= 1
            pace.went_well(now)
            good += now > start + seconds - 1
        else:
            pace.refused(now, None)
            refused += now > start + seconds - 1
    return good, refused


def test_who_never_refuses_is_never_waited_for() -> None:
    pace = Pace()
    for now in range(100):
        assert pace.delay(now) == 0
        pace.take(now, 500)
        pace.went_well(now)

    assert math.isinf(pace.per_s)


@pytest.mark.parametrize("limit_per_s", [3, 10, 25, 100])
def test_the_pace_settles_near_what_a_node_bears(limit_per_s: float) -> None:
    good, refused = driven(Pace(), limit_per_s, 60)

    assert good >= 0.6 * limit_per_s
    assert refused <= max(2, 0.1 * limit_per_s)


def test_a_node_that_bears_more_later_is_asked_more() -> None:
    pace = Pace()
    driven(pace, 10, 30)
    good, _ = driven(pace, 500, 60, start=30)

    assert good > 300


def test_a_wish_for_a_pause_is_kept_to() -> None:
    pace = Pace()
    pace.refused(100, 7)

    assert pace.delay(100) == 7
    assert pace.delay(106) == 1
    assert pace.delay(107) == 0


def test_without_a_wish_pauses_double_while_nothing_goes_well() -> None:
    pace, now, pauses = Pace(), 0.0, []
    for _ in range(12):
        pace.refused(now, None)
        pauses.append(round(pace.delay(now), 3))
        now += pauses[-1]
    pace.went_well(now)
    pace.refused(now, None)

    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == LONGEST_PAUSE_S
    assert pace.delay(now) == pytest.approx(FIRST_PAUSE_S)


def test_refusals_on_their_way_together_are_one() -> None:
    one, many = Pace(), Pace()
    for pace, refusals in ((one, 1), (many, 16)):
        pace.take(0, 100)
        for _ in range(refusals):
            pace.refused(0.5, None)

    assert many.per_s == one.per_s
    assert many.delay(0.5) == one.delay(0.5) == pytest.approx(FIRST_PAUSE_S)


def test_a_stray_refusal_among_many_answers_takes_a_twentieth() -> None:
    pace = Pace()
    for _ in range(100):
        pace.take(0, 1)
        pace.went_well(0)
    pace.refused(0.1, None)

    assert pace.per_s == 95


def test_requests_of_a_batch_count_singly() -> None:
    pace = Pace()
    pace.take(0, 100)
    pace.refused(0, 0)
    at_once = pace.per_s
    pace.take(1, 500)

    assert at_once == 50
    assert pace.delay(1) == pytest.approx(500 / 50, abs=1.01), "less the second that may be saved up"


def test_time_outs_slow_down_only_where_a_bound_is_known() -> None:
    pace = Pace()
    pace.timed_out()
    assert math.isinf(pace.per_s)
    pace.take(0, 100)
    pace.refused(0, 0)
    pace.timed_out()

    assert pace.per_s == 25


async def through(gate: Gate, ends: asyncio.Event, inside: list[int], most: list[int]) -> None:
    async with gate:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await ends.wait()
        inside[0] -= 1


async def crowd(gate: Gate, people: int) -> int:
    """Let people in, and tell how many were in at once."""
    ends, inside, most = asyncio.Event(), [0], [0]
    going = [asyncio.create_task(through(gate, ends, inside, most)) for _ in range(people)]
    for _ in range(3):
        await asyncio.sleep(0)
    ends.set()
    await asyncio.gather(*going)
    return most[0]


async def test_no_more_requests_than_allowed_are_under_way() -> None:
    assert await crowd(Gate(4), 20) == 4


async def test_time_outs_halve_what_is_under_way_and_good_answers_restore_it() -> None:
    gate = Gate(8)
    gate.timed_out()
    assert await crowd(gate, 20) == 4
    for _ in range(10):
        gate.timed_out()
    assert await crowd(gate, 3) == 1
    for _ in range(100):
        gate.went_well()

    assert await crowd(gate, 20) == 8


async def test_who_gives_up_waiting_gives_way() -> None:
    gate, ends = Gate(1), asyncio.Event()
    first = asyncio.create_task(through(gate, ends, [0], [0]))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(through(gate, ends, [0], [0])) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    ends.set()

    done = await asyncio.wait_for(asyncio.gather(first, *waiting, return_exceptions=True), 60)
    assert isinstance(done[1], asyncio.CancelledError)
    assert gate.free
