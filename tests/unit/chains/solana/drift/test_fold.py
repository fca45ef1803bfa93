"""Accounts of the program into journals."""

from __future__ import annotations

import json

import pytest

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Rows, Side
from chains.solana.drift import Drift
from chains.solana.drift.accounts import ACCOUNT_STATE
from chains.solana.drift.layout import PERP_MARKET, SPOT_MARKET, USER
from chains.solana.drift.states import PERP_TERMS, PERP_TOTALS, PRICE, PROBLEM, STATE_ASPECT, TERMS, TOTALS
from chains.solana.ports import AccountProtocol
from tests.support.drift_runs import PROGRAM_ID, STATE_KEY, Journals, Seen, seen, state_bytes, venue
from tests.unit.chains.solana.drift.builders import (
    ANN,
    ANNS,
    BOB,
    BOBS,
    INTEREST,
    LONG_SOL,
    SLOT,
    SOL,
    SOL_MINT,
    SOL_PERP,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    World,
    deposit,
    lazer,
    loan,
    perp_market,
    quote_market,
    spot_market,
    user,
)

ISOLATED = {**LONG_SOL, "position_flag": 1, "isolated_position_scaled_balance": 9}


def markets(slot: int = SLOT) -> Seen:
    return [
        (STATE_KEY, seen(state_bytes(), slot)),
        (USDC, seen(quote_market(), slot)),
        (SOL, seen(spot_market(), slot)),
        (SOL_PERP, seen(perp_market(), slot)),
        (SOL_PRICE, seen(lazer(100), slot)),
    ]


@pytest.fixture
def journals() -> Journals:
    found = Journals()
    found.fold([*markets(), (ANNS, seen(user(spot=[deposit(0, 5), loan(1, 7)], perp=[ISOLATED]), SLOT))])
    return found


def amounts(rows: Rows) -> dict[tuple[bytes, bytes, Side], int]:
    return {(row.unit_id, row.market, row.side): row.amount_raw for row in rows.positions}


def test_scaled_balances_are_positions_in_their_markets(journals: Journals) -> None:
    assert amounts(journals.rows) == {
        (ANNS, USDC, Side.SUPPLY): 5,
        (ANNS, SOL, Side.BORROW): 7,
        (ANNS, SOL_PERP, Side.SUPPLY): 9,
    }
    assert {(row.market, row.asset, row.owner) for row in journals.rows.positions} == {
        (USDC, USDC_MINT, ANN),
        (SOL, SOL_MINT, ANN),
        (SOL_PERP, USDC_MINT, ANN),
    }
    assert {(row.block, row.tx_index, row.basis) for row in journals.rows.positions} == {(SLOT, -1, "observed")}


def test_what_a_unit_holds_when_it_is_first_seen_is_no_event(journals: Journals) -> None:
    assert journals.rows.events == []
    assert journals.rows.quarantined == []


def test_only_what_changed_is_written(journals: Journals) -> None:
    same = user(spot=[deposit(0, 5), loan(1, 7)], perp=[ISOLATED], sub_account_id=0)

    assert len(journals.fold([*markets(SLOT + 1), (ANNS, seen(same, SLOT + 1))])) == 0
    rows = journals.fold([(ANNS, seen(user(spot=[deposit(0, 6), loan(1, 7)], perp=[ISOLATED]), SLOT + 2))])
    assert amounts(rows) == {(ANNS, USDC, Side.SUPPLY): 6}
    assert rows.accounts == []


def test_changes_between_two_looks_are_events_in_tokens(journals: Journals) -> None:
    grown = spot_market(cumulative_borrow_interest=INTEREST * 3)
    later = user(spot=[loan(0, 2_000), loan(1, 4)], perp=[{**ISOLATED, "isolated_position_scaled_balance": 3_009}])

    rows = journals.fold([(SOL, seen(grown, SLOT + 1)), (ANNS, seen(later, SLOT + 1))])

    told = {(row.kind, row.market): (row.amount_raw, row.asset, row.extra) for row in rows.events}
    observed = '{"observed":true}'
    assert told == {
        ("withdraw", USDC): (0, USDC_MINT, observed),  # 5 of 1,000 a unit
        ("borrow", USDC): (2, USDC_MINT, observed),
        ("repay", SOL): (9, SOL_MINT, observed),  # 3 · 3
        ("supply", SOL_PERP): (3, USDC_MINT, observed),
    }


