"""Trees that are built in arrays are those of a row at a time, with all that the index has of them."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.audit import branches, tree_index, verifier
from aggregator.audit.tree_index import FILES
from aggregator.audit.verifier import Fault, leaves_of, levels
from tests.unit.aggregator.audit.test_columns import TERMS, book, tabled, write

Rows = list[dict[str, Any]]


def written(folder: Path, units: Rows, positions: Rows) -> tuple[verifier.Node, dict[str, bytes]]:
    root = tree_index.write(folder, tabled("units", units), tabled("positions", positions), TERMS, starmap)
    return root, {name: (folder / name).read_bytes() for name in FILES}


def in_both_ways(folder: Path, units: Rows, positions: Rows, monkeypatch: pytest.MonkeyPatch) -> verifier.Node:
    """Write the index with and without compiled kernels, and return the root."""
    assert branches.kernels() is not None
    write(folder, units, positions)
    monkeypatch.setattr(tree_index, "MANY", 1)
    compiled = written(folder, units, positions)
    monkeypatch.setattr(branches, "kernels", lambda: None)
    assert written(folder, units, positions) == compiled
    assert compiled[0] == levels(list(leaves_of(folder)))[-1][0]
    return compiled[0]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 31, 33, 100])
@pytest.mark.parametrize("part, group", [(8, 2), (8, 8), (64, 32)])
def test_any_number_of_units_has_the_same_tree(
    count: int, part: int, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_index, "PART", part)
    monkeypatch.setattr(tree_index, "GROUP", group)

    assert in_both_ways(tmp_path, *book(random.Random(count), count), monkeypatch).sums["units"] == count


@pytest.mark.parametrize("seed", range(6))
def test_amounts_of_any_length_are_added_up_without_loss(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them 0, all nines and a thousand digits; some units have the same asset in several markets."""
    chance = random.Random(seed)
    units, positions = book(chance, 40)
    most = chance.choice([17, 18, 19, 36, 78, 1_000])
    for position in positions:
        digits = chance.choice([1, most, chance.randrange(1, most + 1)])
        position["amount_raw"] = chance.choice(["0", "9" * digits, "1" + "0" * (digits - 1)])
        position["asset"] = f"token/{chance.randrange(4)}"

    root = in_both_ways(tmp_path, units, positions, monkeypatch)

    for name in root.sums.keys() - {"units", "unknown"}:
        asset, side = name.split("|")
        of_it = [each for each in positions if (each["asset"], each["side"]) == (asset, side)]
        assert root.sums[name] == sum(int(each["amount_raw"]) for each in of_it)
    assert root.sums["unknown"] == sum(unit["status"] == "unknown" for unit in units)


def test_lines_that_are_not_as_many_as_what_is_held_have_no_tree(tmp_path: Path) -> None:
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units, positions)
    ((of_units, of_positions),) = verifier.tree_parts(tmp_path, TERMS, 64)
    (held,) = tree_index.held_of(tabled("units", units), tabled("positions", positions))
    first = verifier.read(of_units).index(b"\n") + 1
    hashes, lengths = branches.leaf_hashes(of_units, of_positions, held.counts)
    assert (len(hashes), sum(lengths), lengths[0]) == (20, of_units.end, first)

    last = verifier.read(of_positions)[:-1].rindex(b"\n") + 1
    for some in (
        (replace(of_units, end=first), of_positions),
        (replace(of_units, begin=first), of_positions),
        (of_units, replace(of_positions, end=last)),
        (of_units, replace(of_positions, begin=verifier.read(of_positions).index(b"\n") + 1)),
    ):
        with pytest.raises(Fault, match="a position is of no unit"):
            branches.leaf_hashes(*some, held.counts)
    for counts in (held.counts[:-1], np.append(held.counts, 0), held.counts + (np.arange(20) == 19)):
        with pytest.raises(Fault, match="a position is of no unit"):
            branches.leaf_hashes(of_units, of_positions, counts)
    tree = branches.Tree(held.names, branches.kernels())
    for short in (replace(held, amounts=held.amounts[:-3]), replace(held, which=held.which[1:])):
        with pytest.raises(Fault, match="a position is of no unit"):
            tree.leaves(short, hashes)
    with pytest.raises(Fault, match="a position is of no unit"):
        tree.leaves(held, hashes[1:])


def test_a_small_tree_is_not_worth_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "kernels", lambda: pytest.fail("numba was asked for"))
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units, positions)

    assert written(tmp_path, units, positions)[0].sums["units"] == 20
