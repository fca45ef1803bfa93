"""Accounts into journals: whose a position is, what it holds and owes, what became of it between two looks."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, AccountBytes, Rows, Side
from chains.solana.jupiter_lend import JupiterLend
from chains.solana.jupiter_lend.fold import reserve_address
from chains.solana.jupiter_lend.layout import ORACLES, POSITION
from chains.solana.jupiter_lend.oracle import CLOCK
from chains.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from tests.support.jupiter_accounts import (
    COLLATERAL,
    FEED_KEY,
    LOAN,
    ORACLE_KEY,
    PROGRAM,
    VENUE,
    Accounts,
    Journals,
    Setting,
    account,
    accounts_of,
    derived,
    gone,
    number,
    oracle,
    position_address,
    position_mint,
    token_account,
)
from tests.support.jupiter_crowd import Crowd
from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import RATE

ALICE, BOB = b"\xa1" * 32, b"\xb0" * 32
HER_TOKENS, HIS_TOKENS = b"\xaa" * 32, b"\xbb" * 32
RATE_NOW = 150 * RATE
SETTING = Setting()
MARKET = derived("vault_config", number(7, 2))
FIRST, MINT = position_address(7, 1), position_mint(7, 1)


def lent(debt: int = 100 * 10**9) -> ModelVault:
    """A vault with one position: one collateral token, and a debt."""
    vault = ModelVault()
    vault.operate(vault.open(), 10**9, debt, RATE_NOW)
    return vault


def amounts(journals: Journals, unit: bytes = FIRST) -> dict[Side, int]:
    return {side: held for (_, side), held in journals.unit(unit).positions.items()}


def told(journals: Journals, unit: bytes = FIRST) -> dict[str, object]:
    return dict(json.loads(journals.tips.settings[unit, WHOLE_VENUE, "position"]))


def test_all_accounts_of_a_vault_are_one_set_and_all_oracles_another() -> None:
    some, oracles = JupiterLend(VENUE).sets
    everything, _ = JupiterLend(replace(VENUE, options={})).sets

    assert (some.program, some.size, some.holding) == (PROGRAM, None, ((8, b"\7\0"),))
    assert (everything.program, everything.size, everything.holding) == (PROGRAM, None, ())
    assert oracles.program == ORACLES
    assert all(some.has(each) for each in accounts_of(lent(), SETTING, 5).values() if each.owner == PROGRAM)


def test_a_vault_names_its_reserves_and_what_its_oracle_names() -> None:
    journals = Journals()
    journals.fold(accounts_of(lent(), SETTING, 5))

    protocol = JupiterLend(VENUE)
    reserves = {reserve_address(mint) for mint in (COLLATERAL, LOAN)}
    assert set(protocol.others(journals.tips)) == {*reserves, FEED_KEY}

    journals.fold({ORACLE_KEY: oracle([(FEED_KEY, False, 0), (b"\x99" * 32, False, 1)], 6)})
    assert set(protocol.others(journals.tips)) == {*reserves, FEED_KEY, b"\x99" * 32, CLOCK}


def test_supply_and_debt_stand_in_markets_of_their_tokens() -> None:
    journals = Journals()
    rows = journals.fold(accounts_of(lent(), SETTING, 5))

    held = {row.side: row for row in rows.positions}
    assert (held[Side.SUPPLY].market, held[Side.SUPPLY].asset) == (MARKET + COLLATERAL, COLLATERAL)
    assert (held[Side.BORROW].market, held[Side.BORROW].asset) == (MARKET, LOAN)
    assert held[Side.SUPPLY].amount_raw == 10**9
    # what the program adds to any debt: a billionth, a unit, and one more for rounding the tick's part up
    assert 100 * 10**9 + 101 <= held[Side.BORROW].amount_raw <= 100 * 10**9 + 101 + 2 * 150
    assert json.loads(journals.tips.aspects[LOAN, "token"]) == {"symbol": None, "decimals": 6}
    params = json.loads(journals.tips.aspects[MARKET, "params"])
    assert (params["loan_token"], params["collateral_token"]) == (f"0x{LOAN.hex()}", f"0x{COLLATERAL.hex()}")
    assert params["lltv"] == str(850 * 10**15)
    terms = json.loads(journals.tips.aspects[MARKET, "terms"])
    assert (terms["ltv"], terms["liquidation_threshold"], terms["liquidation_bonus"]) == (8000, 8500, 10_100)


# Owners


def test_until_its_holder_is_known_a_positions_token_stands_for_it_and_is_sought() -> None:
    journals = Journals()
    journals.fold(accounts_of(lent(), SETTING, 5))

    sought = JupiterLend(VENUE).sought(journals.tips)
    assert journals.owners[FIRST] == MINT
    assert [(wanted.program, wanted.size) for wanted in sought] == [(TOKEN_PROGRAM, 165), (TOKEN_2022_PROGRAM, None)]
    assert sought[0].has(token_account(MINT, ALICE, 1, 6))
    assert not sought[0].has(token_account(MINT, ALICE, 0, 6))
    assert not sought[0].has(token_account(position_mint(7, 2), ALICE, 1, 6))


def test_the_holder_of_a_positions_token_is_its_owner() -> None:
    journals, protocol = Journals(), JupiterLend(VENUE)
    journals.fold(accounts_of(lent(), SETTING, 5))
    rows = journals.fold({HER_TOKENS: token_account(MINT, ALICE, 1, 6)})

    assert {row.owner for row in rows.positions} == {ALICE}
    assert {row.side: row.amount_raw for row in rows.positions} == amounts(journals)
    assert rows.events == []
    assert journals.owners[FIRST] == ALICE
    assert protocol.sought(journals.tips) == []
    assert HER_TOKENS in protocol.others(journals.tips)


@pytest.mark.parametrize("emptied", [token_account(MINT, ALICE, 0, 7), gone(7)], ids=["emptied", "closed"])
def test_a_token_that_moved_is_sought_and_found(emptied: AccountBytes) -> None:
    journals, protocol = Journals(), JupiterLend(VENUE)
    journals.fold(accounts_of(lent(), SETTING, 5) | {HER_TOKENS: token_account(MINT, ALICE, 1, 5)})
    assert journals.owners[FIRST] == ALICE

    journals.fold({HER_TOKENS: emptied})
    assert journals.owners[FIRST] == MINT
    assert protocol.sought(journals.tips)

    journals.fold({HIS_TOKENS: token_account(MINT, BOB, 1, 8, TOKEN_2022_PROGRAM)})
    assert journals.owners[FIRST] == BOB
    assert set(amounts(journals).values()) == {row.amount_raw for row in journals.rows.positions[-2:]}


def test_a_token_that_moves_within_a_look_is_the_new_holders() -> None:
    journals = Journals()
    journals.fold(accounts_of(lent(), SETTING, 5) | {HER_TOKENS: token_account(MINT, ALICE, 1, 5)})
    journals.fold({HER_TOKENS: token_account(MINT, ALICE, 0, 6), HIS_TOKENS: token_account(MINT, BOB, 1, 6)})

    assert journals.owners[FIRST] == BOB


def test_token_accounts_of_positions_concern_the_venue_and_no_others() -> None:
    journals = Journals()
    journals.fold(accounts_of(lent(), SETTING, 5))
    concerns = JupiterLend(VENUE).concerns(journals.tips)

    assert concerns(token_account(MINT, BOB, 0, 6))
    assert not concerns(token_account(LOAN, BOB, 1, 6))
    assert not concerns(account(PROGRAM, MINT.ljust(165, b"\0"), 6))


# Changes


def test_what_its_own_account_changed_is_told_in_tokens() -> None:
    vault, journals = lent(), Journals()
    journals.fold(accounts_of(vault, SETTING, 5) | {HER_TOKENS: token_account(MINT, ALICE, 1, 5)})
    before = amounts(journals)
    vault.operate(1, 2 * 10**9, -40 * 10**9, RATE_NOW)
    rows = journals.fold(accounts_of(vault, SETTING, 6))

    told_ = {row.kind: row for row in rows.events}
    assert set(told_) == {"supply", "repay"}
    assert told_["supply"].amount_raw == 2 * 10**9
    paid = before[Side.BORROW] - amounts(journals)[Side.BORROW]
    assert told_["repay"].amount_raw == paid // 1000  # six decimals of nine
    assert all(row.owner == ALICE and json.loads(row.extra)["observed"] for row in rows.events)


def test_a_liquidation_changes_positions_whose_accounts_it_never_touches() -> None:
    vault, journals = lent(debt=119 * 10**9), Journals()
    before = accounts_of(vault, SETTING, 5)
    journals.fold(before)
    held = amounts(journals)
    taken, paid = vault.liquidate(40 * 10**9, 139 * RATE)
    after = accounts_of(vault, SETTING, 6)
    rows = journals.fold(after)

    assert before[FIRST].data == after[FIRST].data
    fetched = vault.fetch(1)
    assert amounts(journals) == {Side.SUPPLY: fetched.supply, Side.BORROW: fetched.debt}
    assert held[Side.BORROW] - fetched.debt >= paid
    assert held[Side.SUPPLY] - fetched.supply >= taken
    (event,) = rows.events
    assert (event.kind, event.market, event.asset) == ("liquidation", MARKET, LOAN)
    assert event.amount_raw == (held[Side.BORROW] - fetched.debt) // 1000
    seized = json.loads(event.extra)
    assert (seized["collateral"], seized["seized"]) == (base58(COLLATERAL), str(held[Side.SUPPLY] - fetched.supply))


def test_the_same_bytes_again_are_no_change() -> None:
    vault, journals = lent(), Journals()
    journals.fold(accounts_of(vault, SETTING, 5))
    rows = JupiterLend(VENUE).fold(journals.tips, sorted(accounts_of(vault, SETTING, 6).items()))

    assert len(rows) == 0


def test_a_closed_position_holds_nothing_and_is_sought_no_more() -> None:
    vault, journals = lent(), Journals()
    journals.fold(accounts_of(vault, SETTING, 5) | {HER_TOKENS: token_account(MINT, ALICE, 1, 5)})
    rows = journals.fold({FIRST: gone(6), HER_TOKENS: gone(6)})

    assert amounts(journals) == {Side.SUPPLY: 0, Side.BORROW: 0}
    assert {row.owner for row in rows.positions} == {ALICE}
    assert {row.kind for row in rows.events} == {"withdraw", "repay"}
    assert JupiterLend(VENUE).sought(journals.tips) == []
    (unit,) = journals.units(6, SETTING.time).values()
    assert (unit.has_debt, unit.positions, unit.reasons, unit.liquidatable) == (False, (), (), False)


# What is not what it should be


def test_a_position_of_another_size_is_refused_by_name_and_keeps_its_amounts() -> None:
    journals = Journals()
    accounts = accounts_of(lent(), SETTING, 5)
    journals.fold(accounts)
    held = amounts(journals)
    rows = journals.fold({FIRST: account(PROGRAM, accounts[FIRST].data + b"\0", 6)})

    assert amounts(journals) == held
    assert "72 bytes" in str(told(journals)["problem"])
    assert [row.word for row in rows.quarantined] == [accounts[FIRST].data + b"\0"]
    (unit,) = journals.units(6, SETTING.time).values()
    assert (unit.native, unit.has_debt, unit.liquidatable) == (None, True, None)
    assert [reason.code for reason in unit.reasons] == ["position_unreadable", "holder_unknown"]


def test_an_account_that_is_nothing_known_is_quarantined() -> None:
    journals = Journals()
    rows = journals.fold({b"\x66" * 32: account(PROGRAM, b"newthing" + b"\7\0", 5)})

    assert [row.reason for row in rows.quarantined] == [f"unknown_account:{base58(bytes([0x66]) * 32)}"]


def test_a_vault_that_is_not_followed_is_passed_over() -> None:
    other = accounts_of(lent(), replace(SETTING, vault=8), 5)

    assert Journals().fold({key: each for key, each in other.items() if each.owner == PROGRAM}).positions == []


def test_a_tick_that_is_gone_makes_its_positions_unknown() -> None:
    vault, journals = lent(), Journals()
    accounts = accounts_of(vault, SETTING, 5)
    journals.fold(accounts)
    tick = derived("tick", number(7, 2), number(vault.positions[1].tick + 16383, 4))
    held = amounts(journals)
    journals.fold({tick: gone(6)})

    assert amounts(journals) == held
    (unit,) = journals.units(6, SETTING.time).values()
    assert unit.native is None
    assert [reason.code for reason in unit.reasons] == ["position_unknown", "holder_unknown"]


def test_a_position_that_is_newer_than_its_tick_is_unknown() -> None:
    vault, journals = lent(), Journals()
    accounts = accounts_of(vault, SETTING, 5)
    newer = bytearray(accounts[FIRST].data)
    at = POSITION.fields["tick_id"][0]
    newer[at : at + 4] = number(2, 4)
    journals.fold(accounts | {FIRST: account(PROGRAM, bytes(newer), 5)})

    (unit,) = journals.units(5, SETTING.time).values()
    assert unit.native is None
    assert "before its id 2" in unit.reasons[0].detail


# Cuts


def history(seed: int) -> list[Accounts]:
    """What changed from look to look of a vault, its tokens moving about; a slot each."""
    crowd, random, looks = Crowd(seed), Random(seed), []
    known: Accounts = {}
    for slot in range(100, 112):
        crowd.live(12)
        seen = accounts_of(crowd.vault, replace(SETTING, price=crowd.rate // 10**7), slot)
        for position in crowd.vault.positions:
            owner = random.choice([b"\1" * 32, b"\2" * 32])
            mint = position_mint(7, position)
            for key in (b"\1" * 32, b"\2" * 32):
                address = derived(mint, key)
                seen[address] = token_account(mint, key, int(key == owner), slot)
        if slot > 108:
            seen[position_address(7, 1)] = gone(slot)
        looks.append({key: each for key, each in seen.items() if key not in known or known[key].data != each.data})
        known |= seen
    return looks


def folded(looks: list[Accounts], cuts: list[int]) -> Rows:
    journals = Journals()
    for first, last in zip([0, *cuts], [*cuts, len(looks)], strict=True):
        seen = [(key, each) for look in looks[first:last] for key, each in sorted(look.items())]
        journals.take(JupiterLend(VENUE).fold(journals.tips, seen))
    return journals.rows


@pytest.mark.parametrize("seed", range(4))
def test_any_cuts_give_the_same_rows(seed: int) -> None:
    looks = history(seed)
    whole = folded(looks, [])

    assert folded(looks, list(range(1, len(looks)))) == whole
    assert folded(looks, sorted(Random(seed).sample(range(1, len(looks)), 3))) == whole
    assert len(whole.positions) > 50
    assert {row.kind for row in whole.events} >= {"supply", "borrow"}
    for rows in (whole.positions, whole.markets, whole.accounts):
        keys = [_key(row) for row in rows]
        assert len(set(keys)) == len(keys)


def _key(row: object) -> tuple[object, ...]:
    """What may be said once only in a block."""
    names = ("block", "unit_id", "market", "side", "aspect")
    return tuple(getattr(row, name) for name in names if hasattr(row, name))