def test_a_position_that_is_gone_is_taken_to_zero(journals: Journals) -> None:
    rows = journals.fold([(ANNS, seen(user(spot=[deposit(0, 5)]), SLOT + 1))])

    assert amounts(rows) == {(ANNS, SOL, Side.BORROW): 0, (ANNS, SOL_PERP, Side.SUPPLY): 0}
    assert [row.kind for row in rows.events] == ["repay", "withdraw"]


def test_an_account_that_is_gone_holds_nothing(journals: Journals) -> None:
    rows = journals.fold([(ANNS, seen(None, SLOT + 1))])

    assert set(amounts(rows).values()) == {0}
    (setting,) = rows.accounts
    assert json.loads(setting.state)["spot"] == []
    assert setting.owner == ANN
    assert len(journals.fold([(BOBS, seen(None, SLOT + 1))])) == 0


def test_markets_are_read_before_users_whatever_the_order_of_the_answer() -> None:
    everything = [*markets(), (ANNS, seen(user(spot=[deposit(1, 7)], perp=[ISOLATED]), SLOT))]

    forward, backward = Journals(), Journals()
    forward.fold(everything)
    backward.fold(everything[::-1])

    assert sorted(forward.rows.positions) == sorted(backward.rows.positions)
    assert all(row.asset for row in backward.rows.positions)


def test_a_position_in_a_market_that_nobody_read_has_no_token_yet() -> None:
    journals = Journals()
    journals.fold([(ANNS, seen(user(spot=[deposit(9, 7)]), SLOT))])
    rows = journals.fold([(ANNS, seen(user(spot=[deposit(9, 8)]), SLOT + 1))])

    assert [row.asset for row in rows.positions] == [b""]
    assert rows.events == []


def test_a_market_is_its_terms_and_its_totals_apart(journals: Journals) -> None:
    rows = journals.fold([(SOL, seen(spot_market(deposit_balance=2**100), SLOT + 1))])
    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL, TOTALS)]
    assert json.loads(rows.markets[0].state)["deposit_balance"] == str(2**100)

    rows = journals.fold([(SOL_PERP, seen(perp_market(last_oracle_price=5), SLOT + 2))])
    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL_PERP, PERP_TOTALS)]

    rows = journals.fold([(SOL_PERP, seen(perp_market(last_oracle_price=5, imf_factor=1), SLOT + 3))])
    assert [(row.market, row.aspect) for row in rows.markets] == [(SOL_PERP, PERP_TERMS)]


def test_terms_name_the_token_as_views_read_it(journals: Journals) -> None:
    terms = json.loads(journals.tips.aspects[SOL, TERMS])

    assert {name: terms[name] for name in ("asset", "symbol", "decimals", "ltv", "liquidation_threshold")} == {
        "asset": "0x" + SOL_MINT.hex(),
        "symbol": "SOL",
        "decimals": 9,
        "ltv": 8_000,
        "liquidation_threshold": 9_000,
    }


@pytest.mark.parametrize(
    "data, words",
    [
        (user() + b"\0", "the account has 4377 bytes, a User has 4376"),
        (user(spot=[deposit(1, 1), loan(1, 1)]), "two spot positions in one market"),
        (user(perp=[LONG_SOL, LONG_SOL]), "two perp positions in one market"),
        (user(spot=[{**deposit(1, 1), "balance_type": 2}]), "neither a deposit nor a loan"),
        (bytes(8) + user()[8:], "begins with 0000000000000000"),
    ],
)
def test_an_account_that_is_not_what_it_should_be_is_set_aside_and_its_unit_in_doubt(
    journals: Journals, data: bytes, words: str
) -> None:
    rows = journals.fold([(ANNS, seen(data, SLOT + 1))])

    (kept,) = rows.quarantined
    assert words in kept.reason
    assert kept.word == data
    assert rows.positions == []
    (setting,) = rows.accounts
    assert setting.owner == ANN
    assert words in json.loads(setting.state)[PROBLEM]

    back = journals.fold([(ANNS, seen(user(spot=[deposit(0, 5)]), SLOT + 2))])
    assert amounts(back) == {(ANNS, SOL, Side.BORROW): 0, (ANNS, SOL_PERP, Side.SUPPLY): 0}


