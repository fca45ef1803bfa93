"""What to do next with a chain, from what is stored and what its nodes say: pure rules, no clock and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chains.model import Block


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
    """The stored tip is not part of the chain any more."""


Plan = Extend | Idle | Fork


def plan(tip: Block | None, ours: Block | None, theirs: Block | None, *, start: int, target: int) -> Plan:
    """Decide from the stored `tip` and the highest height that both sides have: the block stored there, and the nodes'.

    Nodes that are merely behind are waited for; nodes that are behind on another branch have left the stored one.
    """
    if ours is not None and theirs is not None and theirs.hash != ours.hash:
        return Fork()
    first = start if tip is None else tip.number + 1
    return Extend(first=first, last=target) if first <= target else Idle()


def shared(window: Sequence[Block], theirs: Mapping[int, Block | None]) -> Block | None:
    """Return the highest stored block that is among `theirs` with the same hash, or `None`."""
    agreed = [block for block in window if _same(block, theirs.get(block.number))]
    return max(agreed, key=lambda block: block.number, default=None)


def probe(window: Sequence[Block], theirs: Mapping[int, Block | None]) -> int | None:
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


def _same(ours: Block, theirs: Block | None) -> bool:
    return theirs is not None and theirs.hash == ours.hash
