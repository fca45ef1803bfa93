"""Who computes rests while somebody asks, and at no other time."""

from aggregator.courtesy import ASKED_S, REST_S, TURN_S, Courtesy


class Time:
    """A clock that work and rests move."""

    def __init__(self) -> None:
        self.now, self.rested = 100.0, 0

    def __call__(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        assert seconds == REST_S
        self.now += seconds
        self.rested += 1


def test_nobody_asks_and_nothing_waits() -> None:
    time = Time()
    for _ in Courtesy(time, time.rest).paced(range(100)):
        time.now += TURN_S
    assert time.rested == 0


def test_work_rests_after_each_turn_while_somebody_asks() -> None:
    time = Time()
    courtesy, done = Courtesy(time, time.rest), []
    for item in courtesy.paced(range(100)):
        courtesy.asked()
        time.now += TURN_S / 2
        done.append(item)
    assert done == list(range(100))
    assert 30 <= time.rested <= 50


def test_work_goes_on_when_the_last_question_is_a_while_ago() -> None:
    time = Time()
    courtesy = Courtesy(time, time.rest)
    courtesy.asked()
    for _ in courtesy.paced(range(1_000)):
        time.now += TURN_S
    assert 0 < time.rested <= ASKED_S / (TURN_S + REST_S) + 1
