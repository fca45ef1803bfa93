"""Accounts into journals: what is written and what is not, what is refused, and what changes between two looks."""

from __future__ import annotations

import json
from typing import Any

from chains.identifiers import base58
from chains.model import END_OF_BLOCK, WHOLE_VENUE, AccountBytes, Basis, LendingEvent, PositionChange, Rows, Side
from chains.solana.marginfi import Marginfi
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.layout import ACCOUNT, BANK
from chains.solana.oracles.pyth.push import push_address
from tests.support.marginfi_runs import Journals
from tests.unit.chains.solana.builders import OTHER_PROGRAM
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    ANNS,
    BOB,
    BOBS,
    FEED,
    GROUP_KEY,
    JTO,
    JTO_MINT,
    JTO_PRICE,
    PROGRAM_ID,
    SLOT,
    SOL,
    SOL_MINT,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    balance,
    bank,
    bits,
    encoded,
    group,
    member,
    price_seen,
    pyth,
    seen,
    switchboard,
    venue,
)

ENGINE = "marginfi-0.1.7"


def journals() -> Journals:
    """A group with two banks, as first seen."""
    found = Journals(venue())
    found.fold(
        [
            (GROUP_KEY, seen(group())),
            (SOL, seen(bank())),
            (USDC, seen(bank(USDC_MINT, asset_share_value=2 * ONE, liability_share_value=3 * ONE))),
        ]
    )
    return found


def later(data: bytes | None, slot: int = SLOT + 1, **changes: Any) -> AccountBytes:
    return seen(data, slot=slot, **changes)


def amounts(rows: Rows) -> dict[tuple[bytes, bytes, Side], int]:
    return {(row.unit_id, row.market, row.side): row.amount_raw for row in rows.positions}


def test_a_members_balances_are_positions_of_shares_in_its_banks() -> None:
    rows = journals().fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(USDC, owed=7))))])

    place = (SLOT, -1, END_OF_BLOCK, "mrgn", ANNS, ANN)
    assert rows.positions == [
        PositionChange(*place, SOL, Side.SUPPLY, SOL_MINT, 5 * ONE, ENGINE, Basis.OBSERVED),
        PositionChange(*place, USDC, Side.BORROW, USDC_MINT, 7 * ONE, ENGINE, Basis.OBSERVED),
    ]
    (setting,) = rows.accounts
    assert (setting.unit_id, setting.owner, setting.market, setting.aspect) == (ANNS, ANN, WHOLE_VENUE, "account")
    assert json.loads(setting.state) == {
        "authority": "0x" + ANN.hex(),
        "banks": ["0x" + SOL.hex(), "0x" + USDC.hex()],
        "flags": "0x0000000000000000",
        "version": "0x00",
    }


def test_what_a_unit_holds_when_it_is_first_seen_is_no_event() -> None:
    assert journals().fold([(ANNS, seen(member(ANN, balance(SOL, held=5))))]).events == []


def test_only_what_changed_is_written() -> None:
    found = journals()
    account = member(ANN, balance(SOL, held=5), balance(USDC, owed=7))
    found.fold([(ANNS, seen(account))])

    assert found.fold([(ANNS, later(account)), (SOL, later(bank()))]) == Rows()
    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=5), balance(USDC, owed=8))))])
    assert amounts(rows) == {(ANNS, USDC, Side.BORROW): 8 * ONE}
    assert rows.accounts == []


def test_changes_between_two_looks_are_events_in_tokens() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(USDC, owed=7))))])

    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=3), balance(USDC, owed=9))))])

    place = SLOT + 1, -1, END_OF_BLOCK, b"", "mrgn"
    rest = [f'{{"account":"{base58(ANNS)}","change_raw":"{change * ONE}","observed":true}}' for change in (-2, 2)]
    assert rows.events == [
        LendingEvent(*place, "withdraw", SOL, ANN, None, SOL_MINT, 2, rest[0], Basis.OBSERVED),
        LendingEvent(
            *place, "borrow", USDC, ANN, None, USDC_MINT, 6, rest[1], Basis.OBSERVED
        ),  # two shares of three tokens
    ]
    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=4), balance(USDC, owed=8)), SLOT + 2))])
    assert [(row.kind, row.amount_raw) for row in rows.events] == [("supply", 1), ("repay", 3)]


