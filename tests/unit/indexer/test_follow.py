"""What to do next with a chain, from what is stored and what its nodes say.

F1 the fork is found exactly, in as few questions as bisection takes, wherever blocks are missing on either side
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.model import Block, Skipped
from indexer.follow import Extend, Fork, Idle, Known, Plan, plan, probe, shared
from tests.unit.store.slots import slot_block

TIP = slot_block(8)
OTHER = slot_block(8, fork="b", forked_at=8)
SKIPPED = Skipped(number=8, parent=7, child=9)


@pytest.mark.parametrize(
    "tip, ours, theirs, target, then",
    [
        (None, None, None, 9, Extend(first=3, last=9)),
        (None, None, None, 2, Idle()),
        (TIP, TIP, TIP, 12, Extend(first=9, last=12)),
        (TIP, TIP, TIP, 8, Idle()),
        (TIP, TIP, None, 8, Idle()),
        (TIP, TIP, OTHER, 12, Fork(number=8)),
        (TIP, TIP, OTHER, 8, Fork(number=8)),
        (TIP, TIP, SKIPPED, 12, Fork(number=8)),
        (slot_block(9), TIP, SKIPPED, 8, Fork(number=8)),
        (slot_block(9), TIP, TIP, 8, Idle()),
        (slot_block(9), None, None, 8, Idle()),
    ],
)
def test_a_chain_is_extended_waited_for_or_left(
    tip: Block | None, ours: Block | None, theirs: Known | None, target: int, then: Plan
) -> None:
    assert plan(tip, ours, theirs, start=3, target=target) == then


def test_a_slot_that_was_skipped_there_is_no_agreement() -> None:
    window = [slot_block(slot) for slot in (5, 6, 7)]
    theirs: dict[int, Known] = {6: Skipped(number=6, parent=5, child=7)}

    assert probe(window, theirs) == 5
    assert shared(window, theirs) is None
    assert shared(window, theirs | {5: slot_block(5)}) == slot_block(5)


slots = st.sets(st.integers(1, 40))


@given(window=slots.map(sorted), split=st.integers(0, 41), there=slots)
def test_the_fork_is_found_exactly(window: list[int], split: int, there: set[int]) -> None:
    """Property F1; from `split` on the nodes are on another branch, with blocks in the slots `there` and in no others."""
    ours = [slot_block(slot) for slot in window]
    asked: dict[int, Known] = {}
    while (slot := probe(ours, asked)) is not None:
        assert slot not in asked
        asked[slot] = told(slot, split, there)

    below = [block for block in ours if block.number < split]
    assert shared(ours, asked) == (below[-1] if below else None)
    assert 2 ** len(asked) <= 2 * (len(window) + 1)


def told(slot: int, split: int, there: set[int]) -> Known:
    if slot < split:
        return slot_block(slot)
    if slot in there:
        return slot_block(slot, fork="b", forked_at=split)
    return Skipped(number=slot, parent=split - 1, child=slot + 1)
