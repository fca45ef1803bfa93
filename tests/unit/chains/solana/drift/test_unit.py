"""Sub-accounts as the program values them, with the arithmetic beside the numbers. SOL is at 100 USD."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chains.model import WHOLE_VENUE, Side
from chains.solana.drift.accounts import ACCOUNT_STATE
from chains.solana.drift.margin import MAX_UINT256, WAD, Total, health_factor_wad
from chains.solana.drift.states import PREDICTION
from chains.solana.drift.unit import health
from tests.support.drift_runs import STATE_KEY, state_bytes
from tests.unit.chains.solana.drift.builders import (
    ANN,
    ANNS,
    INTEREST,
    LONG_SOL,
    NOW,
    SLOT,
    SOL,
    SOL_MINT,
    SOL_PERP,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    World,
    deposit,
    lazer,
    loan,
    perp_market,
    spot_market,
    user,
)

TOKEN, USD, BASE = 10**9, 10**6, 10**8
"""One whole scaled balance, one USD of the program's and one of a unit's `…_base`."""


def numbers(native: Any, *names: str) -> list[int]:
    return [native[name] for name in names]


def test_a_deposit_and_a_loan_are_weighed_for_each_requirement() -> None:
    native = World().native(user(spot=[deposit(0, 500 * TOKEN), loan(1, 4 * TOKEN)]))

    assert numbers(native, "total_collateral", "margin_requirement", "free_collateral") == [
        500 * USD,
        440 * USD,
        60 * USD,
    ]
    assert numbers(native, "initial_total_collateral", "initial_margin_requirement", "initial_free_collateral") == [
        500 * USD,
        480 * USD,
        20 * USD,
    ]
    assert numbers(native, "fill_margin_requirement", "fill_free_collateral") == [460 * USD, 40 * USD]
    assert numbers(native, "health", "liquidatable", "margin_shortage") == [12, 0, 0]
    assert numbers(native, "num_spot_liabilities", "num_perp_liabilities") == [1, 0]
    # the buffer of 2 % comes on what is owed: 440 + 8
    assert native["margin_requirement_plus_buffer"] == 448 * USD


def test_the_unit_is_its_sub_account_and_its_owner_the_authority() -> None:
    found = World().value(user(spot=[deposit(0, 500 * TOKEN), loan(1, 4 * TOKEN)], sub_account_id=3))

    assert (found.unit_id, found.owner, found.engine_version) == (ANNS, ANN, "drift-2.156")
    assert found.health_factor_wad == 500 * WAD // 440
    assert found.liquidatable is False
    assert found.has_debt
    assert (found.collateral_base, found.debt_base, found.base_unit) == (500 * BASE, 400 * BASE, BASE)
    assert [
        (
            each.market,
            each.asset,
            each.side,
            each.amount_raw,
            each.protocol_raw,
            each.counts,
            each.liquidation_threshold,
        )
        for each in found.positions
    ] == [
        (USDC, USDC_MINT, Side.SUPPLY, 500 * USD, 500 * TOKEN, True, 10_000),
        (SOL, SOL_MINT, Side.BORROW, 4 * TOKEN, 4 * TOKEN, True, None),
    ]
    price = found.positions[1].price
    assert price is not None
    assert (price.answer_raw, price.unit_raw, price.source, price.updated_at, price.block) == (
        100 * USD,
        USD,
        SOL_PRICE,
        NOW,
        SLOT,
    )


@pytest.mark.parametrize("owed, open_to_all", [(4_545_454_550, False), (4_545_454_551, True)])
def test_an_account_is_liquidatable_from_the_first_unit_below_the_requirement(owed: int, open_to_all: bool) -> None:  # noqa: FBT001
    """A loan's value is rounded up to a millionth, and what it requires down: 454.545455 · 1.1 is still 500."""
    found = World().value(user(spot=[deposit(0, 500 * TOKEN), loan(1, owed)]))

    assert found.liquidatable is open_to_all
    assert found.health_factor_wad is not None
    assert (found.health_factor_wad < WAD) is open_to_all


