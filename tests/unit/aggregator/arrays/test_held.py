"""What accounts hold as columns: each leg once, exactly added up, in one order whatever the order in which it was told."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from aggregator.arrays.held import Held
from aggregator.arrays.legs import Leg, LegTable, Pair, Price, Weight

ESTIMATED = ("B", "D")


def test_legs_come_supplies_first_then_what_is_estimated_and_each_identity_together() -> None:
    table = LegTable(places={name: place for place, name in enumerate(ESTIMATED)})

    held = Held.of(
        ["x"], [[(_leg("A", owed=True), 1.0), (_leg("C"), 2.0), (_leg("B", owed=True), 3.0), (_leg("D"), 4.0)]], table
    )

    assert _read(held, table) == [[("D", 4.0), ("C", 2.0), ("B", 3.0), ("A", 1.0)]]
    assert (held.supplies.tolist(), held.debts.tolist()) == ([2], [2])


def test_what_comes_later_takes_its_place_among_what_there_is() -> None:
    table = LegTable(places={})
    Held.of(["x"], [[(_leg("A"), 1.0), (_leg("C"), 1.0)]], table)
    table.reprice({"A": Price(1.0, 2.0, 3.0)})

    held = Held.of(["x", "y"], [[(_leg("C"), 1.0), (_leg("B"), 2.0), (_leg("A"), 3.0)], []], table)

    assert _read(held, table) == [[("A", 3.0), ("B", 2.0), ("C", 1.0)], []]
    assert table.ranks.tolist() == [0, 2, 1]  # in the order in which they came: A, C, B
    assert table.prices[table.marks[0]].tolist() == [1.0, 2.0, 3.0, 1.0]


@pytest.mark.parametrize("seed", range(10))
def test_what_is_told_of_one_leg_is_added_up_and_rounded_once(seed: int) -> None:
    chance = random.Random(seed)
    told = [
        [(_leg(chance.choice("ABCD")), chance.choice((0.0, 0.1, 1e16, chance.uniform(0, 1e-3)))) for _ in range(12)]
        for _ in range(8)
    ]
    table = LegTable(places={})

    held = Held.of([str(place) for place in range(8)], told, table)

    for account, of_it in enumerate(told):
        expected = {name: float(sum(Fraction(amount) for leg, amount in of_it if leg.mark == name)) for name in "ABCD"}
        found = dict(_read(held, table)[account])
        assert found == {name: amount for name, amount in expected.items() if name in {leg.mark for leg, _ in of_it}}


def test_some_accounts_in_another_order_have_what_they_had() -> None:
    table = LegTable(places={})
    told = [[(_leg("A"), 1.0)], [], [(_leg("B"), 2.0), (_leg("A", owed=True), 3.0)], [(_leg("C"), 4.0)]]
    held = Held.of(list("wxyz"), told, table)

    assert _read(held.taken(np.array([2, 1, 0])), table) == [[("B", 2.0), ("A", 3.0)], [], [("A", 1.0)]]
    assert _read(held.taken(np.zeros(0, np.int64)), table) == []


def test_nothing_is_minus_nothing() -> None:
    held = Held.of(["x"], [[(_leg("A"), -0.0)]], LegTable(places={}))

    assert not np.any(np.signbit(held.amounts))


@pytest.mark.parametrize(
    "told, match",
    [
        ([[], [("A", -1.0)]], "y: an amount of A is -1.0"),
        ([[("A", 1.0)], [("B", 1.0), ("C", float("nan"))]], "y: an amount of C is nan"),
    ],
)
def test_who_has_an_amount_that_is_none_is_named(told: list[list[tuple[str, float]]], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Held.of(["x", "y"], [[(_leg(name), amount) for name, amount in each] for each in told], LegTable(places={}))


def test_256_different_legs_are_refused_and_one_told_256_times_is_not() -> None:
    many = [(_leg(str(place)), 1.0) for place in range(256)]
    table = LegTable(places={})

    assert Held.of(["x"], [[many[0]] * 256], table).amounts.tolist() == [256.0]
    with pytest.raises(ValueError, match="y: has 256 different positions; at most 255 fit"):
        Held.of(["x", "y"], [[], many], table)


def _leg(name: str, *, owed: bool = False) -> Leg:
    return Leg(is_debt=owed, identity=name, mark=name, weight=Weight(static=Pair(1.0, 1.0)))


def _read(held: Held, table: LegTable) -> list[list[tuple[str, float]]]:
    legs, runs, first = list(table.legs), [], 0
    for count in (held.supplies + held.debts).tolist():
        run = range(first, first + count)
        runs.append([(legs[held.legs[place]].mark, float(held.amounts[place])) for place in run])
        first += count
    return runs
