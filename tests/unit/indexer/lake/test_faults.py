"""Storage that refuses, tears or loses writes never shows a set that names what is not there, and is as good as any other afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pytest

from indexer.lake import Lake, LakeBroken, LakeSet, join, read_set
from indexer.lake.parts import file_of_rows, parquet, put_part
from indexer.lake.sets import ChainCut
from indexer.store import StoreError
from tests.support.faulty.storage import KINDS, FaultyStorage
from tests.unit.indexer.lake.builders import CHAINS, in_lake

SEEDS = 400
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A part and the bytes of its files."""

    part: LakeSet
    contents: Mapping[str, bytes]


def ready(chain_id: str, cut_at: int) -> Ready:
    """A part with a table that grows by a file each time, and one that is written anew."""
    blocks = [
        pa.table({"block_number": range(at, at + 24), "chain_id": [chain_id] * 24}) for at in range(0, cut_at, 24)
    ]
    files = {file_of_rows("dim_block", chain_id, at, rows): parquet(rows) for at, rows in enumerate(blocks)}
    few = pa.table({"cut_at": [cut_at], "chain_id": [chain_id]})
    cursor = file_of_rows("stored_cursor", chain_id, cut_at, few)
    return Ready(
        part=LakeSet(
            cut_at=cut_at,
            made_by=1,
            cut={chain_id: ChainCut(block=cut_at, hash=f"0x{cut_at:x}", time=cut_at)},
            tables={"dim_block": tuple(files), "stored_cursor": (cursor,)},
        ),
        contents={file.path: said for file, said in files.items()} | {cursor.path: parquet(few)},
    )


@pytest.fixture(scope="module")
def all_ready() -> list[list[Ready]]:
    return [[ready(chain_id, cut_at) for chain_id in CHAINS] for cut_at in (24, 48, 72)]


def seen(folder: Path) -> LakeSet | None:
    """What a reader with sound eyes sees; it may be told that a set is broken, and never sees one that is."""
    sound = Lake.at(str(folder))
    try:
        return read_set(sound.filesystem, sound.root)
    except LakeBroken:
        return None


def work_on(storage: FaultyStorage, folder: Path, parts: list[Ready]) -> None:
    """What indexers and the one who joins do, each giving up at a fault and coming again with the next round."""
    lake = Lake(storage.as_filesystem(), str(folder), "lake")
    for each in parts:
        with suppress(StoreError):
            put_part(lake, each.part, each.contents)
    with suppress(StoreError):
        join(lake, CHAINS, {})


def test_no_fault_of_any_seed_shows_what_is_not_there(tmp_path: Path, all_ready: list[list[Ready]]) -> None:
    told, shown, broken = set(), 0, 0
    for seed in range(SEEDS):
        storage, folder = FaultyStorage(seed, rate=0.05 + 0.25 * (seed % 4)), tmp_path / str(seed)
        newest = 0
        for parts in all_ready[:ROUNDS]:
            work_on(storage, folder, parts)
            made = seen(folder)
            broken += made is None
            if made is not None:
                assert in_lake(folder, made), seed
                assert set(made.cut) == set(CHAINS)
                assert {cut.time for cut in made.cut.values()} == {made.cut_at}
                assert made.cut_at >= newest
                newest, shown = made.cut_at, shown + 1
        told |= set(storage.faults)
        storage.rate = 0
        work_on(storage, folder, all_ready[-1])
        made = seen(folder)
        assert made is not None, seed
        assert (made.cut_at, in_lake(folder, made)) == (72, True), seed
    assert told == set(KINDS)
    assert shown > SEEDS / 4
    assert broken > SEEDS / 4


def test_a_file_that_was_lost_after_its_part_is_never_named(tmp_path: Path, all_ready: list[list[Ready]]) -> None:
    """Storage that loses what was there once: an older set stays what readers see."""
    lake = Lake.at(str(tmp_path / "lake"))
    for each in all_ready[0]:
        put_part(lake, each.part, each.contents)
    first = join(lake, CHAINS, {}).made
    for each in all_ready[1]:
        put_part(lake, each.part, each.contents)
    copytree(tmp_path / "lake", tmp_path / "copy")
    for file in all_ready[1][1].part.files:
        if file not in first.files:
            (tmp_path / "lake" / file.path).unlink()

    with suppress(LakeBroken):
        join(lake, CHAINS, {})
    assert seen(tmp_path / "lake") == first
    whole = Lake.at(str(tmp_path / "copy"))
    assert join(whole, CHAINS, {}).made.cut_at == 48