def test_a_liquidation_that_runs_ends_only_with_the_buffer() -> None:
    held = [deposit(0, 500 * TOKEN), loan(1, 4_500_000_000)]

    calm, chased = World().value(user(spot=held)), World().value(user(spot=held, status=1))

    # 495 required, 504 with 2 % of 450 on top
    assert calm.native is not None
    assert chased.native is not None
    assert (calm.liquidatable, chased.liquidatable) == (False, True)
    assert numbers(chased.native, "margin_requirement", "margin_shortage", "health") == [495 * USD, 4 * USD, 0]
    assert calm.health_factor_wad == 500 * WAD // 495
    assert chased.health_factor_wad == WAD - 1


def test_who_owes_nothing_has_no_health_factor() -> None:
    found = World().value(user(spot=[deposit(1, TOKEN)]))

    assert (found.has_debt, found.health_factor_wad, found.liquidatable) == (False, None, False)
    assert found.native is not None
    assert numbers(found.native, "total_collateral", "margin_requirement", "health") == [90 * USD, 0, 100]


def test_an_empty_account_is_nothing_and_known() -> None:
    found = World().value(user())

    assert found.native is not None
    assert (found.positions, found.reasons, found.liquidatable, found.collateral_base) == ((), (), False, 0)


def test_a_perp_position_s_profit_is_a_position_in_the_token_it_settles_in() -> None:
    world = World(accounts={SOL_PRICE: lazer(110 * USD)})

    found = world.value(user(spot=[deposit(0, 200 * TOKEN)], perp=[LONG_SOL]))

    assert found.native is not None
    # 10 SOL at 110 for 1,000: a profit of 100; 5 % of 1,100 is required
    assert numbers(found.native, "total_collateral", "margin_requirement") == [300 * USD, 55 * USD]
    assert numbers(found.native, "perp_0_base_asset_amount", "perp_0_unrealized_pnl", "perp_0_liability_value") == [
        10 * TOKEN,
        100 * USD,
        1_100 * USD,
    ]
    assert found.health_factor_wad == 300 * WAD // 55
    (profit,) = (each for each in found.positions if each.market == SOL_PERP)
    assert (profit.side, profit.asset, profit.amount_raw, profit.counts) == (Side.SUPPLY, USDC_MINT, 100 * USD, True)
    assert found.collateral_base == 300 * BASE
    assert [reason.code for reason in found.reasons] == ["perp_exposure"]


def test_a_perp_position_s_loss_is_a_debt() -> None:
    found = World(accounts={SOL_PRICE: lazer(90 * USD)}).value(user(spot=[deposit(0, 200 * TOKEN)], perp=[LONG_SOL]))

    assert found.native is not None
    assert numbers(found.native, "total_collateral", "margin_requirement", "initial_margin_requirement") == [
        100 * USD,
        45 * USD,
        90 * USD,
    ]
    (loss,) = (each for each in found.positions if each.market == SOL_PERP)
    assert (loss.side, loss.amount_raw, loss.liquidation_threshold) == (Side.BORROW, 100 * USD, None)
    assert (found.collateral_base, found.debt_base) == (200 * BASE, 100 * BASE)
    # a loss also takes from the collateral with the buffer: 100 − 2 % of 100
    assert found.native["total_collateral_plus_buffer"] == 98 * USD


def test_unsettled_funding_is_part_of_the_profit() -> None:
    paying = perp_market(cumulative_funding_rate_long=2 * TOKEN)

    native = World(accounts={SOL_PERP: paying}).native(user(spot=[deposit(0, 200 * TOKEN)], perp=[LONG_SOL]))

    assert numbers(native, "perp_0_unsettled_funding", "perp_0_unrealized_pnl", "total_collateral") == [
        -20 * USD,
        -20 * USD,
        180 * USD,
    ]


