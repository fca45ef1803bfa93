"""A batch is stored whole, behind the cursor, once."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

from chains.model import Rows, Side
from chains.ports import Batch, Covered
from indexer.steps import Append
from indexer.store import NOTHING_FINAL, Cursor, StepRefused, Store
from tests.unit.store.builders import (
    CHAIN,
    MARKET,
    OWNER,
    VENUE,
    append,
    batch,
    block,
    blocks_table,
    content,
    digest,
    logs_table,
    market,
    position,
    price,
    reads_table,
    setting,
)


def refused(store: Store, step: Append, match: str) -> None:
    """The step is refused in these words and changes nothing."""
    before = content(store)
    with pytest.raises(StepRefused, match=match):
        store.apply(step)
    assert content(store) == before


def test_the_cursor_is_the_last_block_of_the_batch(store: Store) -> None:
    append(store, batch(1, 5))
    append(store, batch(6, 9))

    assert store.cursor(CHAIN) == Cursor(block=block(9), finalized=NOTHING_FINAL)
    assert store.chains() == [CHAIN]


def test_a_batch_behind_another_block_than_the_cursor_is_refused(store: Store) -> None:
    append(store, batch(1, 5))
    fork = block(5, fork="b", forked_at=5)

    refused(store, Append(parent=None, batch=batch(6, 6)), "built on no block, the store stands at block 5")
    refused(store, Append(parent=block(4), batch=batch(5, 6)), f"built on block 4 0x{block(4).hash.hex()}")
    refused(store, Append(parent=fork, batch=batch(6, 6)), "read the cursor and fetch again")


def test_a_first_batch_that_believes_in_a_parent_is_refused(store: Store) -> None:
    refused(store, Append(parent=block(4), batch=batch(5, 6)), "the store stands at no block")


@pytest.mark.parametrize("first", [5, 7])
def test_a_batch_that_leaves_a_gap_or_overlaps_is_refused(store: Store, first: int) -> None:
    append(store, batch(1, 5))

    refused(store, Append(parent=block(5), batch=batch(first, 9)), f"begins with block {first}, not with 6")


def test_a_batch_that_ends_before_it_begins_is_refused(store: Store) -> None:
    backwards = dataclasses.replace(batch(1, 3), first=4, raw={})

    refused(store, Append(parent=None, batch=backwards), "ends with block 3, before 4")


def test_the_same_batch_twice_is_refused(store: Store) -> None:
    step = Append(parent=None, batch=batch(1, 5, logs=[(2, 0)]))
    store.apply(step)

    refused(store, step, "the store stands at block 5")


def test_one_log_that_is_there_twice_refuses_the_whole_batch(store: Store) -> None:
    rows = Rows(positions=[position(2, 5)])

    refused(
        store,
        Append(parent=None, batch=batch(1, 3, rows, logs=[(2, 0), (2, 1), (2, 0)])),
        r"evm_log has \(block_number, log_index\) = \(2, 0\) twice; fetch the span again",
    )


def test_two_headers_of_one_block_are_refused(store: Store) -> None:
    given = batch(1, 3)
    doubled = blocks_table([block(1), block(2), block(2, fork="b"), block(3)])

    refused(
        store, Append(parent=None, batch=dataclasses.replace(given, raw={"evm_block": doubled})), r"\(number\) = \(2\)"
    )


def test_a_question_asked_twice_is_one_row_and_two_answers_are_refused(store: Store) -> None:
    append(store, batch(1, 3, reads=[2, 2]))
    contradiction = pa.concat_tables([reads_table([4]), reads_table([4], output=b"\x02")])
    given = dataclasses.replace(batch(4, 5), raw={"evm_read": contradiction})

    assert len(content(store)["evm_read"]) == 1
    refused(store, Append(parent=block(3), batch=given), "evm_read has .* = \\(4, eth_call, 0x0b.*, 0x02\\) twice")


def test_a_batch_whose_headers_disagree_with_its_last_block_is_refused(store: Store) -> None:
    given = dataclasses.replace(batch(1, 3), last=block(3, fork="b", forked_at=3))

    refused(store, Append(parent=None, batch=given), "but its headers say 0x")


def test_the_last_block_is_stored_even_if_no_header_came_with_the_batch(store: Store) -> None:
    append(store, dataclasses.replace(batch(1, 3), raw={}))

    assert store.window(CHAIN) == [block(3)]


@pytest.mark.parametrize("number", [0, 4])
def test_rows_outside_the_span_are_refused(store: Store, number: int) -> None:
    for rows in (
        Rows(positions=[position(number, 1)]),
        Rows(markets=[market(number, "{}")]),
        Rows(accounts=[setting(number, "true")]),
        Rows(prices=[price(number, 1)]),
    ):
        refused(store, Append(parent=None, batch=batch(1, 3, rows)), f"reach from block {number} to {number}")
    refused(store, Append(parent=None, batch=batch(1, 3, logs=[(number, 0)])), "raw rows of evm_log reach")
    refused(store, Append(parent=None, batch=batch(1, 3, reads=[number])), "raw rows of evm_read reach")


def test_coverage_outside_the_span_is_refused(store: Store) -> None:
    wide = Covered(interest="logs", first=1, last=4, level="bloom", evidence="")

    refused(store, Append(parent=None, batch=batch(1, 3, covered=[wide])), "logs is said to cover 1 to 4")


def raw_of(name: str, table: pa.Table) -> Batch:
    return dataclasses.replace(batch(1, 3), raw={name: table})


def test_raw_rows_of_another_shape_are_refused(store: Store) -> None:
    logs = logs_table([(2, 0)])
    foreign = logs.append_column("chain_id", pa.array(["eip155:1"]))

    refused(
        store, Append(parent=None, batch=raw_of("evm_trace", logs)), "no raw table 'evm_trace'; use one of evm_block"
    )
    refused(store, Append(parent=None, batch=raw_of("evm_log", logs.drop_columns(["data"]))), "lack, .*have, data")
    refused(store, Append(parent=None, batch=raw_of("evm_log", foreign)), "evm_log belong to another chain")


def test_raw_columns_may_come_in_any_order_and_name_their_chain(store: Store) -> None:
    logs = logs_table([(2, 0), (3, 1)])
    named = logs.append_column("chain_id", pa.array([CHAIN, CHAIN])).select(["chain_id", *reversed(logs.column_names)])

    append(store, raw_of("evm_log", named))

    assert store.raw(CHAIN).table("evm_log", 1, 3).to_pylist() == logs.to_pylist()


def test_tips_are_the_last_values_by_block_and_ordinal_in_whatever_order_rows_come(store: Store) -> None:
    append(
        store, batch(1, 3, Rows(positions=[position(3, 30), position(2, 21, ordinal=7), position(2, 20, ordinal=3)]))
    )

    tips = store.state(CHAIN).positions(VENUE, [(OWNER, MARKET, Side.SUPPLY)])

    assert tips == {(OWNER, MARKET, Side.SUPPLY): 30}
    assert {(row[1], row[3]) for row in content(store)["position_change"]} == {(2, 3), (2, 7), (3, 0)}


def test_of_several_values_at_one_instant_the_last_one_given_is_kept(store: Store) -> None:
    rows = Rows(
        positions=[position(2, 5, ordinal=1), position(2, 6, ordinal=1)],
        markets=[
            market(2, "old", ordinal=1),
            market(2, "new", ordinal=1),
            market(2, "else", ordinal=1, aspect="terms"),
        ],
    )

    append(store, batch(1, 3, rows))

    assert [row[10] for row in content(store)["position_change"]] == [6]
    assert sorted(row[7] for row in content(store)["market_change"]) == ["else", "new"]
    assert store.state(CHAIN).markets(VENUE) == {(MARKET, "reserve"): "new", (MARKET, "terms"): "else"}


def test_state_answers_for_the_keys_that_were_asked_for_and_ever_changed(store: Store) -> None:
    other = digest(7)[:20]
    append(
        store,
        batch(
            1,
            3,
            Rows(
                positions=[position(2, 5), position(2, 9, owner=other), position(2, 3, side=Side.BORROW)],
                accounts=[setting(2, "true"), setting(2, "1", aspect="emode", market=b"")],
            ),
        ),
    )
    state = store.state(CHAIN)

    wanted = [(OWNER, MARKET, Side.SUPPLY), (OWNER, MARKET, Side.BORROW), (OWNER, b"\x01", Side.SUPPLY)]
    assert state.positions(VENUE, wanted) == {(OWNER, MARKET, Side.SUPPLY): 5, (OWNER, MARKET, Side.BORROW): 3}
    assert state.positions("other-venue", wanted) == {}
    assert state.positions(VENUE, []) == {}
    assert state.accounts(VENUE, [(OWNER, b"", "emode"), (other, MARKET, "collateral")]) == {(OWNER, b"", "emode"): "1"}
    assert state.accounts(VENUE, []) == {}


def test_chains_do_not_see_each_other(store: Store) -> None:
    append(store, batch(1, 3, Rows(positions=[position(2, 5)]), logs=[(2, 0)]))
    append(store, batch(1, 2, Rows(positions=[position(2, 8)]), logs=[(2, 0)], chain_id="eip155:1"))

    key = (OWNER, MARKET, Side.SUPPLY)
    assert store.chains() == ["eip155:1", CHAIN]
    assert store.state(CHAIN).positions(VENUE, [key]) == {key: 5}
    assert store.state("eip155:1").positions(VENUE, [key]) == {key: 8}
    assert store.raw("eip155:1").blocks(1, 9) == [block(1), block(2)]


def span(first: int, last: int, *, interest: str = "logs", evidence: str = "blooms") -> Covered:
    return Covered(interest=interest, first=first, last=last, level="proved", evidence=evidence)


def test_spans_that_touch_or_overlap_become_one_and_others_stay_apart(store: Store) -> None:
    append(store, batch(1, 9, covered=[span(1, 3), span(4, 6), span(5, 7), span(9, 9)]))
    append(store, batch(10, 12, covered=[span(10, 12), span(10, 12, interest="reads")]))
    append(store, batch(13, 14, covered=[span(13, 14, evidence="other")]))

    with store.reading() as reader:
        covered = reader.coverage(CHAIN)

    assert covered == [
        span(1, 7),
        span(9, 12),
        span(13, 14, evidence="other"),
        span(10, 12, interest="reads"),
    ]
