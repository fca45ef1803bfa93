"""What an operator sees while a chain comes in: where it is, how fast, what takes the time, and when it will be there."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from chains.errors import NodeBusy
from crossmargin.cli.progress import Lines
from crossmargin.pace import WINDOW_S, Pace
from indexer.loop import Progress

CHAIN = "eip155:1"
NAMES = {CHAIN: "north", "solana:x": "south"}


def progress(first: int, last: int, *, target: int = 399, records: int = 10, chain: str = CHAIN) -> Progress:
    seconds = {"fetch": 1.0, "fold": 0.5, "store": 0.25}
    return Progress(chain_id=chain, first=first, indexed=last, target=target, records=records, rows=7, seconds=seconds)


@dataclass(slots=True)
class Screen:
    """Lines that were said, at times that the test says."""

    said: list[str] = field(default_factory=list)
    now: float = 1_000.0

    def lines(self, *, each: bool = False, asked: tuple[int, int] | None = None) -> Lines:
        traffic = None if asked is None else Asked(*asked)
        return Lines(self.said.append, NAMES, traffic, each=each, clock=lambda: self.now)


@dataclass(frozen=True, slots=True)
class Asked:
    """Nodes that were asked so often and gave so much."""

    count: int
    size: int

    def requests(self, chain_id: str) -> int:
        return self.count

    def received(self, chain_id: str) -> int:
        return self.size


def test_a_line_comes_now_and_then_and_at_the_end() -> None:
    screen = Screen()
    lines = screen.lines()

    for first, last, after in ((0, 99, 0.0), (100, 199, 2.0), (200, 299, 1.5), (300, 399, 0.5)):
        screen.now += after
        lines.appended(progress(first, last))
    lines.rewound(CHAIN, 3, 396)
    lines.failed(CHAIN, NodeBusy("busy"), 0.5)

    assert [line.split("  ")[0] for line in screen.said] == [
        "north: block 99 of 399",
        "north: block 299 of 399",
        "north: block 399 of 399",
        "north: the chain changed: 3 blocks forgotten, back at block 396",
        "north: busy; trying again in 0.5 s",
    ]


def test_a_line_says_the_rates_the_stages_the_requests_and_the_rest() -> None:
    screen = Screen()
    lines = screen.lines(asked=(1_234, 56_700_000))
    lines.appended(progress(0, 99))
    screen.now += 3.5
    lines.appended(progress(100, 199, records=500))

    # 200 blocks and 510 logs within 1.75 s + 3.5 s = 5.25 s; of the last 3.5 s, 1.75 s were no stage's
    assert screen.said[1] == (
        "north: block 199 of 399   50%  38 blocks/s  97 logs/s  14 rows"
        "  fetch 29% fold 14% store 7% wait 50%  1,234 requests  56.7 MB  ETA 0:00:05"
    )


def test_with_each_there_is_a_line_for_every_batch_with_its_times() -> None:
    screen = Screen()
    lines = screen.lines(each=True)

    lines.appended(progress(0, 99))
    screen.now += 2.0
    lines.appended(progress(100, 199))

    assert screen.said[1] == (
        "north: blocks 100–199 of 399  10 logs  7 rows  fetch 1.00 s  fold 0.50 s  store 0.25 s  wait 0.25 s"
        "   50%  53 blocks/s  5 logs/s  14 rows  ETA 0:00:04"
    )


def test_slots_hold_transactions() -> None:
    screen = Screen()
    screen.lines(each=True).appended(progress(0, 99, chain="solana:x"))

    assert "slots 0–99 of 399  10 transactions" in screen.said[0]
    assert "slots/s" in screen.said[0]


def test_the_first_of_many_blocks_tell_nothing_of_the_rest() -> None:
    screen = Screen()
    screen.lines().appended(progress(0, 9, target=9_999_999))

    assert screen.said[0].endswith("ETA –")


def test_a_rate_is_of_the_last_half_minute_so_that_a_quick_beginning_is_forgotten() -> None:
    pace = Pace(first=0, began=0.0)
    pace.add(progress(0, 99_999, target=101_000), 10.0)
    for second in range(20, 80, 10):
        first = 99_900 + second * 5
        pace.add(progress(first, first + 49, target=101_000, records=20), float(second))

    assert WINDOW_S == 30.0
    assert pace.rates() == (5.0, 2.0)
    last = progress(0, 100_199, target=101_000)
    assert pace.left_s(last) == 801 / 5


def test_a_batch_longer_than_the_window_has_a_rate_too() -> None:
    pace = Pace(first=0, began=0.0)
    pace.add(progress(0, 99), 100.0)
    pace.add(progress(100, 299), 300.0)

    assert pace.rates() == (1.0, 0.05)


@pytest.mark.parametrize("passed, waited", [(2.0, 0.25), (1.0, 0.0)])
def test_stages_side_by_side_leave_no_wait(passed: float, waited: float) -> None:
    pace = Pace(first=0, began=0.0)

    assert pace.add(progress(0, 99), passed)["wait"] == waited


def test_at_the_target_nothing_is_left_and_a_rate_of_nothing_leaves_it_open() -> None:
    pace = Pace(first=0, began=0.0)

    assert pace.left_s(progress(0, 399)) == 0.0
    assert pace.left_s(progress(0, 200)) is None
