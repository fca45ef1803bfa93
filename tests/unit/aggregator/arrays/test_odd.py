"""Books that hardly exist: each account by itself, both kernels and the published SQL say the same of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator.arrays import compiled, stacked
from aggregator.arrays.book import ArrayBook, Entry
from aggregator.arrays.entries import entry_of, estimates_of, marks_of
from aggregator.arrays.kernels import Revalue
from aggregator.arrays.legs import Price
from aggregator.arrays.standing import HeldBack, Numbers, Standing
from aggregator.arrays.tables import margin_tables
from aggregator.oracle.mark import Unpriced
from chains.model import Side
from indexer.store import Store
from tests.unit.aggregator.arrays.books import APART, Toy, toy
from tests.unit.aggregator.arrays.odd import odd
from tests.unit.aggregator.arrays.test_equal import agrees
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


@pytest.mark.parametrize("kernel", [compiled.revalue, stacked.revalue], ids=["compiled", "numpy"])
@pytest.mark.parametrize("first", range(1000, 1020, 10))
def test_a_book_that_changes_is_to_the_bit_the_book_that_is_made_anew(first: int, kernel: Revalue) -> None:
    """Accounts come, change and go, and marks move, while somebody still reads an older version, or nobody does."""
    for number in range(first, first + 10):
        world, chance = odd(number), random.Random(number)
        entries = entries_of(world)
        book = ArrayBook.build(entries.values(), _marks(world), estimates_of(world.context), kernel)
        read = [(book.standing, book.standing.rows.copy())]
        for step in range(5):
            other = odd(number + 5000 * step)
            some = {name: held for name, held in other.accounts.items() if chance.random() < 0.5}
            gone = [name for name in world.accounts if name not in some and chance.random() < 0.2]
            left = {name: held for name, held in world.accounts.items() if name not in gone}
            world = replace(world, accounts={**left, **some, f"b{step}": [(step, SUPPLY, 1.0)]})
            world = world.repriced(other.context.feed_marks) if chance.random() < 0.4 else world
            before, entries = entries, entries_of(world)
            book.change([each for each in entries.values() if each != before.get(each.name)], _marks(world))
            book.remove(gone)

            fresh = ArrayBook.build(entries.values(), _marks(world), estimates_of(world.context), kernel)
            for name in {*entries, *gone}:
                assert numbers(book.standing, name) == numbers(fresh.standing, name), (number, step, name)
            assert sorted(book.standing.unmeasured()) == fresh.standing.unmeasured()
            read = [*read, (book.standing, book.standing.rows.copy())][-chance.randint(1, 3) :]
        assert all(np.array_equal(standing.rows, rows) for standing, rows in read)


def entries_of(world: Toy) -> dict[str, Entry]:
    return {name: entry_of(name, world.assessed(name), world.context) for name in world.accounts}


def _marks(world: Toy) -> Mapping[str, Price | None]:
    return marks_of((world.assessed(name) for name in world.accounts), world.context)


def numbers(standing: Standing, name: str) -> Numbers | str | None:
    try:
        return standing.account(name)
    except HeldBack:
        return "held back"


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