def test_an_account_that_nobody_named_is_set_aside(journals: Journals) -> None:
    rows = journals.fold([(BOBS, seen(b"\1" * 20, SLOT + 1))])

    assert [row.reason for row in rows.quarantined] == [f"unknown_account:{base58(BOBS)}"]


@pytest.mark.parametrize("key, aspect, data", [(SOL, TERMS, spot_market()), (SOL_PERP, PERP_TERMS, perp_market())])
def test_a_market_that_is_gone_cut_or_another_s_is_a_problem(
    journals: Journals, key: bytes, aspect: str, data: bytes
) -> None:
    for slot, (account, words) in enumerate(
        [
            (seen(None, SLOT + 1), "no account"),
            (seen(data[:-1], SLOT + 2), "bytes"),
            (seen(data, SLOT + 3, b"\7" * 32), "belongs to program"),
        ],
        SLOT + 1,
    ):
        rows = journals.fold([(key, account._replace(slot=slot))])
        (change,) = rows.markets
        assert (change.market, change.aspect) == (key, aspect)
        assert words in json.loads(change.state)[PROBLEM]
        assert len(rows.quarantined) == (not account.closed)


def test_a_market_at_another_address_than_its_number_s_is_a_problem() -> None:
    journals = Journals()
    rows = journals.fold([(SOL, seen(spot_market(4), SLOT)), (SOL_PERP, seen(perp_market(4), SLOT))])

    assert all("stands at another address" in json.loads(row.state)[PROBLEM] for row in rows.markets)
    assert len(rows.quarantined) == 2


def test_the_state_is_an_aspect_of_the_whole_venue(journals: Journals) -> None:
    text = journals.tips.aspects[WHOLE_VENUE, STATE_ASPECT]
    assert json.loads(text)["liquidation_margin_buffer_ratio"] == 200

    rows = journals.fold([(STATE_KEY, seen(None, SLOT + 1))])
    assert PROBLEM in json.loads(rows.markets[0].state)


def test_prices_are_kept_in_the_words_of_their_oracle(journals: Journals) -> None:
    assert json.loads(journals.tips.aspects[SOL_PRICE, PRICE])["kind"] == "pyth_lazer"

    rows = journals.fold([(SOL_PRICE, seen(None, SLOT + 1))])
    assert PROBLEM in json.loads(rows.markets[0].state)


def test_an_account_with_another_authority_is_written_again_as_its_own(journals: Journals) -> None:
    rows = journals.fold([(ANNS, seen(user(BOB, spot=[deposit(0, 5), loan(1, 7)], perp=[ISOLATED]), SLOT + 1))])

    assert {(row.owner, row.amount_raw) for row in rows.positions} == {(BOB, 5), (BOB, 7), (BOB, 9)}
    assert [row.owner for row in rows.accounts] == [BOB]


def test_remains_of_lp_shares_are_no_collateral(journals: Journals) -> None:
    remains = {**ISOLATED, "last_quote_asset_amount_per_lp": 1, "isolated_position_scaled_balance": 2**64 - 1}

    rows = journals.fold([(BOBS, seen(user(BOB, perp=[remains]), SLOT))])

    assert rows.positions == []
    assert json.loads(rows.accounts[0].state)["perp"][0][-1] == "1"


def test_the_venue_is_its_markets_and_users_of_any_size_and_what_markets_name(journals: Journals) -> None:
    fold = Drift(venue())

    assert isinstance(fold, AccountProtocol)
    assert [(each.program, each.size, each.holding) for each in fold.sets] == [
        (PROGRAM_ID, None, ((0, layout.discriminator),)) for layout in (SPOT_MARKET, PERP_MARKET, USER)
    ]
    assert fold.others(journals.tips) == {STATE_KEY, SOL_PRICE, USDC_PRICE}


def test_one_unit_seen_in_two_slots_of_one_fold_is_written_twice() -> None:
    journals = Journals()
    rows = journals.fold([*markets(), *((ANNS, seen(user(spot=[deposit(0, n)]), SLOT + n)) for n in (1, 2))])

    assert [(row.block, row.amount_raw) for row in rows.positions] == [(SLOT + 1, 1), (SLOT + 2, 2)]
    assert (ANNS, WHOLE_VENUE, ACCOUNT_STATE) in journals.tips.settings


def test_a_world_of_tests_has_nothing_in_quarantine() -> None:
    world = World()
    world.value(user())

    assert world.journals.rows.quarantined == []
