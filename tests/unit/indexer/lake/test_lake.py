"""Parts of several stores become one set at one cut-off, and a store that takes it over holds what one store of all would hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from indexer.lake import Lake, LakeBroken, NotJoinable, join, ledgers, read_set, take, tidy
from indexer.store import Store
from tests.unit.indexer.lake.builders import (
    CHAINS,
    OTHER_CHAIN,
    STORED,
    grow,
    in_lake,
    lake_at,
    opened,
    publish,
    stored,
)
from tests.unit.store.builders import CHAIN


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "one.duckdb", CHAIN, allowed=tmp_path) as store:
        grow(store, CHAIN, 1, 10, 9)
        yield store


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "two.duckdb", OTHER_CHAIN, allowed=tmp_path) as store:
        grow(store, OTHER_CHAIN, 1, 7, 6)
        yield store


def test_a_set_is_of_the_newest_cut_off_that_every_chain_has(tmp_path: Path, one: Store, two: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)
    publish(lake, two, tmp_path / "w2", OTHER_CHAIN)

    joined = join(lake, CHAINS, {})

    # block n is of 1000 + 12 n; block 6 (1072) is final there, 9 (1108) here: 1056 is the last multiple of 24 below both
    assert (joined.new, joined.made.cut_at, dict(joined.behind)) == (True, 1056, {CHAIN: 1104, OTHER_CHAIN: 1056})
    assert {chain: (cut.block, cut.time) for chain, cut in joined.made.cut.items()} == dict.fromkeys(CHAINS, (4, 1048))
    assert read_set(lake.filesystem, lake.root) == joined.made
    assert in_lake(tmp_path / "lake", joined.made)


def test_joined_again_nothing_is_published(tmp_path: Path, one: Store, two: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)
    publish(lake, two, tmp_path / "w2", OTHER_CHAIN)
    first = join(lake, CHAINS, {})

    assert publish(lake, one, tmp_path / "w1", CHAIN) == []
    assert join(lake, CHAINS, {}) == type(first)(made=first.made, new=False, behind=first.behind)


def test_a_chain_without_a_part_is_waited_for(tmp_path: Path, one: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)

    with pytest.raises(NotJoinable, match=f"{OTHER_CHAIN} has no part yet"):
        join(lake, CHAINS, {})
    assert read_set(lake.filesystem, lake.root) is None


def test_what_two_stores_publish_is_what_one_of_both_does(tmp_path: Path, one: Store, two: Store) -> None:
    lake, alone = lake_at(tmp_path / "lake"), lake_at(tmp_path / "alone")
    for last in (14, 20):
        publish(lake, one, tmp_path / "w1", CHAIN)
        publish(lake, two, tmp_path / "w2", OTHER_CHAIN)
        grow(one, CHAIN, last - 3 if last == 14 else last - 5, last, last - 1)
        grow(two, OTHER_CHAIN, 8 if last == 14 else last - 5, last, last - 1)
    publish(lake, one, tmp_path / "w1", CHAIN)
    publish(lake, two, tmp_path / "w2", OTHER_CHAIN)
    with opened(tmp_path / "both.duckdb", *CHAINS, allowed=tmp_path) as both:
        grow(both, CHAIN, 1, 20, 19)
        grow(both, OTHER_CHAIN, 1, 20, 19)
        publish(alone, both, tmp_path / "w3", *CHAINS)
    with (
        opened(tmp_path / "r1.duckdb", allowed=tmp_path) as here,
        opened(tmp_path / "r2.duckdb", allowed=tmp_path) as there,
    ):
        joined = join(lake, CHAINS, {}).made
        single = join(alone, CHAINS, {}).made
        take(here, lake, joined, None)
        take(there, alone, single, None)

        assert (joined.cut_at, dict(joined.cut)) == (single.cut_at, dict(single.cut))
        assert stored(here) == stored(there)
        assert all(stored(here)[name] for name in STORED if name != "quarantine")
    for name in single.tables:
        rows = [
            pa.concat_tables([each_lake.rows(file) for file in each.tables[name]]).to_pylist()
            for each_lake, each in ((lake, joined), (alone, single))
        ]
        assert sorted(map(repr, rows[0])) == sorted(map(repr, rows[1])), name


def test_a_store_that_follows_sets_is_what_one_that_takes_the_last_is(tmp_path: Path, one: Store, two: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    with (
        opened(tmp_path / "r1.duckdb", allowed=tmp_path) as follows,
        opened(tmp_path / "r2.duckdb", allowed=tmp_path) as new,
    ):
        held = None
        for last in (12, 14, 20, 22):
            grow(one, CHAIN, last - (1 if last in {12, 14, 22} else 5), last, last - 1)
            grow(two, OTHER_CHAIN, {12: 8, 14: 13, 20: 15, 22: 21}[last], last, last - 1)
            publish(lake, one, tmp_path / "w1", CHAIN)
            publish(lake, two, tmp_path / "w2", OTHER_CHAIN)
            made = join(lake, CHAINS, {}).made
            take(follows, lake, made, held)
            held = made
        assert held is not None
        take(new, lake, held, None)

        assert stored(follows) == stored(new)


def test_a_file_that_was_changed_below_is_not_taken_over(tmp_path: Path, one: Store, two: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)
    publish(lake, two, tmp_path / "w2", OTHER_CHAIN)
    made = join(lake, CHAINS, {}).made
    with opened(tmp_path / "reader.duckdb", allowed=tmp_path) as reader:
        before = stored(reader)
        spoiled = tmp_path / "lake" / made.tables["stored_lending_event"][-1].path
        said = bytearray(spoiled.read_bytes())
        said[len(said) // 2] ^= 1
        spoiled.write_bytes(said)

        with pytest.raises(LakeBroken, match="is not what was published under this name"):
            take(reader, lake, made, None)
        assert stored(reader) == before


def test_a_set_that_says_something_else_than_its_name_is_refused(tmp_path: Path, one: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)
    made = join(lake, (CHAIN,), {}).made
    place = tmp_path / "lake" / "sets" / made.id / "set.json"
    place.write_text(place.read_text().replace('"block":8', '"block":9'))

    with pytest.raises(LakeBroken, match="says something else"):
        read_set(lake.filesystem, lake.root)


def test_what_people_said_comes_with_the_set(tmp_path: Path, one: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    publish(lake, one, tmp_path / "w1", CHAIN)
    one._writer.execute("INSERT INTO price_day VALUES ('ETH', DATE '2026-01-01', 2000, NULL, NULL, 's', 1, 1, 'd')")
    made = join(lake, (CHAIN,), ledgers(one)).made
    with opened(tmp_path / "reader.duckdb", allowed=tmp_path) as reader:
        take(reader, lake, made, None)
        take(reader, lake, made, made)

        assert reader.query("SELECT identity, close FROM price_day", timeout_s=9, max_rows=9).rows == [("ETH", 2000.0)]
        assert reader.query("SELECT count(*) FROM derived_by", timeout_s=9, max_rows=9).rows != [(0,)]


def test_a_key_in_the_address_of_a_lake_is_refused_and_not_repeated() -> None:
    with pytest.raises(LakeBroken, match="give keys in the environment") as refused:
        lake_at(Path("unused")).at("s3://AKIA:verysecret@bucket/x")
    assert "verysecret" not in str(refused.value)


def test_tidying_removes_what_no_kept_set_names_and_nothing_young(tmp_path: Path, one: Store) -> None:
    lake = lake_at(tmp_path / "lake")
    sets = []
    for first, last in ((11, 14), (15, 18), (19, 22)):
        publish(lake, one, tmp_path / "w1", CHAIN)
        sets.append(join(lake, (CHAIN,), {}).made)
        grow(one, CHAIN, first, last, last)

    assert tidy(lake, keep=2, before=0) > 0
    assert in_lake(tmp_path / "lake", sets[0])
    assert tidy(lake, keep=2, before=1 << 40) > 0

    assert not in_lake(tmp_path / "lake", sets[0])
    assert [in_lake(tmp_path / "lake", made) for made in sets[1:]] == [True, True]
    assert read_set(lake.filesystem, lake.root) == sets[-1]
    assert join(lake, (CHAIN,), {}).made == sets[-1]


@pytest.mark.parametrize("url", ["s3://", "s3:///", "ftp://somewhere/path", "nothing://x"])
def test_an_address_that_names_no_storage_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(LakeBroken, match="name a folder, or a bucket: s3://bucket/path"):
        Lake.at(url)