def test_a_loss_alone_is_liquidatable_without_any_requirement() -> None:
    found = World().value(user(perp=[{"market_index": 0, "quote_asset_amount": -1}]))

    assert found.liquidatable is True
    assert found.health_factor_wad == 0


def test_an_isolated_position_stands_and_falls_by_itself() -> None:
    alone = {**LONG_SOL, "position_flag": 1, "isolated_position_scaled_balance": 60 * TOKEN}
    world = World(accounts={SOL_PRICE: lazer(98 * USD)})

    found = world.value(user(spot=[deposit(0, 500 * TOKEN)], perp=[alone]))

    assert found.native is not None
    # 60 − 20 lost, against 5 % of 980
    assert numbers(found.native, "isolated_0_total_collateral", "isolated_0_margin_requirement") == [40 * USD, 49 * USD]
    assert numbers(found.native, "total_collateral", "margin_requirement") == [500 * USD, 0]
    assert numbers(found.native, "initial_isolated_0_total_collateral", "initial_isolated_0_margin_requirement") == [
        40 * USD,
        98 * USD,
    ]
    assert found.liquidatable is True
    assert found.health_factor_wad == 40 * WAD // 49
    mine = [(each.side, each.amount_raw, each.protocol_raw) for each in found.positions if each.market == SOL_PERP]
    assert mine == [(Side.SUPPLY, 60 * USD, 60 * TOKEN), (Side.BORROW, 20 * USD, 0)]


def test_an_isolated_position_is_liquidated_by_its_own_flag() -> None:
    alone = {**LONG_SOL, "position_flag": 3, "isolated_position_scaled_balance": 60 * TOKEN}

    native = World().native(user(perp=[alone]))

    # 60 against 50 and 2 % of 1,000
    assert numbers(native, "isolated_0_margin_shortage", "liquidatable") == [10 * USD, 1]


def test_initial_checks_take_the_worse_of_price_and_average() -> None:
    world = World(accounts={SOL: spot_market(last_oracle_price_twap_5min=90 * USD)})

    native = world.native(user(spot=[deposit(1, 10 * TOKEN)]))

    assert numbers(native, "initial_total_collateral", "fill_total_collateral", "total_collateral") == [
        720 * USD,
        850 * USD,
        900 * USD,
    ]


def test_own_ratios_count_initially_only() -> None:
    world = World()
    cautious = user(
        spot=[deposit(0, 500 * TOKEN)], perp=[{**LONG_SOL, "max_margin_ratio": 3_000}], max_margin_ratio=2_000
    )

    native = world.native(cautious)

    assert numbers(native, "initial_margin_requirement", "fill_margin_requirement", "margin_requirement") == [
        300 * USD,
        75 * USD,
        50 * USD,
    ]


@pytest.mark.parametrize("mode, initial, maintenance", [(0, 100, 50), (1, 20, 10), (2, 100, 10)])
def test_high_leverage_is_for_all_or_for_what_is_kept(mode: int, initial: int, maintenance: int) -> None:
    high = perp_market(high_leverage_margin_ratio_initial=200, high_leverage_margin_ratio_maintenance=100)

    native = World(accounts={SOL_PERP: high}).native(
        user(spot=[deposit(0, 500 * TOKEN)], perp=[LONG_SOL], margin_mode=mode)
    )

    assert numbers(native, "initial_margin_requirement", "margin_requirement") == [initial * USD, maintenance * USD]


def test_orders_require_a_cent_each() -> None:
    native = World().native(user(spot=[deposit(0, 500 * TOKEN), deposit(1, TOKEN, open_bids=TOKEN, open_orders=2)]))

    # 2 SOL count 180, 100 are paid for one
    assert numbers(native, "total_collateral", "margin_requirement") == [680 * USD, 100 * USD + 20_000]