def test_a_balance_that_is_closed_takes_its_amounts_to_zero() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(USDC, owed=7))))])

    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=5), balance(USDC, owed=7, active=0))))])

    assert amounts(rows) == {(ANNS, USDC, Side.BORROW): 0}
    assert json.loads(rows.accounts[0].state)["banks"] == ["0x" + SOL.hex()]


def test_an_account_that_is_gone_holds_nothing() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(USDC, owed=7))))])

    rows = found.fold([(ANNS, later(None))])

    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): 0, (ANNS, USDC, Side.BORROW): 0}
    assert {row.owner for row in rows.positions} == {ANN}
    assert found.fold([(ANNS, later(None, SLOT + 2))]) == Rows()


def test_an_account_that_was_never_seen_and_is_not_there_is_nothing() -> None:
    assert journals().fold([(ANNS, seen(None))]) == Rows()


def test_an_account_with_another_authority_is_written_again_as_its_own() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(USDC, owed=7))))])

    rows = found.fold([(ANNS, later(member(BOB, balance(SOL, held=5), balance(USDC, owed=7))))])

    assert {row.owner for row in (*rows.positions, *rows.accounts)} == {BOB}  # type: ignore[attr-defined]
    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): 5 * ONE, (ANNS, USDC, Side.BORROW): 7 * ONE}
    assert rows.events == []


def test_banks_are_read_before_accounts_whatever_the_order_of_the_answer() -> None:
    found = journals()
    rows = found.fold([(ANNS, later(member(ANN, balance(JTO, held=1)))), (JTO, later(bank(JTO_MINT, JTO_PRICE)))])

    assert [row.asset for row in rows.positions] == [JTO_MINT]


def test_a_position_in_a_bank_that_nobody_read_has_no_token_yet() -> None:
    rows = journals().fold([(ANNS, seen(member(ANN, balance(JTO, held=1))))])

    assert [(row.market, row.asset) for row in rows.positions] == [(JTO, b"")]


def test_a_bank_is_its_terms_and_its_totals_apart() -> None:
    found = journals()
    rows = found.fold([(SOL, later(bank(asset_share_value=ONE + 1)))])

    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL, "totals")]
    assert json.loads(rows.markets[0].state)["asset_share_value"] == str(ONE + 1)
    rows = found.fold([(SOL, later(bank(asset_share_value=ONE + 1, asset_weight_init=bits(0.5)), SLOT + 2))])
    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL, "terms")]


def test_terms_name_the_token_and_keep_wide_numbers_as_text() -> None:
    told = json.loads(journals().tips.aspects[SOL, "terms"])

    assert (told["asset"], told["decimals"], told["symbol"]) == ("0x" + SOL_MINT.hex(), 9, None)
    assert (told["ltv"], told["liquidation_threshold"]) == (7500, 8750)
    assert told["asset_weight_init"] == str(bits(0.75))
    assert told["oracle_keys"] == [base58(SOL_PRICE)]


def test_isolated_deposits_have_no_threshold() -> None:
    found = Journals(venue())
    found.fold([(SOL, seen(bank(risk_tier=1)))])
    told = json.loads(found.tips.aspects[SOL, "terms"])

    assert (told["ltv"], told["liquidation_threshold"]) == (0, 0)


def test_an_account_of_another_size_is_set_aside_and_its_unit_is_in_doubt() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN, balance(SOL, held=5))))])
    longer = member(ANN, balance(SOL, held=6)) + b"\0"

    rows = found.fold([(ANNS, later(longer))])

    (kept,) = rows.quarantined
    assert (kept.reason, kept.word) == ("the account has 2313 bytes, a MarginfiAccount has 2312", longer)
    assert rows.positions == []
    assert json.loads(rows.accounts[0].state)["problem"] == kept.reason
    rows = found.fold([(ANNS, later(member(ANN, balance(USDC, owed=6)), SLOT + 2))])
    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): 0, (ANNS, USDC, Side.BORROW): 6 * ONE}


