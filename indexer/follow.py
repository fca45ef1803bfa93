"""What to do next with a chain, from what is stored and what its nodes say: pure rules, no clock and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chains.model import Block, Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """Take in blocks `first`..`last`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to take in: the target is reached, or the nodes are behind what is stored."""


@dataclass(frozen=True, slots=True)
class Fork:
    """The stored block at height `number` is not part of the chain any more, nor is any above it."""

    number: int


Plan = Extend | Idle | Fork

Known = Block | Skipped
"""What nodes know of a height: a block, or the proof that there is none. Not to know is no disagreement."""


def plan(tip: Block | None, ours: Block | None, theirs: Known | None, *, start: int, target: int) -> Plan:
    """Decide from the stored `tip` and the highest stored block that the nodes have reached: that block, and theirs at its height.

    Nodes that are merely behind are waited for; nodes that are behind on another branch have left the stored one.
    """
    if ours is not None and theirs is not None and not _same(ours, theirs):
        return Fork(number=ours.number)
    first = start if tip is None else tip.number + 1
    return Extend(first=first, last=target) if first <= target else Idle()


def shared(window: Sequence[Block], theirs: Mapping[int, Known]) -> Block | None:
    """Return the highest stored block that is among `theirs` with the same hash, or `None`."""
    agreed = [block for block in window if _same(block, theirs.get(block.number))]
    return max(agreed, key=lambda block: block.number, default=None)


def probe(window: Sequence[Block], theirs: Mapping[int, Known]) -> int | None:
    """Return the height to ask next when looking for the fork by bisection, or `None` when it is found.

    Agreement holds up to the fork and not above it, so the heights asked so far leave one gap.
    """
    asked = [(block.number, _same(block, theirs[block.number])) for block in window if block.number in theirs]
    low = max((number for number, same in asked if same), default=None)
    high = min((number for number, same in asked if not same), default=None)
    gap = [
        block.number
        for block in window
        if (low is None or block.number > low) and (high is None or block.number < high)
    ]
    return gap[len(gap) // 2] if gap else None


def _same(ours: Block, theirs: Known | None) -> bool:
    return isinstance(theirs, Block) and theirs.hash == ours.hash