def test_interest_that_is_due_makes_a_debt_liquidatable_and_what_is_stored_stands_beside_it() -> None:
    year = 31_536_000
    lent = spot_market(deposit_balance=100 * TOKEN, borrow_balance=40 * TOKEN, last_interest_ts=NOW - year)

    found = World(accounts={SOL: lent}).value(user(spot=[deposit(0, 460 * TOKEN), loan(1, 4 * TOKEN)]))

    assert found.native is not None
    # 5 % on 4 SOL, and the last digit up
    assert numbers(found.native, "margin_requirement", "margin_requirement_accrued") == [440 * USD, 462 * USD + 1]
    assert numbers(found.native, "liquidatable", "liquidatable_accrued") == [0, 1]
    assert found.liquidatable is True
    assert found.positions[1].amount_raw == 4_200_000_001


def test_a_deposit_s_interest_that_is_not_stored_yet_saves_nobody() -> None:
    """Whoever liquidates a perp position need not have the interest of a deposit accrued."""
    year = 31_536_000
    lent = spot_market(deposit_balance=100 * TOKEN, borrow_balance=40 * TOKEN, last_interest_ts=NOW - year)

    found = World(accounts={SOL: lent}).value(user(spot=[deposit(1, TOKEN), loan(0, 91 * TOKEN)]))

    assert found.native is not None
    assert numbers(found.native, "total_collateral", "total_collateral_accrued", "margin_requirement") == [
        90 * USD,
        91_800_000,
        91 * USD,
    ]
    assert numbers(found.native, "liquidatable", "liquidatable_accrued") == [1, 0]
    assert found.liquidatable is True
    assert found.health_factor_wad == 90 * WAD // 91


def test_accounts_of_the_second_pool_hold_the_quote_asset_for_nothing() -> None:
    world = World(accounts={SOL: spot_market(pool_id=1)})

    found = world.value(user(spot=[deposit(0, 500 * TOKEN), deposit(1, TOKEN)], pool_id=1))

    assert found.native is not None
    assert found.native["total_collateral"] == 90 * USD
    assert [(each.counts, each.liquidation_threshold) for each in found.positions] == [(False, 0), (True, 9_000)]


def test_deposits_without_a_valid_price_back_no_withdrawal() -> None:
    world = World(accounts={SOL_PRICE: lazer(100 * USD, slot=SLOT - 121)})

    found = world.value(user(spot=[deposit(0, 500 * TOKEN), deposit(1, TOKEN)]))

    assert found.native is not None
    assert numbers(found.native, "all_deposit_oracles_valid", "all_liability_oracles_valid") == [0, 1]
    assert numbers(found.native, "initial_total_collateral", "withdraw_total_collateral") == [580 * USD, 500 * USD]
    assert [reason.code for reason in found.reasons] == ["oracle_stale_for_margin"]


@pytest.mark.parametrize(
    "spot",
    [[deposit(0, 500 * TOKEN), loan(1, 5 * TOKEN)], [deposit(1, 5 * TOKEN), loan(0, 500 * TOKEN)]],
    ids=["loan", "deposit"],
)
def test_where_all_of_a_side_has_a_volatile_price_it_is_not_known_whether_anybody_may_liquidate(
    spot: list[dict[str, Any]],
) -> None:
    account = user(spot=spot)
    world = World(accounts={SOL: spot_market(last_oracle_price_twap=10 * USD)})

    found, steady = world.value(account), World().value(account)
    beside = world.value(user(spot=spot, perp=[LONG_SOL]))

    assert steady.liquidatable is True
    assert (found.liquidatable, found.health_factor_wad) == (None, steady.health_factor_wad)
    (volatile,) = found.reasons
    assert (volatile.code, volatile.detail) == (
        "oracle_too_volatile",
        "the program takes no margin on this price, and does not liquidate at it",
    )
    assert beside.liquidatable is True


