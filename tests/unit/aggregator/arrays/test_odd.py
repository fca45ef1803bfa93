"""Books that hardly exist: each account by itself, both kernels and the published SQL say the same of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aggregator.arrays import compiled, stacked
from aggregator.arrays.book import ArrayBook
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.legs import Price
from aggregator.arrays.standing import HeldBack, Numbers
from aggregator.arrays.tables import margin_tables
from aggregator.oracle.mark import Unpriced
from chains.model import Side
from indexer.store import Store
from tests.unit.aggregator.arrays.books import toy
from tests.unit.aggregator.arrays.odd import odd
from tests.unit.aggregator.arrays.test_equal import APART, agrees
from tests.unit.aggregator.arrays.test_sql import asked

TOGETHER = 15
SUPPLY, BORROW = Side.SUPPLY, Side.BORROW


@pytest.mark.parametrize("first", range(0, 150, TOGETHER))
def test_kernels_agree_with_each_account_by_itself_and_to_the_bit_with_each_other(first: int) -> None:
    for number in range(first, first + TOGETHER):
        world = odd(number)

        book, plainly = world.arrays(compiled.revalue), world.arrays(stacked.revalue)

        assert np.array_equal(book.standing.rows, plainly.standing.rows), number
        assert np.array_equal(book.standing.flags, plainly.standing.flags), number
        for name in world.accounts:
            agrees(book, world, name)


def test_sql_agrees_with_arrays(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as store:
        for number in range(200, 240):
            world = odd(number)
            assessed = {name: world.assessed(name) for name in world.accounts}
            entries = [entry_of(name, each, world.context) for name, each in assessed.items()]
            marks, estimates = marks_of(assessed.values(), world.context), estimates_of(world.context)

            store.replace_margin(number, margin_tables(entries, marks, estimates, snapshot_id="s", slot_time=number))

            standing = ArrayBook.build(entries, marks, estimates, stacked.revalue).standing
            found = asked(store)
            assert set(found) == set(world.accounts)
            for name, numbers in found.items():
                try:
                    told = standing.account(name)
                except HeldBack:
                    assert [number is None for number in numbers] == [True] * 3 + [numbers[3] is None] + [True] * 4
                    continue
                assert told is not None
                assert numbers == _near(told), (number, name)


def _near(told: Numbers) -> object:
    """Sums to 1e-12; what is a difference, and a ratio of one, by the sums that it is of."""
    scale = 1e-11 * (told.collateral + (told.debt or 0.0) + (told.maintenance_debt or 0.0))
    required = told.maintenance_debt or 0.0
    of_all = scale / required if required else 0.0
    allowed = (of_all, 2 * of_all, 2 * of_all, 0.0, 0.0, scale, 0.0, scale)
    return tuple(
        None if number is None else pytest.approx(number, rel=1e-11, abs=each)
        for number, each in zip(told, allowed, strict=True)
    )


def test_what_an_isolated_pool_holds_without_a_price_opens_the_high_bound() -> None:
    """Of the three the second is at the venue whose pool is isolated."""
    held = [(0, SUPPLY, 1.0), (6, SUPPLY, 5.0), (8, BORROW, 1.0)]
    world = toy({"a": held}, model=APART).repriced({"A6": Unpriced(identity="A6", discarded=())})
    book = world.arrays(stacked.revalue)

    told = book.standing.account("a")

    assert told is not None
    assert told.health_factor is not None
    assert told.high is None
    priced = book.reprice({"A6": Price(1.0, 1.0, 1.0)}).account("a")
    assert priced is not None
    assert priced.high is not None
    assert priced.collateral == told.collateral
