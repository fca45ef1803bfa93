"""Of several parts of one chain and cut-off the one that lacks nothing is taken, and none where they contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chains.model import Rows
from indexer.lake import LakeBroken, LakeSet, join
from indexer.lake.choosing import fullest
from tests.unit.indexer.lake.builders import grow, lake_at, opened, publish
from tests.unit.store.builders import CHAIN


def part(folder: Path, name: str, edit: Callable[[Rows], Rows], *, first: int = 1) -> LakeSet:
    """The newest part of a process of its own that reads the chain in its own way."""
    with opened(folder / f"{name}.duckdb", CHAIN, allowed=folder) as store:
        grow(store, CHAIN, first, 4, 3, edit=edit)
        grow(store, CHAIN, 5, 10, 9, edit=edit)
        return publish(lake_at(folder / "lake"), store, folder / f"work-{name}", CHAIN)[-1]


def as_it_is(rows: Rows) -> Rows:
    return rows


def without_events(rows: Rows) -> Rows:
    return replace(rows, events=[])


def with_other_amounts(rows: Rows) -> Rows:
    return replace(rows, positions=[each._replace(amount_raw=each.amount_raw + 1) for each in rows.positions])


def test_the_part_of_who_read_more_is_taken_whatever_its_name(tmp_path: Path) -> None:
    whole, poor = part(tmp_path, "whole", as_it_is), part(tmp_path, "poor", without_events)

    lake = lake_at(tmp_path / "lake")
    assert whole.cut == poor.cut
    assert whole.id != poor.id
    assert fullest(lake, [poor, whole]) == fullest(lake, [whole, poor]) == whole
    joined = join(lake, [CHAIN], {}).made
    assert joined.tables["lending_event"] == whole.tables["lending_event"]


def test_parts_that_contradict_each_other_are_both_refused(tmp_path: Path) -> None:
    whole, other = part(tmp_path, "whole", as_it_is), part(tmp_path, "other", with_other_amounts)

    lake = lake_at(tmp_path / "lake")
    for parts in ([whole, other], [other, whole]):
        with pytest.raises(LakeBroken, match="say different things of the same blocks"):
            fullest(lake, parts)
    with pytest.raises(LakeBroken, match="find out which is wrong"):
        join(lake, [CHAIN], {})


def test_parts_of_other_blocks_are_both_refused(tmp_path: Path) -> None:
    whole = part(tmp_path, "whole", as_it_is)
    (cut,) = whole.cut.values()
    other = replace(whole, cut={CHAIN: replace(cut, hash="0x" + "ee" * 32)})

    with pytest.raises(LakeBroken, match="are of different blocks"):
        fullest(lake_at(tmp_path / "lake"), [other, whole])


def test_how_rows_are_cut_into_files_makes_no_difference(tmp_path: Path) -> None:
    in_two, in_one = part(tmp_path, "two", as_it_is), part(tmp_path, "one", as_it_is)
    lake = lake_at(tmp_path / "lake")
    assert in_one.id == in_two.id
    mixed = replace(in_one, tables={**in_one.tables, "lending_event": in_one.tables["lending_event"][::-1]})

    assert fullest(lake, [in_one, mixed]) in (in_one, mixed)