def test_at_a_price_that_is_stale_for_margin_the_program_liquidates() -> None:
    world = World(accounts={SOL_PRICE: lazer(100 * USD, slot=SLOT - 121)})

    found = world.value(user(spot=[deposit(0, 500 * TOKEN), loan(1, 5 * TOKEN)]))

    assert found.liquidatable is True
    (stale,) = (reason for reason in found.reasons if reason.code == "oracle_stale_for_margin")
    assert stale.detail == "the program takes no margin on this price, and liquidates at it"


def test_a_price_is_judged_by_the_market_that_asks_first() -> None:
    """The spot market's average makes the price too volatile for the perp market also, whose own average is near."""
    world = World(accounts={SOL: spot_market(last_oracle_price_twap=10 * USD)})

    both = world.value(user(spot=[deposit(1, TOKEN)], perp=[LONG_SOL]))
    alone = World().value(user(spot=[deposit(0, TOKEN)], perp=[LONG_SOL]))

    assert both.native is not None
    assert alone.native is not None
    assert both.native["all_liability_oracles_valid"] == 0
    assert alone.native["all_liability_oracles_valid"] == 1


def test_a_prediction_s_short_requires_what_it_may_lose() -> None:
    bets = perp_market(contract_type=PREDICTION, last_oracle_price=600_000, last_oracle_price_twap=600_000)
    world = World(accounts={SOL_PERP: bets, SOL_PRICE: lazer(600_000)})

    native = world.native(
        user(
            spot=[deposit(0, 50 * TOKEN)],
            perp=[{"market_index": 0, "base_asset_amount": -100 * TOKEN, "quote_asset_amount": 60 * USD}],
        )
    )

    assert numbers(native, "perp_0_liability_value", "perp_0_unrealized_pnl", "margin_requirement") == [
        40 * USD,
        0,
        2 * USD,
    ]


def test_bankruptcy_and_a_pause_are_noted() -> None:
    world = World(accounts={STATE_KEY: state_bytes(status=16)})

    found = world.value(user(spot=[loan(0, TOKEN)], status=2))

    assert found.liquidatable is True
    assert {reason.code for reason in found.reasons} == {"bankrupt", "liquidations_paused"}


@pytest.mark.parametrize(
    "collateral, required, shown",
    [(100, 0, 100), (0, 0, 100), (-1, 0, 0), (0, 5, 0), (200, 100, 50), (200, 1, 100), (200, 99, 51), (100, 150, 0)],
)
def test_health_is_the_share_of_collateral_that_is_free(collateral: int, required: int, shown: int) -> None:
    assert health(Total(total_collateral=collateral, margin_requirement=required)) == shown


def test_the_health_factor_is_below_one_just_where_anybody_may_liquidate() -> None:
    def factor(collateral: int, required: int, plus: int, *, chased: bool) -> int:
        total = Total(collateral, required, 0, plus)
        return health_factor_wad(total, chased)

    assert factor(10, 0, 0, chased=False) == MAX_UINT256
    assert factor(10, 10, 12, chased=False) == WAD
    assert factor(10, 10, 12, chased=True) == WAD - 1
    assert factor(12, 10, 12, chased=True) == 12 * WAD // 10
    assert factor(-1, 0, 0, chased=False) == 0


def test_the_setting_keeps_every_number_that_decides() -> None:
    world = World()
    world.value(user(spot=[deposit(1, INTEREST, open_bids=2**62)], perp=[LONG_SOL], max_margin_ratio=7))

    text = world.journals.tips.settings[ANNS, WHOLE_VENUE, ACCOUNT_STATE]

    assert json.loads(text) == {
        "authority": "0x" + ANN.hex(),
        "margin_mode": 0,
        "max_margin_ratio": 7,
        "perp": [[0, "10000000000", "-1000000000", "0", "0", "0", "0", "0", 0, 0, 0, "0", "0"]],
        "pool_id": 0,
        "spot": [[1, 0, str(2**62), "0", 0]],
        "status": 0,
        "sub_account_id": 0,
    }
