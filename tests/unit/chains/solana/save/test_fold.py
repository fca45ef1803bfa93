"""Accounts into journals: what is written, what is not, and that no cut of a history changes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.identifiers import base58
from chains.model import END_OF_BLOCK, WHOLE_VENUE, AccountBytes, Basis, Rows, Side, VenueSpec
from chains.solana.ports import AccountProtocol
from chains.solana.save import adapter
from chains.solana.save.layout import NO_ORACLE, PROGRAM, Borrow, Deposit
from tests.support.save_accounts import (
    MARKET_ADDRESS,
    SLOT,
    SOL,
    SOL_PRICE,
    USDC,
    USDC_PRICE,
    WAD,
    gone,
    market,
    obligation,
    ours,
    pyth,
    reserve,
    seen_of,
    usdc,
)
from tests.support.save_runs import Journals, Seen, load, runs

ALICE, BOB = b"\xaa" * 32, b"\xbb" * 32
ACCOUNT, OTHER = b"\x0b" * 32, b"\x0c" * 32
RESERVES: list[Seen] = [(SOL, ours(reserve())), (USDC, ours(usdc()))]
SOL_MINT, USDC_MINT = b"\x10" * 32, b"\x20" * 32


def test_an_obligation_is_positions_and_one_setting_at_the_end_of_its_slot() -> None:
    held = obligation(ALICE, [Deposit(SOL, 7, 3)], [Borrow(USDC, 2 * WAD, 5 * WAD)])
    rows = journals().take([*RESERVES, (ACCOUNT, ours(held))])

    assert [(p.market, p.side, p.asset, p.amount_raw) for p in rows.positions] == [
        (SOL, Side.SUPPLY, SOL_MINT, 7),
        (USDC, Side.BORROW, USDC_MINT, 5 * WAD),
    ]
    (setting,) = rows.accounts
    assert (setting.unit_id, setting.owner, setting.market, setting.aspect) == (ACCOUNT, ALICE, b"", "obligation")
    assert json.loads(setting.state) == {
        "owner": "0x" + ALICE.hex(),
        "closeable": False,
        "deposits": ["0x" + SOL.hex()],
        "borrows": [["0x" + USDC.hex(), str(2 * WAD)]],
    }
    for written in (rows.positions, rows.accounts, rows.markets):
        assert {(row[0], row[1], row[2], row[-1]) for row in written} == {(SLOT, -1, END_OF_BLOCK, Basis.OBSERVED)}
    assert rows.events == []


def test_a_reserve_is_its_terms_and_what_it_has_stored() -> None:
    rows = journals().take([(SOL, ours(reserve(extra_oracle=b"\xe0" * 32, attributed_borrow_limit_close=0)))])
    terms, pool = (json.loads(row.state) for row in rows.markets)

    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL, "terms"), (SOL, "reserve")]
    told = {"asset": "0x" + SOL_MINT.hex(), "symbol": None, "decimals": 9, "ltv": 7_500, "liquidation_threshold": 8_000}
    assert told.items() <= terms.items()  # by these names public views know a market
    assert (terms["pyth"], terms["switchboard"], terms["extra"]) == ("0x" + SOL_PRICE.hex(), None, "0x" + "e0" * 32)
    assert terms["close_limit"] == str(2**64 - 1)  # what older versions left empty has no limit
    assert pool == {
        "slot": SLOT,
        "available": str(10**12),
        "borrowed": "0",
        "rate": str(WAD),
        "supply": str(10**12),
        "fees": "0",
        "smoothed": str(100 * WAD),
        "attributed": "0",
    }


def test_only_what_changed_is_written() -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0), Deposit(USDC, 9, 0)])))])
    known.take([(SOL_PRICE, pyth(1))])

    again = known.take([(SOL, ours(reserve(), SLOT + 1)), (SOL_PRICE, pyth(1)._replace(slot=SLOT + 1))])
    assert len(again) == 0
    rows = known.take([(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0), Deposit(USDC, 8, 0)]), SLOT + 1))])
    assert [(p.market, p.amount_raw) for p in rows.positions] == [(USDC, 8)]
    assert rows.accounts == []
    rows = known.take([(USDC, ours(usdc(available_amount=1), SLOT + 2))])
    assert [(m.market, m.aspect) for m in rows.markets] == [(USDC, "reserve")]


def test_what_an_obligation_no_longer_has_is_zero() -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)], [Borrow(USDC, WAD, WAD)])))])
    rows = known.take([(ACCOUNT, ours(obligation(ALICE, [Deposit(USDC, 1, 0)]), SLOT + 1))])

    assert {(p.market, p.side): p.amount_raw for p in rows.positions} == {
        (USDC, Side.SUPPLY): 1,
        (SOL, Side.SUPPLY): 0,
        (USDC, Side.BORROW): 0,
    }


def test_a_closed_account_takes_its_amounts_to_zero() -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)], [Borrow(USDC, WAD, WAD)])))])
    rows = known.take([(ACCOUNT, gone(SLOT + 1)), (OTHER, gone(SLOT + 1))])

    assert [p.amount_raw for p in rows.positions] == [0, 0]
    assert {p.owner for p in rows.positions} == {ALICE}
    (setting,) = rows.accounts
    assert json.loads(setting.state)["deposits"] == json.loads(setting.state)["borrows"] == []
    assert [event.kind for event in rows.events] == ["withdraw", "repay"]
    assert rows.markets == []


def test_an_amount_of_too_many_digits_is_kept_in_the_setting_and_comes_back() -> None:
    wide = 10**38
    known = journals()
    rows = known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [], [Borrow(USDC, WAD, wide)])))])
    assert rows.positions[0].amount_raw == wide
    assert json.loads(rows.accounts[0].state)["borrows"] == [["0x" + USDC.hex(), str(WAD), str(wide)]]

    assert len(known.take([(ACCOUNT, ours(obligation(ALICE, [], [Borrow(USDC, WAD, wide)]), SLOT + 1))])) == 0
    rows = known.take([(ACCOUNT, ours(obligation(ALICE, [], [Borrow(USDC, WAD, wide - 1)]), SLOT + 2))])
    assert rows.positions[0].amount_raw == wide - 1
    assert json.loads(rows.accounts[0].state)["borrows"] == [["0x" + USDC.hex(), str(WAD)]]


def test_debt_that_is_attributed_to_deposits_is_kept_while_it_decides_something() -> None:
    rows = journals().take([(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 3)], closeable=1)))])

    assert json.loads(rows.accounts[0].state)["attributed"] == ["3"]


@pytest.mark.parametrize(
    "data, reason",
    [
        (obligation(ALICE) + b"\0", "unknown_account"),
        (obligation(ALICE)[:202] + b"\x0b\x00" + bytes(1096), "malformed_account:obligation"),
    ],
)
def test_an_obligation_that_cannot_be_read_any_more_is_in_doubt_and_keeps_its_amounts(data: bytes, reason: str) -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)])))])
    rows = known.take([(ACCOUNT, ours(data, SLOT + 1))])

    assert [(row.reason, row.word) for row in rows.quarantined] == [(reason, data)]
    assert "problem" in json.loads(rows.accounts[0].state)
    assert rows.positions == []
    rows = known.take([(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)]), SLOT + 2))])
    assert "problem" not in json.loads(rows.accounts[0].state)


def test_an_obligation_that_could_never_be_read_is_its_owners_doubt() -> None:
    data = obligation(ALICE)[:202] + b"\x0b\x00" + bytes(1096)
    known = journals()
    rows = known.take([(ACCOUNT, ours(data)), (OTHER, ours(data + b"\0"))])

    assert [(row.unit_id, row.owner) for row in rows.accounts] == [(ACCOUNT, ALICE)]
    assert len(rows.quarantined) == 2


def test_a_new_owner_has_all_that_the_old_one_had() -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)])))])
    rows = known.take([(ACCOUNT, ours(obligation(BOB, [Deposit(SOL, 7, 0)]), SLOT + 1))])

    assert [(p.owner, p.amount_raw) for p in rows.positions] == [(BOB, 7)]


def test_what_changed_between_two_looks_is_told_without_interest() -> None:
    known = journals()
    grown = usdc(cumulative_borrow_rate_wads=11 * WAD // 10)
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 70, 0)], [Borrow(USDC, WAD, 100 * WAD)])))])
    more = obligation(ALICE, [Deposit(SOL, 50, 0)], [Borrow(USDC, 11 * WAD // 10, 115 * WAD)])
    rows = known.take([(USDC, ours(grown, SLOT + 1)), (ACCOUNT, ours(more, SLOT + 1))])

    assert [(e.kind, e.market, e.asset, e.owner, e.amount_raw) for e in rows.events] == [
        ("withdraw", SOL, SOL_MINT, ALICE, 20),
        ("borrow", USDC, USDC_MINT, ALICE, 5),  # 115 less 100 · 1.1
    ]
    assert json.loads(rows.events[0].extra) == {
        "observed": True,
        "account": base58(ACCOUNT),
        "collateral_raw": "20",
        "change_raw": "-20",
    }
    assert json.loads(rows.events[1].extra) == {"observed": True, "account": base58(ACCOUNT)}
    rows = known.take([(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 50, 0)]), SLOT + 2))])
    assert [(e.kind, e.amount_raw) for e in rows.events] == [("repay", 115)]


def test_interest_alone_is_no_event() -> None:
    known = journals()
    known.take([*RESERVES, (ACCOUNT, ours(obligation(ALICE, [], [Borrow(USDC, WAD, 100 * WAD)])))])
    later = obligation(ALICE, [], [Borrow(USDC, 11 * WAD // 10, 110 * WAD - 3)])
    rows = known.take([(ACCOUNT, ours(later, SLOT + 1))])

    assert len(rows.positions) == 1
    assert rows.events == []


def test_the_venue_asks_for_its_market_its_accounts_and_the_oracles_that_reserves_name() -> None:
    known = journals()
    save = adapter(known.venue)
    assert isinstance(save, AccountProtocol)
    assert save.venue is known.venue
    (accounts,) = save.sets
    assert (accounts.program, accounts.size, accounts.holding) == (PROGRAM, None, ((10, MARKET_ADDRESS),))
    assert set(save.others(known.tips)) == {MARKET_ADDRESS}

    extra = reserve(extra_oracle=b"\xe0" * 32, switchboard_oracle=b"\xfe" * 32)
    known.take([(SOL, ours(extra)), (USDC, ours(usdc(pyth_oracle=NO_ORACLE)))])
    assert set(save.others(known.tips)) == {MARKET_ADDRESS, SOL_PRICE, b"\xe0" * 32, b"\xfe" * 32}


@pytest.mark.parametrize(
    "account",
    [gone(), seen_of(b"\x06" * 32, market()), ours(reserve()), ours(b"\x02" + market()[1:])],
    ids=["gone", "of another program", "a reserve", "of another version"],
)
def test_what_is_no_lending_market_is_named_until_there_is_one(account: AccountBytes) -> None:
    known = journals()
    assert len(known.take([(MARKET_ADDRESS, ours(market()))])) == 0

    (row,) = known.take([(MARKET_ADDRESS, account._replace(slot=SLOT + 1))]).markets
    assert (row.market, row.aspect) == (WHOLE_VENUE, "lending_market")
    assert "is no lending market of Save" in json.loads(row.state)["problem"]

    (row,) = known.take([(MARKET_ADDRESS, ours(market())._replace(slot=SLOT + 2))]).markets
    assert json.loads(row.state) == {"problem": None}


def test_a_price_account_that_is_gone_has_no_price_and_others_that_are_gone_are_nothing() -> None:
    known = journals()
    known.take([*RESERVES, (SOL_PRICE, pyth(1))])
    rows = known.take([(SOL_PRICE, gone(SLOT + 1)), (USDC_PRICE, gone(SLOT + 1)), (b"\x99" * 32, gone(SLOT + 1))])

    assert {(m.market, json.loads(m.state)["kind"]) for m in rows.markets} == {(SOL_PRICE, None), (USDC_PRICE, None)}


def test_a_reserve_counts_in_the_slot_that_it_is_first_seen_in_whatever_the_order() -> None:
    seen = [(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 7, 0)]))), *RESERVES]

    assert [p.asset for p in journals().take(seen).positions] == [SOL_MINT]


@settings(max_examples=12, deadline=None)
@given(cuts=st.sets(st.integers(0, 32), max_size=8))
def test_a_recorded_history_gives_the_same_rows_in_any_cut(cuts: set[int]) -> None:
    run = load(runs()["golden/case-101"])
    looks = [changed for _, changed in run.looks()]
    whole = Journals(run.venue())
    for _, together in groupby(looks, key=slot_of):  # looks at one slot are one look
        whole.take([seen for changed in together for seen in changed])
    slots = [list(group) for _, group in groupby(looks, key=slot_of)]
    pieces = [*sorted(cut for cut in cuts if cut < len(slots)), len(slots)]
    cut_so = Journals(run.venue())
    for first, last in zip([0, *pieces], pieces, strict=False):
        cut_so.take([seen for group in slots[first:last] for changed in group for seen in changed])

    assert rows_of(cut_so.rows) == rows_of(whole.rows)
    assert len(whole.rows) > 200


def test_whoever_has_an_obligation_next_has_nothing_of_what_was_there_before() -> None:
    """What the owner before had, and the next one has not, is nothing from then on, in any cut."""
    first = obligation(ALICE, [Deposit(SOL, 5, 0), Deposit(USDC, 7, 0)], [])
    second = obligation(BOB, [Deposit(SOL, 0, 0)], [])
    looks = [(ACCOUNT, ours(data)._replace(slot=SLOT + place)) for place, data in enumerate((first, second))]
    whole, apart = journals(), journals()
    whole.take(looks)
    for look in looks:
        apart.take([look])

    last = {(row.market, row.side): (row.owner, row.amount_raw) for row in whole.rows.positions}
    assert last == {(SOL, Side.SUPPLY): (BOB, 0), (USDC, Side.SUPPLY): (BOB, 0)}
    assert rows_of(apart.rows) == rows_of(whole.rows)


DEPOSITS = st.lists(st.builds(Deposit, st.sampled_from([SOL, USDC]), st.integers(0, 3), st.just(0)), max_size=2)
BORROWS = st.lists(
    st.builds(Borrow, st.sampled_from([SOL, USDC]), st.just(WAD), st.sampled_from([0, 1, 2 * 10**38])), max_size=2
)
OBLIGATIONS = st.builds(obligation, st.sampled_from([ALICE, BOB]), DEPOSITS, BORROWS, closeable=st.integers(0, 2)).map(
    ours
)
LOOKS = st.one_of(
    st.tuples(st.sampled_from([ACCOUNT, OTHER]), st.one_of(OBLIGATIONS, st.just(gone()), st.just(ours(b"\x01" * 50)))),
    st.tuples(
        st.sampled_from([SOL, USDC]), st.sampled_from([ours(reserve()), ours(usdc()), gone(), ours(reserve() + b"\0")])
    ),
    st.tuples(st.sampled_from([SOL_PRICE, USDC_PRICE]), st.sampled_from([pyth(1), pyth(2), gone()])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LOOKS, st.booleans()), max_size=12))
def test_any_history_gives_the_same_rows_in_any_cut(history: list[tuple[Seen, bool]]) -> None:
    seen = [(address, account._replace(slot=SLOT + i)) for i, ((address, account), _) in enumerate(history)]
    whole, cut_so = journals(), journals()
    whole.take(seen)
    piece: list[Seen] = []
    for each, (_, cut) in zip(seen, history, strict=True):
        piece.append(each)
        if cut:
            cut_so.take(piece)
            piece = []
    cut_so.take(piece)

    assert rows_of(cut_so.rows) == rows_of(whole.rows)
    assert (cut_so.tips.aspects, cut_so.tips.settings) == (whole.tips.aspects, whole.tips.settings)


def slot_of(changed: Sequence[Seen]) -> int:
    return changed[0][1].slot if changed else 0


def rows_of(rows: Rows) -> tuple[object, ...]:
    return rows.positions, rows.markets, rows.accounts, rows.events, rows.quarantined


def journals() -> Journals:
    venue = VenueSpec(id="save", protocol="save", chain_id="solana:test", address=MARKET_ADDRESS, start_block=0)
    return Journals(venue)
