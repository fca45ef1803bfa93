"""What is published is what the store says of final blocks, in files that stay while they are right, exchanged in one step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chains.model import Rows, Side
from indexer.publish import Manifest, Publisher, PublishRefused
from indexer.publish.facts import FACTS
from indexer.store import Registry, Store
from tests.unit.store.builders import (
    ASSET,
    CHAIN,
    OWNER,
    VENUE,
    append,
    batch,
    event,
    finalize,
    market,
    position,
    price,
)
from tests.unit.store.test_register import REGISTRY

RESERVE = '{"id":0,"symbol":"WETH","decimals":18,"a_token":"0xaa","since":2}'
OTHER = b"\x1c" * 20
STEPS = ("segment", "database", "manifest", "set", "current", "tidy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of five blocks, four of them final, and with its first set in segments of three rows."""
    place = tmp_path_factory.mktemp("begun")
    with Store.open(place / "store.duckdb", allowed=[place / "published"]) as made:
        made.register(Registry(chains=REGISTRY.chains, venues=REGISTRY.venues))
        append(made, batch(1, 5, rows(1, 5, [market(2, RESERVE, market=ASSET)]), logs=[(n, 0) for n in range(1, 6)]))
        finalize(made, 4)
        Publisher(place / "published", segment_rows=3).publish(made, 1)
    return place


@pytest.fixture
def store(begun: Path, tmp_path: Path, folder: Path) -> Iterator[Store]:
    shutil.copy(begun / "store.duckdb", tmp_path)
    with Store.open(tmp_path / "store.duckdb", allowed=[folder]) as opened:
        yield opened


@pytest.fixture
def first_set(begun: Path, folder: Path) -> None:
    """The set that was published of the store as it is, in segments of three rows."""
    shutil.copytree(begun / "published", folder, symlinks=True)


def rows(first: int, last: int, markets: Any = ()) -> Rows:
    """Two positions that change, an event and a price in every block."""
    blocks = range(first, last + 1)
    return Rows(
        markets=list(markets),
        positions=[
            each
            for n in blocks
            for each in (
                position(n, 100 + n, market=ASSET),
                position(n, n % 2, owner=OTHER, market=ASSET, side=Side.BORROW, ordinal=1),
            )
        ],
        events=[event(n, n * 10**18, asset=ASSET, counterparty=OWNER) for n in blocks],
        prices=[price(n, 2_000 + n) for n in blocks],
    )


def grow(store: Store, first: int, last: int, final: int) -> None:
    append(store, batch(first, last, rows(first, last), logs=[(n, 0) for n in range(first, last + 1)]))
    finalize(store, final)


