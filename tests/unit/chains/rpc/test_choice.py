"""The first node is asked when it is well; otherwise one by its latency, and none that is known not to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from chains.rpc.choice import Question, choose
from chains.rpc.limit import Limit
from chains.rpc.node import Node, host_of

LOGS = Question(method="eth_getLogs", block=100)


def nodes(count: int = 3, *, height: int = 100) -> list[Node]:
    made = [Node(f"http://n{i}/key", f"node {i}", Limit(start=500, most=500)) for i in range(1, count + 1)]
    for node in made:
        node.heights.told(height, 0)
    return made


def chosen(
    pool: Sequence[Node],
    question: Question = LOGS,
    failed: Sequence[Node] = (),
    *,
    explore: float = 0.0,
    times: int = 1,
    now: float = 0.0,
) -> Counter[str]:
    chance = Random(1)
    found = [choose(pool, question, failed, now=now, chance=chance, explore=explore) for _ in range(times)]
    return Counter("nobody" if node is None else node.label for node in found)


def test_the_first_node_is_asked_as_long_as_it_is_well() -> None:
    assert chosen(nodes(), times=100) == {"node 1": 100}


def test_others_are_asked_now_and_then_so_that_they_are_known() -> None:
    found = chosen(nodes(), explore=0.1, times=1_000)

    assert 850 <= found["node 1"] <= 950
    assert min(found["node 2"], found["node 3"]) >= 20


def test_the_same_seed_makes_the_same_choices() -> None:
    first, second = (chosen(nodes(), explore=0.3, times=50) for _ in range(2))

    assert first == second


@pytest.mark.parametrize("trouble", ["aside", "failed", "behind", "forgetful", "unfit", "paused", "full"])
def test_a_first_node_in_trouble_is_passed_over(trouble: str) -> None:
    pool, question, failed = nodes(), LOGS, []
    first = pool[0]
    match trouble:
        case "aside":
            first.breaker.set_aside(0)
        case "failed":
            failed = [first]
        case "behind":
            first.heights.told(99, 0)
        case "forgetful":
            first.forgot(LOGS.method, 100)
        case "unfit":
            question = replace(LOGS, unfit=["node 1"])
        case "paused":
            first.pace.hold(0, 5)
        case _:
            first.gate._inside = 16

    assert chosen(pool, question, failed, times=20)["node 1"] == 0


def test_preferences_are_given_up_when_no_node_is_left_and_exclusions_are_not() -> None:
    pool = nodes(2)
    for node in pool:
        node.heights.told(5, 0)

    assert chosen(pool, replace(LOGS, unfit=["node 1", "node 2"])) == {"node 1": 1}
    assert chosen(pool, replace(LOGS, avoid=["node 1"])) == {"node 2": 1}
    assert chosen(pool, replace(LOGS, avoid=["node 1", "node 2"])) == {"nobody": 1}


def test_while_all_are_aside_the_one_is_asked_whose_time_comes_first() -> None:
    pool = nodes(2)
    pool[0].breaker.set_aside(10)
    pool[1].breaker.set_aside(9)

    assert chosen(pool, now=10) == {"node 2": 1}


def test_while_all_want_a_pause_the_one_is_asked_that_wants_the_shortest() -> None:
    pool = nodes(3)
    for node, pause_s in zip(pool, (9, 3, 6), strict=True):
        node.pace.hold(0, pause_s)

    assert chosen(pool) == {"node 2": 1}


def test_without_the_first_node_the_faster_of_the_others_is_asked_more_often() -> None:
    pool = nodes()
    pool[0].breaker.set_aside(0)
    pool[1].took("eth_getLogs", 0.3)
    pool[2].took("eth_getLogs", 0.1)

    found = chosen(pool, times=1_000)
    assert 200 <= found["node 2"] <= 300, "1/0.3 to 1/0.1: one in four"
    assert found["node 3"] == 1_000 - found["node 2"]


def test_a_first_node_that_is_far_slower_than_another_loses_its_rank_until_it_is_not() -> None:
    pool = nodes(2)
    pool[1].took("eth_getLogs", 0.1)
    pool[0].took("eth_getLogs", 1.0)
    assert chosen(pool, times=100)["node 2"] > 80
    for _ in range(20):
        pool[0].took("eth_getLogs", 0.1)

    assert chosen(pool, times=100) == {"node 1": 100}


def test_a_node_is_not_called_slow_by_another_kind_of_question_or_for_milliseconds() -> None:
    pool = nodes(2)
    pool[0].took("eth_getLogs", 2.0)
    pool[1].took("eth_chainId", 0.001)
    assert chosen(pool, times=20) == {"node 1": 20}
    pool[0].took("eth_call", 0.04)
    pool[1].took("eth_call", 0.001)

    assert chosen(pool, replace(LOGS, method="eth_call"), times=20) == {"node 1": 20}


def test_state_that_a_node_forgot_is_forgotten_for_all_earlier_blocks_and_only_for_that_question() -> None:
    (node,) = nodes(1)
    node.forgot("eth_call", 50)
    node.forgot("eth_call", 20)
    node.forgot("eth_call", None)

    assert [node.keeps("eth_call", block) for block in (10, 50, 51, None)] == [False, False, True, True]
    assert node.keeps("eth_getLogs", 10)


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://user:secret@node.example/secret?k=secret", "node.example"),
        ("http://127.0.0.1:8545/secret", "127.0.0.1:8545"),
        ("http://[secret", "no host"),
        ("http://node.example:secret/", "no host"),
        ("", "no host"),
    ],
)
def test_of_an_address_only_the_host_is_shown(url: str, shown: str) -> None:
    assert host_of(url) == shown
