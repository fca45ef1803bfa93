"""What the program refuses, or what is not known here, is named and leaves no number."""

from __future__ import annotations

from typing import Any

import pytest

from chains.model import Block, Side, UnitSnapshot, VenueSnapshot
from chains.solana.drift import open_book
from tests.support.drift_runs import STATE_KEY, seen, state_bytes, venue
from tests.unit.chains.solana.drift.builders import (
    ANN,
    ANNS,
    LONG_SOL,
    NOW,
    SLOT,
    SOL,
    SOL_PERP,
    SOL_PRICE,
    World,
    deposit,
    lazer,
    loan,
    perp_market,
    spot_market,
    user,
)

TOKEN, USD = 10**9, 10**6
"""One whole scaled balance, and one USD."""


REFUSALS = [
    ({SOL_PRICE: lazer(0)}, user(spot=[deposit(1, TOKEN)]), "not positive"),
    ({}, user(spot=[deposit(1, TOKEN)], pool_id=2), "of pool 2"),
    ({}, user(spot=[deposit(1, TOKEN, open_orders=33)]), "orders"),
    ({}, user(spot=[deposit(1, TOKEN, open_bids=-1)]), "orders"),
    ({}, user(spot=[deposit(0, 1)]), "worth no unit"),
    ({SOL: spot_market(maintenance_liability_weight=9_000)}, user(spot=[loan(1, TOKEN)]), "counts less"),
]


@pytest.mark.parametrize("accounts, data, words", REFUSALS)
def test_what_the_program_does_not_calculate_is_unknown(accounts: Any, data: bytes, words: str) -> None:
    found = World(accounts=accounts).value(data)

    assert (found.native, found.health_factor_wad, found.liquidatable, found.collateral_base) == (
        None,
        None,
        None,
        None,
    )
    (reason,) = found.reasons
    assert reason.code == "program_refuses"
    assert words in reason.detail


@pytest.mark.parametrize(
    "accounts, data, code",
    [
        ({}, user(spot=[deposit(7, TOKEN)]), "market_unknown"),
        ({}, user(perp=[{**LONG_SOL, "market_index": 7}]), "market_unknown"),
        ({SOL: spot_market()[:-1]}, user(spot=[deposit(1, TOKEN)]), "market_unreadable"),
        ({SOL_PERP: perp_market(3)}, user(perp=[LONG_SOL]), "market_unreadable"),
        ({SOL_PERP: perp_market(quote_spot_market_index=9)}, user(perp=[LONG_SOL]), "market_unknown"),
        ({STATE_KEY: state_bytes()[:-1]}, user(), "state_unreadable"),
        ({SOL_PRICE: seen(None, SLOT)}, user(spot=[deposit(1, TOKEN)]), "price_unreadable"),
        ({SOL: spot_market(oracle_source=99)}, user(spot=[deposit(1, TOKEN)]), "unsupported_oracle"),
        (
            {
                SOL: spot_market(
                    optimal_utilization=900_000, deposit_balance=TOKEN, borrow_balance=TOKEN, last_interest_ts=0
                )
            },
            user(spot=[deposit(1, TOKEN)]),
            "interest_unknown",
        ),
        ({}, user(perp=[{**LONG_SOL, "lp_shares": 1}]), "lp_shares"),
        ({}, user(perp=[{**LONG_SOL, "position_flag": 3, "last_quote_asset_amount_per_lp": 5}]), "lp_remains"),
        ({}, user(perp=[{**LONG_SOL, "position_flag": 9}]), "unsupported_version"),
        ({}, user()[:-1], "account_unreadable"),
    ],
)
def test_what_is_not_known_is_named_and_leaves_no_number(accounts: Any, data: bytes, code: str) -> None:
    found = World(accounts=accounts).value(data)

    assert {reason.code for reason in found.reasons} == {code}
    assert (found.native, found.liquidatable, found.health_factor_wad) == (None, None, None)


def test_what_is_not_known_leaves_the_rest_of_the_positions_visible() -> None:
    found = World().value(user(spot=[deposit(0, 5 * TOKEN), loan(7, TOKEN)]))

    assert [each.amount_raw for each in found.positions] == [5 * USD]
    assert found.has_debt


def test_an_account_that_nobody_read_is_unknown() -> None:
    at = Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW)
    book = open_book(VenueSnapshot(venue=venue(), at=at, markets={}, feeds={}, answers={}))

    found = book(UnitSnapshot(unit_id=ANNS, owner=ANN, positions={(SOL, Side.BORROW): 1}, settings={}))

    assert {reason.code for reason in found.reasons} == {"account_unreadable"}
    assert found.has_debt


def test_only_the_initial_check_may_fail() -> None:
    world = World(accounts={SOL: spot_market(last_oracle_price_twap_5min=0)})

    found = world.value(user(spot=[deposit(1, TOKEN)]))

    assert found.native is not None
    assert "initial_total_collateral" not in found.native
    assert {reason.code for reason in found.reasons} == {"initial_program_refuses", "withdraw_program_refuses"}
