"""Whatever is written where, each account has what was written for it last, and nobody else's."""

from __future__ import annotations

import random

import numpy as np
import pytest

from aggregator.arrays.layout import MOST_POSITIONS, Layout, neighbours


@pytest.mark.parametrize("seed", range(20))
def test_runs_that_grow_move_and_are_packed_stay_each_accounts_own(seed: int) -> None:
    chance = random.Random(seed)
    held = {account: _run(chance, account, chance.randint(0, 4)) for account in range(6)}
    layout = _packed(held)
    for step in range(60):
        if chance.random() < 0.1:
            held[len(layout)] = []
            layout.add_accounts(1)
        changed = chance.sample(range(len(layout)), chance.choice((0, 1, 1, 2, 3)))
        held |= {
            account: _run(chance, 1000 * step + account, max(0, len(held[account]) + chance.choice((-1, 1, 1, 3))))
            for account in changed
        }
        _put(layout, {account: held[account] for account in changed})
        layout.pack(at_least=chance.choice((0.0, 0.25)))

        assert {account: _read(layout, account) for account in held} == held
        places, owners = layout.places()
        assert [int(owner) for owner in owners] == [account for account in sorted(held) for _ in held[account]]
        assert layout.legs[places].tolist() == [leg for account in sorted(held) for leg in held[account]]


def test_packing_leaves_no_hole_and_no_room() -> None:
    layout = _packed({0: [1, 2], 1: [3], 2: [4, 5]})
    _put(layout, {0: [1, 2, 6]})
    assert (layout.holes, layout.end) == (2, 10)  # the two of before; 5, and 3 with room for 2 more

    layout.pack(at_least=0.21)
    assert layout.holes == 2
    layout.pack(at_least=0.2)

    assert (layout.holes, layout.end, layout.rooms.tolist()) == (0, 6, [3, 1, 2])


def test_more_positions_than_fit_are_refused() -> None:
    layout = _packed({0: []})

    with pytest.raises(ValueError, match="256 different positions"):
        _put(layout, {0: [0] * (MOST_POSITIONS + 1)})


def test_accounts_stand_together_by_shape_and_by_what_most_of_them_hold() -> None:
    """7 is held by four and 5 by three, so that of one shape who has 7 comes first; then who owes as well."""
    supplies, debts = np.array([1, 1, 1, 1, 1, 0, 1], np.int32), np.array([0, 0, 0, 0, 1, 0, 0], np.int32)
    kinds = np.array([7, 5, 7, 7, 5, 5, 7], np.int32)  # the fifth has two, the sixth none

    assert neighbours(supplies, debts, kinds).tolist() == [5, 0, 2, 3, 6, 1, 4]
    assert neighbours(supplies[:0], debts[:0], kinds[:0]).tolist() == []


def _run(chance: random.Random, first: int, count: int) -> list[int]:
    return [100 * first + place + chance.randrange(5) for place in range(count)]


def _packed(held: dict[int, list[int]]) -> Layout:
    legs = [leg for account in sorted(held) for leg in held[account]]
    counts = np.array([len(held[account]) for account in sorted(held)], np.int32)
    nothing = np.zeros(len(held), np.int32)
    return Layout.packed(
        supplies=counts,
        debts=nothing.copy(),
        legs=np.array(legs, np.int32),
        amounts=np.array(legs, np.float64),
        fixed_at=nothing.copy(),
        fixed=np.zeros((1, 6)),
        said=np.zeros(len(held), np.uint8),
    )


def _put(layout: Layout, held: dict[int, list[int]]) -> None:
    legs = [leg for run in held.values() for leg in run]
    counts = np.array([len(run) for run in held.values()], np.int32)
    layout.put(
        np.array(list(held), np.int64),
        supplies=counts,
        debts=np.zeros(len(held), np.int32),
        legs=np.array(legs, np.int32),
        amounts=np.array(legs, np.float64),
    )


def _read(layout: Layout, account: int) -> list[int]:
    first = int(layout.starts[account])
    run = slice(first, first + int(layout.supplies[account] + layout.debts[account]))
    assert layout.amounts[run].tolist() == layout.legs[run].tolist()
    return [int(leg) for leg in layout.legs[run]]
