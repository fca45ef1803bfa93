"""A node that fails is left alone, tried again, and then used as if nothing had been."""

from __future__ import annotations

from chains.rpc.breaker import FAILURES, LONGEST_COOL_DOWN_S, Breaker, State


def broken(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_single_failures_between_good_answers_change_nothing() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.went_well()

    assert breaker.state is State.IN_USE


def test_failures_in_a_row_set_a_node_aside_until_its_time_has_come() -> None:
    breaker = broken()

    assert breaker.state is State.SET_ASIDE
    assert not breaker.due(0.9)
    assert breaker.remaining(0.25) == 0.75
    assert breaker.due(1.0)


def test_a_trial_that_fails_doubles_the_pause_up_to_a_minute() -> None:
    breaker, now, pauses = broken(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.remaining(now))
        now += pauses[-1]
        breaker.tried()
        breaker.failed(now)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, LONGEST_COOL_DOWN_S]


def test_a_good_answer_makes_all_as_before() -> None:
    breaker = broken()
    breaker.tried()
    breaker.failed(1)
    breaker.tried()
    breaker.passed()
    breaker.went_well()
    breaker.failed(10)

    assert breaker.state is State.IN_USE
    breaker.failed(10)
    breaker.failed(10)
    assert breaker.remaining(10) == 1


def test_a_node_that_passes_its_trial_and_is_of_no_use_goes_aside_at_once_and_for_longer() -> None:
    breaker = broken()
    breaker.tried()
    breaker.passed()
    used = breaker.state
    breaker.failed(1)

    assert used is State.IN_USE
    assert breaker.state is State.SET_ASIDE
    assert breaker.remaining(1) == 2


def test_failures_while_a_node_is_aside_do_not_lengthen_its_pause() -> None:
    breaker = broken()
    for _ in range(5):
        breaker.failed(0.5)

    assert breaker.remaining(0.5) == 0.5