def test_an_account_of_another_group_is_set_aside() -> None:
    rows = journals().fold([(ANNS, seen(member(ANN, balance(SOL, held=5), group=b"\x77" * 32)))])

    assert [row.reason for row in rows.quarantined] == [f"the account is of group {base58(bytes([0x77]) * 32)}"]
    assert rows.positions == []


def test_two_balances_of_one_bank_are_not_added_up() -> None:
    rows = journals().fold([(ANNS, seen(member(ANN, balance(SOL, held=5), balance(SOL, owed=5))))])

    assert [row.reason for row in rows.quarantined] == ["the account has two balances of one bank"]
    assert rows.positions == []


def test_shares_of_more_than_38_digits_are_kept_as_text() -> None:
    found = journals()
    huge = {"active": 1, "bank_pk": SOL, "asset_shares": 10**38}

    rows = found.fold([(ANNS, seen(member(ANN, huge)))])

    assert rows.positions == []
    assert [(row.reason, row.word) for row in rows.quarantined] == [
        ("amount_too_wide:supply", (10**38).to_bytes(16, "little", signed=True))
    ]
    wide = {(row.market, row.aspect): row.state for row in rows.accounts}
    assert wide[SOL, "wide_amount:supply"] == '"100000000000000000000000000000000000000"'

    rows = found.fold([(ANNS, later(member(ANN, {**huge, "asset_shares": 10**38 - 1})))])
    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): 10**38 - 1}
    assert {(row.market, row.aspect): row.state for row in rows.accounts}[SOL, "wide_amount:supply"] == "null"


def test_an_event_of_more_than_38_digits_is_kept_as_text() -> None:
    found = journals()
    found.fold([(SOL, later(bank(asset_share_value=2**126))), (ANNS, later(member(ANN)))])

    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=2**50)), SLOT + 2))])

    assert rows.events == []
    assert [(row.reason, row.word) for row in rows.quarantined] == [
        ("event_too_wide:supply", str(2**50 * 2**126 >> 48).encode())
    ]
    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): 2**98}


def test_a_change_in_a_bank_that_nobody_read_is_no_event() -> None:
    found = journals()
    found.fold([(ANNS, seen(member(ANN)))])

    rows = found.fold([(ANNS, later(member(ANN, balance(JTO, held=1))))])

    assert rows.events == []
    assert amounts(rows) == {(ANNS, JTO, Side.SUPPLY): ONE}


def test_a_change_of_a_position_in_another_protocol_is_no_event_in_tokens() -> None:
    found = journals()
    found.fold([(SOL, later(bank(asset_tag=3))), (ANNS, later(member(ANN)))])

    rows = found.fold([(ANNS, later(member(ANN, balance(SOL, held=1)), SLOT + 2))])

    assert rows.events == []
    assert amounts(rows) == {(ANNS, SOL, Side.SUPPLY): ONE}


def test_a_bank_that_is_gone_or_is_no_bank_any_more_is_a_problem() -> None:
    found = journals()
    rows = found.fold([(SOL, later(None)), (USDC, later(bank(USDC_MINT) + b"\0"))])

    states = {row.market: json.loads(row.state) for row in rows.markets}
    assert states[SOL] == {"problem": "there is no account at this address"}
    assert states[USDC] == {"problem": "the account has 1865 bytes, a Bank has 1864"}
    assert [row.reason for row in rows.quarantined] == [f"bank_unreadable:{base58(USDC)}"]


def test_prices_are_kept_in_the_words_of_their_oracle() -> None:
    found = journals()
    other = b"\xa5" * 32
    rows = found.fold([(SOL_PRICE, price_seen(pyth(7, confidence=2))), (other, price_seen(switchboard(9, 3)))])

    states = {row.market: json.loads(row.state) for row in rows.markets}
    assert (states[SOL_PRICE]["kind"], states[SOL_PRICE]["price"], states[SOL_PRICE]["confidence"]) == (
        "pyth",
        "7",
        "2",
    )
    assert (states[other]["kind"], states[other]["value"], states[other]["std_dev"]) == ("switchboard", "9", "3")
    assert found.fold([(SOL_PRICE, price_seen(pyth(7, confidence=2), SLOT + 1))]) == Rows()


