"""What is final stays; what explains nothing any more goes."""

from __future__ import annotations

import dataclasses

from indexer.store import Store
from tests.unit.store.builders import CHAIN, append, batch, block, blocks_table, content, content_of, finalize


def numbers(store: Store) -> list[int]:
    return [row[1] for row in content(store)["evm_block"]]


def finalized(store: Store) -> int:
    held = store.cursor(CHAIN)
    assert held is not None
    return held.finalized


def test_final_blocks_without_rows_go_and_the_newest_final_one_stays(store: Store) -> None:
    append(store, batch(1, 9, logs=[(2, 0), (4, 1)], reads=[4, 5]))

    finalize(store, 7)

    assert numbers(store) == [2, 4, 5, 7, 8, 9]
    assert store.window(CHAIN) == [block(7), block(8), block(9)]
    assert finalized(store) == 7


def test_the_newest_final_block_goes_when_a_newer_one_is_final(store: Store) -> None:
    append(store, batch(1, 9, logs=[(2, 0)]))
    finalize(store, 7)

    finalize(store, 8)

    assert numbers(store) == [2, 8, 9]


def test_a_final_block_with_rows_stays_when_a_newer_one_is_final(store: Store) -> None:
    append(store, batch(1, 9, logs=[(7, 0)]))
    finalize(store, 7)

    finalize(store, 9)

    assert numbers(store) == [7, 9]


def test_what_is_final_stays_final(store: Store) -> None:
    append(store, batch(1, 9))
    finalize(store, 7)

    finalize(store, 3)

    assert finalized(store) == 7
    assert numbers(store) == [7, 8, 9]


def test_no_block_is_final_before_it_is_stored(store: Store) -> None:
    append(store, batch(1, 5))

    finalize(store, 100)
    append(store, batch(6, 9))

    assert finalized(store) == 5
    assert [held.number for held in store.window(CHAIN)] == [5, 6, 7, 8, 9]


def test_between_stored_blocks_the_one_below_is_final(store: Store) -> None:
    """A chain with empty slots, or an adapter that leaves headers out: the window must begin with a stored block."""
    given = batch(1, 9)
    sparse = {**given.raw, "evm_block": blocks_table([block(1), block(4), block(9)])}
    append(store, dataclasses.replace(given, raw=sparse))

    finalize(store, 6)

    assert finalized(store) == 4
    assert [held.number for held in store.window(CHAIN)] == [4, 9]


def test_how_often_blocks_were_finalized_leaves_no_trace(store: Store) -> None:
    append(store, batch(1, 9, logs=[(3, 0)], chain_id="eip155:1"))
    finalize(store, 7, chain_id="eip155:1")
    for number in range(1, 10):
        append(store, batch(number, number, logs=[(3, 0)] if number == 3 else []))
        finalize(store, min(number, 7))

    assert content_of(store, CHAIN) == content_of(store, "eip155:1")
