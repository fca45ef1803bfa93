"""What many units hold, read as columns, is what their last rows say one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from chains.model import PositionChange, Rows, Side, UnitSnapshot
from indexer.store import Store, asof, holding
from indexer.store.asof import as_of, unit_snapshots
from tests.unit.store.builders import CHAIN, VENUE, append, batch, block, position, setting

AMOUNTS = [0, 1, -1, 7, 2**63, 2**64 - 1, 2**64, -(2**64), 10**38 - 1, -(10**38) + 1]


def drawn(chance: random.Random, *, owned_by_themselves: bool = False) -> list[PositionChange]:
    """Rows of units, of which some have the same last bytes, and so the same tag."""
    names = [bytes([number]) * 20 for number in range(1, 5)]
    names += [bytes([9, number]) + names[0][2:] for number in range(2)]
    rows = [
        position(
            number,
            chance.choice(AMOUNTS),
            ordinal=ordinal,
            owner=chance.choice(names),
            market=bytes([chance.randrange(3)]) * 20,
            side=chance.choice(list(Side)),
        )._replace(unit_id=chance.choice(names))
        for number in range(2, 9)
        for ordinal in range(chance.randrange(12))
    ]
    return [row._replace(owner=row.unit_id) for row in rows] if owned_by_themselves else rows


def at_block(rows: list[PositionChange], number: int) -> list[UnitSnapshot]:
    """Fold rows one by one, in the order of the chain."""
    found: dict[bytes, UnitSnapshot] = {}
    for row in sorted(rows, key=lambda each: (each.block, each.ordinal)):
        if row.block <= number:
            before = found.get(row.unit_id, UnitSnapshot(unit_id=row.unit_id, owner=b"", positions={}, settings={}))
            positions = {**before.positions, (row.market, row.side): row.amount_raw}
            found[row.unit_id] = replace(before, owner=row.owner, positions=positions)
    return [
        replace(
            found[unit],
            positions={
                key: found[unit].positions[key] for key in sorted(found[unit].positions) if found[unit].positions[key]
            },
        )
        for unit in sorted(found)
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({}, id="in cells"),
        pytest.param({"most_cells": 0}, id="sorted"),
        pytest.param({"most_rows": 0}, id="by the database"),
    ],
)
def test_units_at_any_block_are_what_a_fold_of_their_rows_gives(
    store: Store, seed: int, limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "MOST_CELLS", limits.get("most_cells", holding.MOST_CELLS))
    monkeypatch.setattr(asof, "MOST_ROWS", limits.get("most_rows", asof.MOST_ROWS))
    rows = drawn(random.Random(seed), owned_by_themselves=seed == 2)
    append(store, batch(1, 9, Rows(positions=rows)))

    with store.reading() as reader:
        for number in range(1, 10):
            wanted = at_block(rows, number)
            for tips in (True, False):
                at = as_of(reader._con, CHAIN, block(number), tips=tips)
                found = unit_snapshots(at, VENUE)
                assert found == wanted
                assert [list(each.positions) for each in found] == [list(each.positions) for each in wanted]
                named = [each.unit_id for each in wanted]
                assert unit_snapshots(at, VENUE, units=named) == wanted
                monkeypatch.setattr(asof, "MANY", 0)
                assert unit_snapshots(at, VENUE, units=named[1:]) == wanted[1:]
                assert unit_snapshots(at, VENUE, units=[]) == []
                monkeypatch.setattr(asof, "MANY", 4_096)


def test_the_newer_of_positions_and_settings_names_the_owner(store: Store) -> None:
    unit, first, second = (bytes([number]) * 20 for number in (1, 2, 3))
    rows: dict[str, Any] = {
        "positions": [position(number, 5, owner=first)._replace(unit_id=unit) for number in (2, 6)],
        "accounts": [setting(4, "true", owner=second)._replace(unit_id=unit)],
    }
    append(store, batch(1, 9, Rows(**rows)))

    with store.reading() as reader:
        owners = [
            unit_snapshots(as_of(reader._con, CHAIN, block(number), tips=False), VENUE)[0].owner for number in (3, 5, 7)
        ]
    assert owners == [first, second, first]


def test_nothing_is_held_where_nothing_happened(store: Store) -> None:
    append(store, batch(1, 9, Rows()))

    with store.reading() as reader:
        held = asof.holding(as_of(reader._con, CHAIN, block(5)), VENUE)
        assert (len(held), list(held.positions()), held.owned()) == (0, [], [])
        assert unit_snapshots(as_of(reader._con, CHAIN, block(5)), VENUE) == []
