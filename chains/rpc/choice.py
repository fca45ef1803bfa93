"""Which node is asked: the first one when it is well, otherwise one by the time its answers take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from chains.rpc.breaker import State
from chains.rpc.node import Node

SLOW = 4.0
"""A first node that takes so many times as long as another is not preferred."""

NOTICEABLE_S = 0.05
LEAST_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What decides who is asked: the highest block that must be there, and nodes that are out of question or would refuse.

    `avoid` holds labels and is kept to; all else are preferences that are given up, the last first, when no node is left.
    """

    method: str
    block: int | None
    avoid: Collection[str] = ()
    unfit: Collection[str] = ()


def choose(
    nodes: Sequence[Node], question: Question, failed: Collection[Node], *, now: float, chance: Random, explore: float
) -> Node | None:
    """Return the node to ask, the first of `nodes` being preferred; `None` when all are to be avoided.

    `failed`: nodes that failed this question already. `explore`: how often one of the others is asked, so that it is known.
    """
    able = [node for node in nodes if node.label not in question.avoid]
    if not able:
        return None
    for wish in _wishes(question, failed, now):
        able = [node for node in able if wish(node)] or able
    if able[0].breaker.state is not State.IN_USE:
        return min(able, key=lambda node: node.breaker.remaining(now))
    if not able[0].free(now):
        return min(able, key=lambda node: node.pace.delay(now))
    if nodes[0] in able and not _slow(nodes[0], able, question.method) and chance.random() >= explore:
        return nodes[0]
    others = [node for node in able if node is not nodes[0] or _slow(node, able, question.method)] or able
    return chance.choices(others, [1 / max(node.expected_s(question.method), LEAST_S) for node in others])[0]


def _wishes(question: Question, failed: Collection[Node], now: float) -> Sequence[Callable[[Node], bool]]:
    block = question.block
    return (
        lambda node: node.breaker.state is State.IN_USE,
        lambda node: node not in failed,
        lambda node: block is None or node.heights.newest >= block,
        lambda node: node.keeps(question.method, block),
        lambda node: node.label not in question.unfit,
        lambda node: node.free(now),
    )


def _slow(node: Node, able: Sequence[Node], method: str) -> bool:
    """Tell whether another node is known to give such answers much faster."""
    taken_s = node.latency_s(method)
    if taken_s is None or taken_s <= NOTICEABLE_S:
        return False
    return any(taken_s > SLOW * each_s for each in able if (each_s := each.latency_s(method)) is not None)
