"""Many small changes one after the other: each version is what a new book would be, and stays so for whoever holds it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from aggregator.arrays import stacked
from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.columns import HAS_DEBT, Bits, Floats
from aggregator.arrays.estimates import STATIC
from aggregator.arrays.legs import Leg, Pair, Price, Weight
from aggregator.arrays.standing import Standing

KINDS = [
    Leg(is_debt=side == 1, identity=f"A{asset}", mark=f"A{asset}", weight=Weight(static=Pair(*shares)))
    for asset in range(12)
    for side, shares in enumerate(((0.8, 0.7), (1.0, 1.1)))
]
ACCOUNTS = [f"a{place}" for place in range(30)]


@pytest.mark.parametrize("seed", range(20))
def test_each_version_is_what_a_new_book_would_be_and_stays_so_for_who_holds_it(seed: int) -> None:
    chance = random.Random(seed)
    entries = {name: _entry(chance, name) for name in ACCOUNTS}
    marks = {f"A{asset}": _price(chance) for asset in range(12)}
    book = ArrayBook.build(entries.values(), marks, STATIC, stacked.revalue)
    held: list[tuple[Standing, Floats, Bits]] = []
    for _ in range(40):
        changed = {name: _entry(chance, name) for name in chance.sample(ACCOUNTS, chance.choice((0, 0, 1, 3)))}
        moved = {f"A{asset}": _price(chance) for asset in chance.sample(range(12), chance.choice((0, 1, 1, 2)))}
        entries |= changed
        marks |= moved

        standing = book.change(changed.values(), marks) if changed else book.reprice(moved)

        fresh = ArrayBook.build(entries.values(), marks, STATIC, stacked.revalue).standing
        assert [standing.account(name) for name in ACCOUNTS] == [fresh.account(name) for name in ACCOUNTS]
        assert standing.below(1.0) == fresh.below(1.0)
        if chance.random() < 0.3:
            held.append((standing, standing.rows.copy(), standing.flags.copy()))
        elif held and chance.random() < 0.5:
            held.pop(chance.randrange(len(held)))
        del standing
        assert all(np.array_equal(old.rows, rows) and np.array_equal(old.flags, flags) for old, rows, flags in held)


def _entry(chance: random.Random, name: str) -> Entry:
    legs = chance.sample(KINDS, chance.randint(0, 3))
    owes = any(leg.is_debt for leg in legs)
    holdings = [(leg, chance.uniform(0, 10)) for leg in legs]
    return Entry(name=name, holdings=holdings, said=HAS_DEBT if owes else 0)


def _price(chance: random.Random) -> Price | None:
    mid = chance.uniform(1, 100)
    return None if chance.random() < 0.1 else Price(mid * 0.99, mid, mid * 1.01, chance.random() < 0.9)
