"""How far something reaches is found in few questions, exactly where it is near, and silence is no limit."""

from __future__ import annotations

import pytest

from chains.survey.facts import Ability
from chains.survey.search import FINENESS, Asked, first_number, most, oldest
from chains.survey.wire import Undecided


class Node:
    """Answers for some numbers, and counts."""

    def __init__(self, *, lowest: int = 0, highest: int = 2**62, words: str = "no", but: frozenset[int] = frozenset()):
        self.lowest, self.highest, self.words, self.but = lowest, highest, words, but
        self.asked: list[int] = []

    async def ask(self, number: int) -> str | None:
        self.asked.append(number)
        return None if self.lowest <= number <= self.highest or number in self.but else self.words


def silent_from(limit: int) -> Asked:
    async def ask(number: int) -> str | None:
        if number >= limit:
            raise Undecided("did not answer within 10 s")
        return None

    return ask


async def test_an_archive_is_told_by_two_questions() -> None:
    node = Node()

    assert await oldest(node.ask, 1, 20_000_000) == Ability(value=1, whole=True)
    assert node.asked == [1, 10_000_000]


@pytest.mark.parametrize("depth", [1, 2, 64, 65, 127, 128])
async def test_a_node_that_forgot_all_but_some_is_told_to_the_block(depth: int) -> None:
    latest = 20_000_000
    node = Node(lowest=latest - depth + 1, words="missing trie node")

    assert await oldest(node.ask, 1, latest) == Ability(value=latest - depth + 1, said="missing trie node")
    assert len(node.asked) <= 20


@pytest.mark.parametrize("lowest", [15_537_393, 10_000_001, 2, 12_345])
async def test_a_deep_edge_is_told_to_within_a_hundredth_of_its_depth(lowest: int) -> None:
    latest = 20_000_000
    node = Node(lowest=lowest)

    found = await oldest(node.ask, 1, latest)

    assert found.value is not None
    assert found.whole or lowest <= found.value <= lowest + (latest - lowest) // FINENESS + 1
    assert len(node.asked) <= 20


async def test_a_node_that_kept_its_first_block_alone_is_no_archive() -> None:
    node = Node(lowest=900, but=frozenset({1}))

    assert await oldest(node.ask, 1, 1_000) == Ability(value=900, said="no")


async def test_a_node_that_answers_for_no_block_is_said_so() -> None:
    node = Node(lowest=2**62, words="the method does not exist")

    assert await oldest(node.ask, 1, 1_000) == Ability(value=False, said="the method does not exist")


async def test_silence_tells_no_depth() -> None:
    found = await oldest(silent_from(1), 1, 1_000)

    assert found == Ability(value=None, said="did not answer within 10 s")


async def test_the_most_is_whole_where_every_step_was_taken() -> None:
    node = Node()

    assert await most(node.ask, (1, 100, 1_000), first_number, exact=True) == Ability(value=1_000, whole=True)
    assert node.asked == [1, 100, 1_000]


@pytest.mark.parametrize("words", ["no", "query exceeds limit"])
@pytest.mark.parametrize("limit", [1, 99, 500, 799, 2_048, 9_999, 99_999])
async def test_a_limit_without_a_name_is_found_to_the_block(limit: int, words: str) -> None:
    node = Node(highest=limit, words=words)

    assert await most(node.ask, (1, 100, 1_000, 10_000, 100_000), first_number, exact=True) == Ability(
        value=limit, said=words
    )
    assert len(node.asked) <= 23


async def test_a_limit_that_is_named_is_tried_and_its_neighbour_too() -> None:
    node = Node(highest=800, words="ranges are limited to 800 blocks")

    found = await most(node.ask, (1, 100, 1_000), first_number, exact=True)

    assert found == Ability(value=800, said="ranges are limited to 800 blocks")
    assert node.asked == [1, 100, 1_000, 800, 801]


async def test_a_limit_that_is_wrongly_named_is_looked_for() -> None:
    node = Node(highest=350, words="error 800: too many")

    assert (await most(node.ask, (1, 100, 1_000), first_number, exact=True)).value == 350


async def test_where_nearly_is_enough_only_a_named_limit_is_tried_between_two_steps() -> None:
    silent, named = Node(highest=120), Node(highest=120, words="at most 120 requests")

    assert (await most(silent.ask, (2, 100, 500), first_number, exact=False)).value == 100
    assert (await most(named.ask, (2, 100, 500), first_number, exact=False)).value == 120
    assert len(silent.asked) == 3


async def test_what_is_not_taken_even_once_is_refused() -> None:
    node = Node(highest=0, words="batches are off")

    assert await most(node.ask, (2, 100), first_number, exact=False) == Ability(value=False, said="batches are off")


async def test_silence_is_no_limit_and_what_was_taken_stands() -> None:
    found = await most(silent_from(1_000), (1, 100, 1_000), first_number, exact=True)

    assert found == Ability(value=100, said="1,000 at once: did not answer within 10 s")


@pytest.mark.parametrize(
    "text, number",
    [
        ("limited to a 10,000 range", 10_000),
        ("at most 100 requests", 100),
        ("block range is too wide", None),
        ("eip155 says no", None),
    ],
)
def test_the_first_whole_number_of_a_text(text: str, number: int | None) -> None:
    assert first_number(text) == number
