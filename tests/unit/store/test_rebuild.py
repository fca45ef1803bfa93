"""Journals can be derived again from raw rows: all of a chain, or nothing."""

from __future__ import annotations

import pytest

from chains.model import Rows, Side
from chains.ports import Batch
from indexer.store import StepRefused, Store, StoreError
from tests.unit.store.builders import CHAIN, MARKET, OWNER, VENUE, append, batch, content, finalize, position

KEY = (OWNER, MARKET, Side.SUPPLY)


def grown(first: int, last: int, by: int) -> Rows:
    return Rows(positions=[position(n, n * by) for n in range(first, last + 1)])


def indexed(store: Store) -> None:
    append(store, batch(1, 5, grown(1, 5, 10), logs=[(3, 0)]))
    append(store, batch(6, 9, grown(6, 9, 10), logs=[(7, 0)]))
    append(store, batch(1, 9, grown(1, 9, 7), chain_id="eip155:1"))
    finalize(store, 8)


def test_the_same_rows_in_other_batches_give_the_same_tables(store: Store) -> None:
    indexed(store)
    before = content(store)

    with store.rebuilding(CHAIN) as target:
        for first, last in ((1, 1), (2, 8), (9, 9)):
            target.apply(batch(first, last, grown(first, last, 10)))

    assert content(store) == before


def test_only_derived_rows_of_the_chain_change(store: Store) -> None:
    indexed(store)
    before = content(store)

    with store.rebuilding(CHAIN) as target:
        target.apply(batch(1, 9, grown(1, 9, 11)))
    after = content(store)

    assert store.state(CHAIN).positions(VENUE, [KEY]) == {KEY: 99}
    assert store.state("eip155:1").positions(VENUE, [KEY]) == {KEY: 63}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"position_change", "position_current"}


def test_a_fold_sees_what_was_derived_so_far_and_readers_see_what_was_before(store: Store) -> None:
    indexed(store)

    with store.rebuilding(CHAIN) as target:
        assert target.goal == store.cursor(CHAIN)
        assert target.state.positions(VENUE, [KEY]) == {}
        target.apply(batch(1, 4, grown(1, 4, 11)))
        assert target.state.positions(VENUE, [KEY]) == {KEY: 44}
        assert store.state(CHAIN).positions(VENUE, [KEY]) == {KEY: 90}
        target.apply(batch(5, 9))


def test_a_rebuild_that_breaks_off_leaves_the_store_as_it_was(store: Store) -> None:
    indexed(store)
    before = content(store)

    def interrupted() -> None:
        with store.rebuilding(CHAIN) as target:
            target.apply(batch(1, 4, grown(1, 4, 11)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert content(store) == before
    append(store, batch(10, 11))


def rebuilt(store: Store, *batches: Batch) -> None:
    with store.rebuilding(CHAIN) as target:
        for given in batches:
            target.apply(given)


@pytest.mark.parametrize(
    "batches, why",
    [
        ([batch(1, 4)], "derived up to block 4, stored up to block 9"),
        ([], "derived up to block None, stored up to block 9"),
        ([batch(1, 4), batch(6, 9)], "the next block to derive is 5, not 6"),
        ([batch(1, 9, chain_id="eip155:1")], "the batch is of eip155:1"),
        ([batch(1, 9, Rows(positions=[position(12, 1)]))], "reach from block 12"),
    ],
)
def test_a_rebuild_that_is_not_of_every_block_is_refused(store: Store, batches: list[Batch], why: str) -> None:
    indexed(store)
    before = content(store)

    with pytest.raises(StepRefused, match=why):
        rebuilt(store, *batches)

    assert content(store) == before


def test_nothing_else_is_written_meanwhile(store: Store) -> None:
    indexed(store)

    with store.rebuilding(CHAIN) as target:
        with pytest.raises(StoreError, match="is being rebuilt"):
            append(store, batch(10, 11))
        target.apply(batch(1, 9))

    assert store.block(CHAIN, 10) is None


def test_a_chain_without_blocks_has_nothing_to_rebuild(store: Store) -> None:
    with store.rebuilding(CHAIN) as target:
        assert target.goal is None

    assert store.cursor(CHAIN) is None
