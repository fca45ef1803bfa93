"""Trees that are built in arrays are those of a row at a time, with all that the index has of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
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


def compiled_or_skipped() -> Any:
    if (kernels := branches.kernels()) is None:
        pytest.skip("no OpenSSL beside Python whose SHA-256 can be called: trees are built without compiled kernels")
    return kernels


def in_both_ways(folder: Path, units: Rows, positions: Rows, monkeypatch: pytest.MonkeyPatch) -> verifier.Node:
    """Write the index with and without compiled kernels, and return the root."""
    compiled_or_skipped()
    write(folder, units, positions)
    monkeypatch.setattr(tree_index, "MANY", 1)
    compiled = written(folder, units, positions)
    assert not branches.failures()
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


@pytest.mark.parametrize("at_once", [1, 100, 1 << 18])
def test_leaves_are_hashed_however_much_is_read_together(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "AT_ONCE", at_once)

    assert in_both_ways(tmp_path, *book(random.Random(3), 50), monkeypatch).sums["units"] == 50


def test_a_last_line_that_does_not_end_is_no_leaf(tmp_path: Path) -> None:
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units, positions)
    ((of_units, of_positions),) = verifier.tree_parts(tmp_path, TERMS, 64)
    (held,) = tree_index.held_of(tabled("units", units), tabled("positions", positions))
    for some in (
        (replace(of_units, end=of_units.end - 1), of_positions),
        (of_units, replace(of_positions, end=of_positions.end - 1)),
    ):
        with pytest.raises(Fault, match="a position is of no unit"):
            branches.leaf_hashes(*some, held.counts, compiled_or_skipped())


def test_lines_that_are_not_as_many_as_what_is_held_have_no_tree(tmp_path: Path) -> None:
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units, positions)
    ((of_units, of_positions),) = verifier.tree_parts(tmp_path, TERMS, 64)
    (held,) = tree_index.held_of(tabled("units", units), tabled("positions", positions))
    first = verifier.read(of_units).index(b"\n") + 1
    kernels = compiled_or_skipped()
    hashes, lengths = branches.leaf_hashes(of_units, of_positions, held.counts, kernels)
    assert (len(hashes), sum(lengths), lengths[0]) == (20, of_units.end, first)

    last = verifier.read(of_positions)[:-1].rindex(b"\n") + 1
    for some in (
        (replace(of_units, end=first), of_positions),
        (replace(of_units, begin=first), of_positions),
        (of_units, replace(of_positions, end=last)),
        (of_units, replace(of_positions, begin=verifier.read(of_positions).index(b"\n") + 1)),
    ):
        with pytest.raises(Fault, match="a position is of no unit"):
            branches.leaf_hashes(*some, held.counts, kernels)
    for counts in (held.counts[:-1], np.append(held.counts, 0), held.counts + (np.arange(20) == 19)):
        with pytest.raises(Fault, match="a position is of no unit"):
            branches.leaf_hashes(of_units, of_positions, counts, kernels)
    tree = branches.Tree(held.names, kernels)
    for short in (replace(held, amounts=held.amounts[:-3]), replace(held, which=held.which[1:])):
        with pytest.raises(Fault, match="a position is of no unit"):
            tree.leaves(short, hashes)
    with pytest.raises(Fault, match="a position is of no unit"):
        tree.leaves(held, hashes[1:])


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Kernels that failed are not asked again in a process: neither before a test nor after it."""
    branches.failures.cache_clear()
    yield
    branches.failures.cache_clear()


def raising(error: Exception) -> Callable[..., Any]:
    def kernel(*_: object) -> Any:
        raise error

    return kernel


@pytest.mark.parametrize("name", ["leaf_hashes", "leaves", "sums_hashes", "joined", "node_hashes", "spelled"])
@pytest.mark.parametrize(
    "said", [OSError(28, "No space left on device"), RuntimeError("unknown opcode"), MemoryError()]
)
def test_kernels_that_fail_leave_the_same_index_and_it_is_said_once(
    name: str, said: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever their compiler or its files raise: each of several parts is then built as without them, and they are not asked again."""
    compiled: Any = pytest.importorskip("aggregator.audit.branch_kernels")
    monkeypatch.setattr(tree_index, "PART", 8)
    monkeypatch.setattr(tree_index, "GROUP", 2)
    units, positions = book(random.Random(4), 33)
    write(tmp_path, units, positions)
    expected = written(tmp_path, units, positions)

    monkeypatch.setattr(tree_index, "MANY", 1)
    monkeypatch.setattr(compiled, name, raising(said))

    assert written(tmp_path, units, positions) == expected
    (record,) = caplog.records
    assert vars(record)["word"] == "not_compiled"
    assert f"the tree of a snapshot without compiled code, slower: {type(said).__name__}" in record.getMessage()
    monkeypatch.setattr(branches, "kernels", lambda: pytest.fail("asked again"))
    assert written(tmp_path, units, positions) == expected


def test_kernels_that_cannot_be_loaded_leave_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    units, positions = book(random.Random(5), 33)
    write(tmp_path, units, positions)
    expected = written(tmp_path, units, positions)
    monkeypatch.setattr(tree_index, "MANY", 1)
    monkeypatch.setattr(branches, "kernels", raising(AttributeError("another numba")))

    assert written(tmp_path, units, positions) == expected
    assert "AttributeError: another numba" in caplog.text


def test_lines_that_are_not_those_of_the_table_have_no_tree_whoever_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That is no fault of a compiler."""
    monkeypatch.setattr(tree_index, "MANY", 1)
    units, positions = book(random.Random(6), 12)
    write(tmp_path, units, [*positions, dict(positions[-1], unit_id="of nobody")])

    with pytest.raises(Fault):
        written(tmp_path, units, positions)
    assert not caplog.records


def test_processes_that_die_leave_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A compiler may take its process with it, and so may whoever is short of memory."""
    monkeypatch.setattr(tree_index, "PART", 8)
    monkeypatch.setattr(tree_index, "GROUP", 2)
    units, positions = book(random.Random(7), 40)
    write(tmp_path, units, positions)
    expected = written(tmp_path, units, positions)

    def dying(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        first, second, *_ = calls
        yield from starmap(function, (first, second))
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    root = tree_index.write(tmp_path, tabled("units", units), tabled("positions", positions), TERMS, dying)

    assert (root, {name: (tmp_path / name).read_bytes() for name in FILES}) == expected
    (record,) = caplog.records
    assert "the tree of a snapshot in one process" in record.getMessage()
    assert vars(record)["word"] == "processes_died"


def test_a_small_tree_is_not_worth_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "kernels", lambda: pytest.fail("numba was asked for"))
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units, positions)

    assert written(tmp_path, units, positions)[0].sums["units"] == 20