def published(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    (rows,) = each_published(folder, sql)
    return rows


def each_published(folder: Path, *questions: str) -> list[list[tuple[Any, ...]]]:
    with duckdb.connect(str(folder / "current" / "crossmargin.duckdb"), read_only=True) as con:
        con.execute("SET file_search_path = $folder", {"folder": str(folder)})
        return [con.sql(sql).fetchall() for sql in questions]


def live(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.query(sql, timeout_s=30, max_rows=9_999).rows


def assert_says_the_same(store: Store, folder: Path, final: int) -> None:
    facts = {
        f"FROM public.{fact.view} ORDER BY ALL": f"FROM public.{fact.view} WHERE block_number <= {final} ORDER BY ALL"
        for fact in FACTS
    }
    at = [f"FROM public.fct_position_at('{CHAIN}', {block}) ORDER BY ALL" for block in range(1, final + 1)]
    expected = facts | {ask: ask for ask in at} | {"FROM public.fct_position ORDER BY ALL": at[-1]}
    chain = "SELECT indexed_block, finalized_block FROM public.dim_chain"

    *found, cursor = each_published(folder, *expected, chain)

    there = {ask: live(store, ask) for ask in {*expected.values()}}
    assert found == [there[ask] for ask in expected.values()]
    assert all(there[ask] for ask in facts.values())
    assert cursor == [(final, final)]


def names(manifest: Manifest) -> set[str]:
    return {segment.path for segment in manifest.segments}


def test_only_final_blocks_are_published_and_all_of_them(store: Store, folder: Path) -> None:
    made = Publisher(folder, segment_rows=3).publish(store, 100)

    assert (made.number, made.published_at, made.final) == (1, 100, {CHAIN: 4})
    assert_says_the_same(store, folder, 4)
    assert published(folder, "SELECT symbol FROM public.dim_market") == [("WETH",)]


def test_where_all_is_final_every_view_says_what_the_store_says(store: Store, folder: Path) -> None:
    store.register(REGISTRY)
    finalize(store, 5)
    Publisher(folder, segment_rows=3).publish(store, 1)
    views = live(store, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'public' AND NOT internal")
    asked = {view: f"FROM public.{view} ORDER BY ALL" for (view,) in views}

    for (view, ask), rows in zip(asked.items(), each_published(folder, *asked.values()), strict=True):
        assert rows == live(store, ask), view
    at = f"FROM public.fct_position_at_time('{CHAIN}', make_timestamp(1036 * 1000000)) ORDER BY ALL"
    assert published(folder, at) == live(store, at) != []


def test_every_public_view_keeps_its_columns_and_comments(store: Store, folder: Path) -> None:
    Publisher(folder).publish(store, 1)
    ask = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'public' ORDER BY ALL"
    views = "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'public' ORDER BY ALL"

    assert published(folder, ask) == live(store, ask)
    assert published(folder, views) == live(store, views)
    assert published(folder, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'evm%'") == []


def test_files_are_kept_while_they_are_right_and_closed_ones_for_good(store: Store, folder: Path) -> None:
    publisher = Publisher(folder, segment_rows=3)
    first = publisher.publish(store, 1)
    again = publisher.publish(store, 2)
    grow(store, 6, 12, 11)
    grown = publisher.publish(store, 3)

    assert names(again) == names(first)
    closed = {segment.path for segment in first.segments if not segment.open}
    assert closed
    assert closed <= names(grown)
    assert [segment.last for segment in grown.of("fct_price", CHAIN)] == [3, 6, 9, 11]
    assert_says_the_same(store, folder, 11)


def test_published_in_steps_or_at_once_the_rows_are_the_same(store: Store, tmp_path: Path, folder: Path) -> None:
    steps = Publisher(folder, segment_rows=4)
    for first in (6, 9, 12):
        steps.publish(store, 1)
        grow(store, first, first + 2, first + 1)
    steps.publish(store, 2)
    with Store.open(tmp_path / "other.duckdb", allowed=[tmp_path / "once"]) as once:
        once.register(Registry(chains=REGISTRY.chains, venues=REGISTRY.venues))
        some = rows(1, 14, [market(2, RESERVE, market=ASSET)])
        append(once, batch(1, 14, some, logs=[(n, 0) for n in range(1, 15)]))
        finalize(once, 13)
        Publisher(tmp_path / "once").publish(once, 1)

    views = (*(fact.view for fact in FACTS), "fct_position", "dim_chain", "dim_market")
    asked = [f"FROM public.{view} ORDER BY ALL" for view in views]
    assert each_published(folder, *asked) == each_published(tmp_path / "once", *asked)


@pytest.mark.parametrize(
    "change, views",
    [
        ("UPDATE position_change SET amount_raw = 7 WHERE block_number = 2", {"fct_position_change", "fct_position"}),
        ("DELETE FROM price_observation WHERE block_number = 3", {"fct_price"}),
        (
            "UPDATE evm_block SET time = time + 1 WHERE number = 1",
            {"lending_event", "fct_price", "fct_position_change"},
        ),
        ("UPDATE venue SET address = '\\xAA'::BLOB", {"lending_event"}),
    ],
)
def test_what_was_restated_below_gets_new_versions_of_its_files(
    store: Store, folder: Path, change: str, views: set[str]
) -> None:
    publisher = Publisher(folder, segment_rows=2)
    before = publisher.publish(store, 1)
    store._writer.execute(change)

    after = publisher.publish(store, 2)

    assert {segment.view for segment in after.segments if segment.path not in names(before)} >= views
    assert {segment.view for segment in after.segments if segment.path in names(before)} >= {"fct_price"} - views
    assert_says_the_same(store, folder, 4)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("first_set")
def test_a_crash_between_any_two_steps_leaves_the_old_or_the_new_set_whole(
    store: Store, folder: Path, step: str
) -> None:
    grow(store, 6, 12, 11)

    def crash(done: str) -> None:
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Publisher(folder, segment_rows=3, told=crash).publish(store, 2)

    assert_says_the_same(store, folder, 11 if step in {"current", "tidy"} else 4)
    healed = Publisher(folder, segment_rows=3)
    healed.publish(store, 3)
    assert_says_the_same(store, folder, 11)
    left = {str(path.relative_to(folder)) for path in (folder / "segments").rglob("*") if path.is_file()}
    kept = [path for path in (folder / "sets").iterdir() if path.name.startswith(".")]
    assert left >= names(healed.current() or pytest.fail("nothing is published"))
    assert not [name for name in left if Path(name).name.startswith(".")]
    assert kept == []


def test_sets_that_nobody_reads_go_with_their_files(store: Store, folder: Path) -> None:
    publisher = Publisher(folder)
    first = publisher.publish(store, 1)
    for number in range(6, 12, 2):
        grow(store, number, number + 1, number)
        publisher.publish(store, number)

    assert len([*(folder / "sets").iterdir()]) == 3
    assert not any((folder / path).exists() for path in names(first))


def test_without_a_final_block_there_is_nothing_to_publish(tmp_path: Path, folder: Path) -> None:
    with (
        Store.open(tmp_path / "new.duckdb", allowed=[folder]) as store,
        pytest.raises(PublishRefused, match="no chain"),
    ):
        Publisher(folder).publish(store, 1)


def test_blocks_are_appended_while_a_set_is_made(store: Store, folder: Path) -> None:
    def append_one(done: str) -> None:
        if done == "database":
            grow(store, 6, 6, 5)

    Publisher(folder, told=append_one).publish(store, 1)

    assert_says_the_same(store, folder, 4)
    assert published(folder, "SELECT venue_id FROM public.dim_venue")[0][0] == VENUE
