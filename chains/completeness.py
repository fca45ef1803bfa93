"""How sure it is that nothing was left out of a span of blocks: levels of evidence, and what a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """What speaks for a span, weakest first.

    `fetched`: one node's word, each log checked against the header of its block. `bloom`: no header's filter tells of a log that is not
    there. `totals`: the venue's own totals at the end are the sums of what was taken in. `agreed`: a second node gave the same. `proven`:
    headers hashed and linked, and receipts rebuilt to their root wherever a header does not exclude a log.
    """

    FETCHED = "fetched"
    BLOOM = "bloom"
    TOTALS = "totals"
    AGREED = "agreed"
    PROVEN = "proven"


SECOND_NODE = "second-node"
COMPLETENESS = {
    "none": Level.FETCHED,
    "bloom": Level.BLOOM,
    "totals": Level.TOTALS,
    SECOND_NODE: Level.AGREED,
    "receipts": Level.PROVEN,
}
"""The words of a configuration, and the level that each asks for."""

DEFAULT = "totals"

CONTRADICTED = "contradicted"
"""What is said of blocks of which something is known to be wrong: weaker than every level, and mended by a restatement or a proof alone."""

_RANK = {level.value: rank for rank, level in enumerate(Level)}


def rank(level: str) -> int:
    """Return how much a level says, from 0; `CONTRADICTED`, and words of other families of chains, which have one each, say -1."""
    return _RANK.get(level, -1)


def weakest(levels: Iterable[str]) -> str:
    """Return the level that says the least."""
    return min(levels, key=rank)


class Part(NamedTuple):
    """Blocks `first`..`last`, what speaks for them, and why it is not more (empty where nothing more was asked for)."""

    first: int
    last: int
    level: Level
    why: str


def joined(parts: Iterable[Part]) -> list[Part]:
    """Return the same blocks in the fewest parts, ascending."""
    result: list[Part] = []
    for part in sorted(parts):
        held = result[-1] if result else None
        if held and held[2:] == part[2:] and part.first == held.last + 1:
            result[-1] = held._replace(last=part.last)
        else:
            result.append(part)
    return result