def test_a_price_account_that_is_gone_or_of_another_program_is_a_problem() -> None:
    found = journals()
    rows = found.fold([(SOL_PRICE, seen(None))])
    assert json.loads(rows.markets[0].state) == {"problem": "there is no account at this address"}
    rows = found.fold([(SOL_PRICE, later(bytes(9), owner=OTHER_PROGRAM))])
    assert "no oracle known here" in json.loads(rows.markets[0].state)["problem"]


def test_an_account_that_nobody_named_is_set_aside() -> None:
    stranger = b"\xee" * 32
    rows = journals().fold([(stranger, seen(b"abc", owner=OTHER_PROGRAM)), (b"\xef" * 32, seen(b"12345678"))])

    assert [row.reason for row in rows.quarantined] == [
        f"unknown_account:{base58(bytes([0xEF]) * 32)}",
        f"unknown_account:{base58(stranger)}",
    ]


def test_a_group_that_is_no_group_is_a_problem() -> None:
    found = Journals(venue())
    rows = found.fold([(GROUP_KEY, seen(group()[:-1]))])

    assert json.loads(rows.markets[0].state) == {"problem": "the account has 1063 bytes, a MarginfiGroup has 1064"}
    assert [row.reason for row in rows.quarantined] == ["group_unreadable"]


def test_the_highest_mark_of_the_program_is_kept() -> None:
    found = journals()
    for version, kept in ((3, ['"3"']), (2, []), (5, ['"5"'])):
        rows = found.fold([(ANNS, later(member(ANN, program_version=version), SLOT + version))])
        assert [row.state for row in rows.markets if row.aspect == "program"] == kept


def test_a_member_that_was_seen_in_two_slots_of_one_fold_is_written_twice() -> None:
    rows = journals().fold(
        [(ANNS, seen(member(ANN, balance(SOL, held=5)))), (ANNS, later(member(ANN, balance(SOL, held=6))))]
    )

    assert [(row.block, row.amount_raw) for row in rows.positions] == [(SLOT, 5 * ONE), (SLOT + 1, 6 * ONE)]
    assert [row.kind for row in rows.events] == ["supply"]


def test_the_venue_is_its_banks_and_accounts_of_any_size_and_the_accounts_that_banks_name() -> None:
    protocol = Marginfi(venue(price_accounts=[base58(BOBS)]))
    banks, accounts = protocol.sets
    found = journals()

    assert (banks.program, banks.size, banks.holding) == (PROGRAM_ID, None, ((0, BANK.discriminator), (41, GROUP_KEY)))
    assert (accounts.size, accounts.holding) == (None, ((0, ACCOUNT.discriminator), (8, GROUP_KEY)))
    assert set(protocol.others(found.tips)) == {GROUP_KEY, SOL_PRICE, BOBS}


def test_a_bank_that_names_a_feed_is_served_by_both_shards_of_the_push_program() -> None:
    found = journals()
    found.fold([(JTO, later(bank(JTO_MINT, FEED, config_flags=0)))])

    others = set(Marginfi(venue()).others(found.tips))

    assert {push_address(0, FEED), push_address(3301, FEED)} <= others
    assert FEED not in others


def test_banks_without_a_price_that_is_read_here_name_no_account() -> None:
    found = Journals(venue())
    found.fold([(SOL, seen(bank(oracle_setup=8))), (USDC, seen(bank(USDC_MINT, oracle_setup=5)))])

    assert set(Marginfi(venue()).others(found.tips)) == {GROUP_KEY}


def test_the_same_bytes_of_a_bank_of_another_program_are_no_bank() -> None:
    rows = journals().fold([(JTO, seen(encoded(BANK, group=GROUP_KEY), owner=OTHER_PROGRAM))])

    assert [row.reason for row in rows.quarantined] == [f"unknown_account:{base58(JTO)}"]
    assert rows.markets == []
