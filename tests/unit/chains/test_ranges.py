"""How many blocks one request spans: what a node takes, and what holds as many logs as are wanted."""

from __future__ import annotations

from chains.evm.ranges import Ranges

A, B = "node 1 (a)", "node 2 (b)"


def grown(ranges: Ranges, times: int, *, logs: int = 0, node: str = A) -> list[int]:
    widths = []
    for _ in range(times):
        ranges.succeeded(ranges.width(), logs, node)
        widths.append(ranges.width())
    return widths


def test_empty_answers_double_the_width_up_to_the_most() -> None:
    assert grown(Ranges(start=2_000, most=100_000), 7) == [4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 100_000]


def test_an_answer_with_too_many_logs_narrows_in_proportion() -> None:
    ranges = Ranges(start=2_000, target=20_000)
    ranges.succeeded(2_000, 80_000, A)

    assert ranges.width() == 500, "20,000 of 80,000"


def test_a_single_busy_block_narrows_to_a_quarter_and_not_to_itself() -> None:
    ranges = Ranges(start=2_000, target=20_000)
    ranges.succeeded(1, 1_000, A)

    assert ranges.width() == 500, "not the 20 blocks that would hold 20,000"


def test_an_answer_to_a_short_request_widens_nothing() -> None:
    ranges = Ranges(start=2_000)
    ranges.succeeded(10, 0, A)

    assert ranges.width() == 2_000


def test_a_suggested_range_is_taken_once_and_forgotten() -> None:
    ranges = Ranges(start=2_000)
    ranges.refused(2_000, 700, node=A)
    assert ranges.width() == 700

    assert grown(ranges, 2) == [1_400, 2_800], "it held for those blocks alone"


def test_a_suggestion_of_what_was_refused_is_halved() -> None:
    ranges = Ranges(start=2_000)
    ranges.refused(2_000, 2_000, node=A)

    assert ranges.width() == 1_000


def test_the_most_logs_that_a_node_names_are_kept_below() -> None:
    ranges = Ranges(start=2_000, target=20_000)
    ranges.succeeded(2_000, 12_000, A)
    ranges.refused(3_333, results=10_000, node=A)
    for _ in range(20):
        width = ranges.width()
        ranges.succeeded(width, 6 * width, A)

    assert 6 * ranges.width() <= 9_000, "a tenth below 10,000"
    assert 6 * ranges.width() > 8_900


def test_logs_that_turn_up_at_once_are_no_limit_of_the_node() -> None:
    ranges = Ranges(start=2_000, target=20_000)
    grown(ranges, 6, logs=1)
    while ranges.width() > 100:
        ranges.refused(ranges.width(), node=A)
    for _ in range(30):
        width = ranges.width()
        ranges.succeeded(width, 50 * width, A)

    assert 15_000 <= 50 * ranges.width() <= 20_000


def test_each_nodes_limit_is_its_own_and_the_last_to_answer_decides() -> None:
    ranges = Ranges(start=2_000)
    grown(ranges, 4)
    ranges.refused(ranges.width(), 800, lasting=True, node=B)
    assert ranges.width() == 800
    assert ranges.unfit(801) == {B}
    assert ranges.unfit(800) == frozenset()
    ranges.taken(800, A)

    assert ranges.width() == 32_000, "as far as the first was known to go"


def test_what_the_caller_tells_again_changes_nothing() -> None:
    once, twice = Ranges(start=2_000), Ranges(start=2_000)
    for ranges in (once, twice):
        ranges.succeeded(2_000, 19_000, A)
        ranges.refused(2_000, 500, lasting=True, node=A)
    twice.refused(2_000, 500)
    for ranges in (once, twice):
        grown(ranges, 3, logs=100)

    assert once.width() == twice.width() == 500
