"""An account-based chain goes through the same steps: what was said, what is final, what a fold may look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pytest

from chains.identifiers import base58
from chains.model import AccountBytes, Rows, Side
from chains.ports import Batch
from chains.solana.span import LOOKED
from indexer.steps import Append
from indexer.store import NOTHING_FINAL, Cursor, StepRefused, Store
from indexer.store.reader import VenueLook
from tests.unit.store.builders import (
    CHAIN,
    MARKET,
    OWNER,
    VENUE,
    append,
    batch,
    content,
    digest,
    finalize,
    position,
    reads_table,
    rewind,
)
from tests.unit.store.slots import (
    ALICE,
    BOB,
    CLUSTER,
    SLOT_READ_SCHEMA,
    TOKEN_PROGRAM,
    account,
    accounts_table,
    closed,
    signature,
    slot_batch,
    slot_block,
    slot_reads_table,
    transactions_table,
)

KEY = (OWNER, MARKET, Side.SUPPLY)


def refused(store: Store, given: Batch, match: str) -> None:
    """The batch is refused in these words and changes nothing."""
    before = content(store)
    held = store.cursor(given.chain_id)
    with pytest.raises(StepRefused, match=match):
        store.apply(Append(parent=held.block if held else None, batch=given))
    assert content(store) == before


def raw_of(given: Batch, **tables: pa.Table) -> Batch:
    return dataclasses.replace(given, raw={**given.raw, **tables})


def slots(store: Store) -> list[int]:
    return [row[1] for row in content(store)["solana_block"]]


def test_a_batch_is_stored_as_said(store: Store) -> None:
    given = slot_batch(
        3,
        6,
        skipped={4},
        transactions=[(5, 2), (3, 0)],
        accounts=[(ALICE, account(5, b"\xaa", lamports=2**64 - 1)), (BOB, closed(6))],
        reads=[5],
    )

    append(store, given)
    found = content(store)

    assert found["solana_block"] == [
        (CLUSTER, 3, digest(3), digest(2), 2, 3, 1_001),
        (CLUSTER, 5, digest(5), digest(3), 3, 4, 1_002),
        (CLUSTER, 6, digest(6), digest(5), 5, 5, 1_003),
    ]
    assert found["solana_transaction"] == [
        (CLUSTER, 3, 0, signature(3, 0), digest(3), '{"meta":{"fee":3},"from":""}'),
        (CLUSTER, 5, 2, signature(5, 2), digest(5), '{"meta":{"fee":5},"from":""}'),
    ]
    assert found["solana_account"] == [
        (CLUSTER, 5, ALICE, TOKEN_PROGRAM, Decimal(18_446_744_073_709_551_615), b"\xaa", False),
        (CLUSTER, 6, BOB, b"", Decimal(0), b"", True),
    ]
    assert found["solana_read"] == [(CLUSTER, 5, "account", BOB, b"", 6, "returned", b"\x09")]
    assert found["evm_block"] == []
    assert store.cursor(CLUSTER) == Cursor(block=slot_block(6), finalized=NOTHING_FINAL)


def test_a_height_that_nobody_gave_is_unknown(store: Store) -> None:
    given = slot_batch(3, 3)
    unknown = given.raw["solana_block"].drop_columns(["height"]).append_column("height", pa.nulls(1, pa.int64()))

    append(store, raw_of(given, solana_block=unknown))

    assert content(store)["solana_block"][0][5] is None


def test_a_batch_may_leave_out_what_it_has_none_of(store: Store) -> None:
    given = slot_batch(3, 6)

    append(store, dataclasses.replace(given, raw={"solana_block": given.raw["solana_block"].slice(3)}))

    assert slots(store) == [6]


@pytest.mark.parametrize("kept", [slice(0, 0), slice(0, 2)])
def test_a_batch_without_its_last_block_is_refused(store: Store, kept: slice) -> None:
    given = slot_batch(3, 5)
    part = given.raw["solana_block"].slice(0, kept.stop)

    refused(
        store, raw_of(given, solana_block=part), f"ends with block 5 {base58(digest(5))}, and solana_block does not"
    )
    refused(store, dataclasses.replace(given, raw={}), "solana_block does not hold it; add its row")


def test_a_batch_whose_blocks_disagree_with_its_last_one_is_refused(store: Store) -> None:
    given = dataclasses.replace(slot_batch(3, 5), last=slot_block(5, fork="b", forked_at=5))

    refused(store, given, f"but its headers say {base58(digest(5))}; fetch it again")


def test_tables_of_another_kind_of_chain_are_refused(store: Store) -> None:
    refused(
        store,
        raw_of(slot_batch(3, 5), evm_read=reads_table([4])),
        "no raw table 'evm_read'; use one of solana_block, solana_transaction, solana_account, solana_read",
    )
    refused(store, raw_of(batch(1, 3), solana_read=slot_reads_table([2])), "use one of evm_block, evm_log, evm_read")


def test_what_is_there_twice_refuses_the_whole_batch(store: Store) -> None:
    given = slot_batch(3, 5)
    twice = [(ALICE, account(4, b"\x01")), (ALICE, account(4, b"\x02"))]

    refused(
        store,
        raw_of(given, solana_transaction=transactions_table([(4, 1), (4, 1)])),
        r"solana_transaction has \(slot, tx_index\) = \(4, 1\) twice",
    )
    refused(
        store,
        raw_of(given, solana_account=accounts_table(twice)),
        rf"solana_account has \(slot, address\) = \(4, {base58(ALICE)}\) twice",
    )


def test_a_question_asked_twice_is_one_row_and_two_answers_are_refused(store: Store) -> None:
    append(store, slot_batch(3, 5, reads=[4, 4]))
    contradiction = pa.concat_tables([slot_reads_table([6]), slot_reads_table([6], output=b"\x02")])

    assert len(content(store)["solana_read"]) == 1
    refused(store, raw_of(slot_batch(6, 7), solana_read=contradiction), f"= \\(6, account, {base58(BOB)}, \\) twice")


@pytest.mark.parametrize("slot", [2, 6])
def test_rows_of_slots_outside_the_batch_are_refused(store: Store, slot: int) -> None:
    refused(store, slot_batch(3, 5, transactions=[(slot, 0)]), "raw rows of solana_transaction reach from block")


def test_blocks_are_found_as_on_any_chain(store: Store) -> None:
    """Slot n has time 1000 + n / 2."""
    append(store, slot_batch(3, 9, skipped={5, 6}))
    append(store, batch(1, 9))

    assert store.window(CLUSTER) == [slot_block(slot, skipped={5, 6}) for slot in (3, 4, 7, 8, 9)]
    assert store.block(CLUSTER, 4) == slot_block(4)
    assert store.block(CLUSTER, 5) is None
    assert store.block_at_time(CLUSTER, 1_003) == slot_block(7, skipped={5, 6})
    assert store.block_at_time(CLUSTER, 1_002) == slot_block(4)


def test_raw_rows_come_back_as_said_in_chain_order(store: Store) -> None:
    append(store, slot_batch(3, 9, transactions=[(7, 1), (5, 0), (7, 0)], accounts=[(BOB, account(4, b"\x01"))]))
    raw = store.raw(CLUSTER)

    assert raw.table("solana_transaction", 5, 9).to_pylist() == transactions_table([(5, 0), (7, 0), (7, 1)]).to_pylist()
    assert raw.table("solana_account", 1, 9)["address"].to_pylist() == [BOB]
    assert raw.table("solana_account", 5, 9).num_rows == 0
    assert raw.blocks(4, 5) == [slot_block(4), slot_block(5)]


def test_counts_are_of_the_tables_of_its_kind(store: Store) -> None:
    append(store, slot_batch(3, 5, transactions=[(4, 0)], accounts=[(BOB, account(4, b"")), (ALICE, closed(5))]))

    with store.reading() as reader:
        counts = reader.counts(CLUSTER)

    assert counts == {
        "solana_block": 3,
        "solana_transaction": 1,
        "solana_account": 2,
        "solana_read": 0,
        "position_change": 0,
        "market_change": 0,
        "account_change": 0,
        "price_observation": 0,
        "lending_event": 0,
        "quarantine": 0,
    }


def test_final_blocks_stay_only_where_something_rests_on_them(store: Store) -> None:
    append(
        store,
        slot_batch(1, 9, transactions=[(2, 0)], accounts=[(ALICE, account(4, b"\x01"))], reads=[5], skipped={6}),
    )

    finalize(store, 6, CLUSTER)

    assert slots(store) == [2, 4, 5, 7, 8, 9]
    assert store.cursor(CLUSTER) == Cursor(block=slot_block(9), finalized=5)
    finalize(store, 8, CLUSTER)
    assert slots(store) == [2, 4, 5, 8, 9]


def looks_table(heads: Mapping[int, int]) -> pa.Table:
    """Looks at a venue, by the slot of each head that of its oldest answer."""
    rows = [
        {
            "slot": slot,
            "method": LOOKED,
            "address": BOB,
            "input": VENUE.encode(),
            "context_slot": oldest,
            "outcome": "observed",
            "output": b"",
        }
        for slot, oldest in heads.items()
    ]
    return pa.Table.from_pylist(rows, schema=SLOT_READ_SCHEMA)


def test_the_last_look_up_to_a_slot_says_how_old_accounts_are(store: Store) -> None:
    """Slot n has time 1000 + n / 2; 7 is skipped."""
    append(store, raw_of(slot_batch(1, 9, skipped={7}), solana_read=looks_table({4: 3, 9: 7})))

    with store.reading() as reader:
        found = {slot: reader.look(CLUSTER, slot, VENUE) for slot in (3, 4, 8, 9)}
        other = reader.look(CLUSTER, 9, "another")

    assert found == {3: None, 4: VenueLook(4, 3, 1001), 8: VenueLook(4, 3, 1001), 9: VenueLook(9, 7, 1003)}
    assert other is None


def test_of_final_looks_the_first_of_each_minute_stays_with_its_block(store: Store) -> None:
    append(
        store, raw_of(slot_batch(1, 400), solana_read=looks_table(dict.fromkeys((10, 20, 149, 150, 299, 300, 390), 5)))
    )

    finalize(store, 310, CLUSTER)
    assert [row[1] for row in content(store)["solana_read"]] == [10, 150, 300, 390]
    assert slots(store)[:4] == [10, 150, 300, 310]
    finalize(store, 400, CLUSTER)
    assert [row[1] for row in content(store)["solana_read"]] == [10, 150, 300]


def test_a_look_goes_with_its_fork(store: Store) -> None:
    append(store, raw_of(slot_batch(1, 9), solana_read=looks_table({4: 3, 9: 8})))

    rewind(store, 5, CLUSTER)

    with store.reading() as reader:
        assert reader.look(CLUSTER, 9, VENUE) == VenueLook(4, 3, 1001)


def test_finalizing_one_kind_of_chain_leaves_the_other(store: Store) -> None:
    append(store, slot_batch(1, 9))
    append(store, batch(1, 9))

    finalize(store, 8)
    assert slots(store) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    finalize(store, 8, CLUSTER)

    assert slots(store) == [8, 9]
    assert [row[1] for row in content(store)["evm_block"]] == [8, 9]


def test_a_rewind_restores_every_table(store: Store) -> None:
    append(store, batch(1, 9))
    append(
        store,
        slot_batch(1, 5, Rows(positions=[position(3, 7)]), transactions=[(3, 0)], accounts=[(ALICE, account(3, b"a"))]),
    )
    before = content(store)
    append(
        store,
        slot_batch(
            6,
            9,
            Rows(positions=[position(8, 9)]),
            skipped={7},
            transactions=[(8, 0)],
            accounts=[(ALICE, account(8, b"b")), (BOB, closed(9))],
            reads=[8],
        ),
    )

    rewind(store, 5, CLUSTER)

    assert content(store) == before
    assert store.state(CLUSTER).account_bytes([ALICE, BOB]) == {ALICE: account(3, b"a")}


def test_a_rewind_leads_to_a_block_and_not_to_an_empty_slot(store: Store) -> None:
    append(store, slot_batch(1, 9, skipped={5}))

    rewind(store, 4, CLUSTER)

    assert store.cursor(CLUSTER) == Cursor(block=slot_block(4), finalized=NOTHING_FINAL)


def test_an_account_is_what_was_stored_of_it_last(store: Store) -> None:
    append(store, slot_batch(1, 4, accounts=[(ALICE, account(4, b"new", lamports=2**64 - 1)), (BOB, account(2, b"b"))]))
    append(store, slot_batch(5, 9, accounts=[(BOB, closed(7)), (TOKEN_PROGRAM, account(8, b"code"))]))
    append(store, slot_batch(1, 9, accounts=[(ALICE, account(9, b"elsewhere"))], chain_id="solana:testnet"))
    state = store.state(CLUSTER)

    assert state.account_bytes([ALICE, BOB, b"\x09" * 32]) == {
        ALICE: AccountBytes(
            slot=4, owner=TOKEN_PROGRAM, lamports=18_446_744_073_709_551_615, data=b"new", closed=False
        ),
        BOB: AccountBytes(slot=7, owner=b"", lamports=0, data=b"", closed=True),
    }
    assert state.account_bytes([]) == {}


def test_a_rebuild_sees_no_later_account_than_what_is_derived(store: Store) -> None:
    seen = [(ALICE, account(2, b"a")), (ALICE, account(5, b"b")), (BOB, account(6, b"c"))]
    append(store, slot_batch(1, 9, Rows(positions=[position(5, 10)]), accounts=seen))

    with store.rebuilding(CLUSTER) as target:
        state = target.state
        assert state.account_bytes([ALICE, BOB]) == {}
        target.apply(slot_batch(1, 4))
        assert state.account_bytes([ALICE, BOB]) == {ALICE: account(2, b"a")}
        target.apply(slot_batch(5, 5, Rows(positions=[position(5, 11)])))
        assert state.account_bytes([ALICE, BOB]) == {ALICE: account(5, b"b")}
        target.apply(slot_batch(6, 9))
        assert state.account_bytes([ALICE, BOB]) == {ALICE: account(5, b"b"), BOB: account(6, b"c")}

    assert store.state(CLUSTER).positions(VENUE, [KEY]) == {KEY: 11}
    assert len(content(store)["solana_account"]) == 3


def test_blocks_are_named_as_their_chain_names_them(store: Store) -> None:
    append(store, slot_batch(1, 3))
    step = Append(parent=slot_block(2), batch=slot_batch(4, 5))

    with pytest.raises(
        StepRefused, match=f"built on block 2 {base58(digest(2))}, the store stands at block 3 {base58(digest(3))}"
    ):
        store.apply(step)
    assert store.cursor(CHAIN) is None
