"""What can be asked of stored blocks and raw rows, and that one reader sees one state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from chains.model import Rows
from indexer.store import BlockUnknown, StepRefused, Store
from tests.unit.store.builders import (
    CHAIN,
    append,
    batch,
    block,
    finalize,
    logs_table,
    position,
    reads_table,
)


def test_an_unknown_chain_has_nothing(store: Store) -> None:
    assert store.cursor(CHAIN) is None
    assert store.window(CHAIN) == []
    assert store.block(CHAIN, 1) is None
    assert store.block_at_time(CHAIN, 10_000) is None
    assert store.chains() == []
    assert store.raw(CHAIN).blocks(0, 100) == []


def test_blocks_are_found_by_number(store: Store) -> None:
    append(store, batch(1, 9))
    finalize(store, 5)

    assert store.block(CHAIN, 6) == block(6)
    assert store.block(CHAIN, 3) is None
    assert store.block(CHAIN, 10) is None


def test_the_window_before_anything_is_final_is_everything(store: Store) -> None:
    append(store, batch(3, 6))

    assert store.window(CHAIN) == [block(3), block(4), block(5), block(6)]


@pytest.mark.parametrize("time, number", [(1_035, None), (1_036, 3), (1_047, 3), (1_048, 4), (9_999, 6)])
def test_the_block_at_a_time_is_the_last_one_until_then(store: Store, time: int, number: int | None) -> None:
    """Block n has time 1000 + 12 n."""
    append(store, batch(3, 6))

    assert store.block_at_time(CHAIN, time) == (None if number is None else block(number))


def test_raw_rows_come_back_as_said_in_chain_order(store: Store) -> None:
    append(store, batch(1, 5, logs=[(4, 0), (2, 3), (2, 1)], reads=[5, 3]))
    append(store, batch(6, 9, logs=[(6, 0)]))
    raw = store.raw(CHAIN)

    assert raw.table("evm_log", 2, 6).to_pylist() == logs_table([(2, 1), (2, 3), (4, 0), (6, 0)]).to_pylist()
    assert raw.table("evm_log", 3, 5).to_pylist() == logs_table([(4, 0)]).to_pylist()
    assert raw.table("evm_read", 1, 9).to_pylist() == reads_table([3, 5]).to_pylist()
    assert raw.table("evm_block", 2, 3)["number"].to_pylist() == [2, 3]
    assert raw.blocks(8, 100) == [block(8), block(9)]


def test_a_raw_table_that_does_not_exist_is_named(store: Store) -> None:
    with pytest.raises(StepRefused, match="no raw table 'cursor'"):
        store.raw(CHAIN).table("cursor", 1, 2)


def test_a_reader_sees_one_state_while_blocks_are_appended(store: Store) -> None:
    append(store, batch(1, 5, Rows(positions=[position(2, 5)])))

    with store.reading() as reader:
        before = reader.cursor(CHAIN)
        append(store, batch(6, 9, Rows(positions=[position(7, 6)])))

        assert reader.cursor(CHAIN) == before
        assert reader.counts(CHAIN)["position_change"] == 1
    with store.reading() as reader:
        assert reader.counts(CHAIN)["position_change"] == 2


def test_readers_in_other_threads_wait_for_no_writer(store: Store) -> None:
    append(store, batch(1, 5))
    appended = Event()

    def read() -> tuple[int, int]:
        with store.reading() as reader:
            before = reader.counts(CHAIN)["evm_block"]
            appended.wait(10)
            return before, reader.counts(CHAIN)["evm_block"]

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(read) for _ in range(4)]
        while not all(answer.running() for answer in answers):
            pass
        with store.rebuilding(CHAIN) as target:
            target.apply(batch(1, 5))
        append(store, batch(6, 9))
        appended.set()

        assert {first == second for first, second in (answer.result() for answer in answers)} == {True}


def test_counts_name_every_table_of_a_chain(store: Store) -> None:
    append(store, batch(1, 5, Rows(positions=[position(2, 5), position(3, 10**38)]), logs=[(2, 0)], reads=[3]))

    with store.reading() as reader:
        counts = reader.counts(CHAIN)

    assert counts == {
        "evm_block": 5,
        "evm_log": 1,
        "evm_read": 1,
        "position_change": 1,
        "market_change": 0,
        "account_change": 0,
        "price_observation": 0,
        "lending_event": 0,
        "quarantine": 1,
    }


def test_a_block_above_the_cursor_cannot_be_asked_about(store: Store) -> None:
    with store.reading() as reader, pytest.raises(BlockUnknown, match="nothing of this chain is stored"):
        reader.answers(CHAIN, block(1))
    append(store, batch(1, 5))

    with (
        store.reading() as reader,
        pytest.raises(BlockUnknown, match="block 6 is not stored yet; it stands at block 5"),
    ):
        reader.answers(CHAIN, block(6))


def test_a_block_that_a_reorg_took_cannot_be_asked_about(store: Store) -> None:
    append(store, batch(1, 5, fork="b", forked_at=4))

    with store.reading() as reader, pytest.raises(BlockUnknown, match=r"block 4 0x.* is not of this chain any more"):
        reader.feeds(CHAIN, block(4))
