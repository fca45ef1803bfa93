"""Numbers that the program's own tests state, with their set-ups.

protocol-v2 `math/margin/tests.rs`, `state/perp_market/tests.rs`, `controller/spot_balance/tests.rs`.

There SOL is at 100 USD, with weights of 0.8 and 0.9 for deposits, 1.2 and 1.1 for loans; no market has an average yet.
"""

from __future__ import annotations

from typing import Any

import pytest

from chains.model import Reason, VenueSnapshot
from chains.solana.drift.book import Book
from chains.solana.drift.integers import Refused
from chains.solana.drift.interest import with_interest
from chains.solana.drift.margin import Calculation, Context, calculate
from chains.solana.drift.oracles import SOURCES
from chains.solana.drift.perp import Terms, margin_ratio, perp_value, profit_weight, unrealized_pnl
from chains.solana.drift.spot import Prices, Requirement, asset_weight, liability_weight, token_amount
from chains.solana.drift.states import PREDICTION
from chains.solana.drift.unit import Account
from tests.support.drift_runs import STATE_KEY, seen, state_bytes
from tests.unit.chains.solana.drift.builders import (
    ANNS,
    LONG_SOL,
    SLOT,
    SOL,
    SOL_PRICE,
    USDC,
    World,
    deposit,
    lazer,
    loan,
    quote_market,
    spot_market,
    user,
)
from tests.unit.chains.solana.drift.test_perp import market as perp_market
from tests.unit.chains.solana.drift.test_perp import position
from tests.unit.chains.solana.drift.test_spot import market

TOKEN, USD = 10**9, 10**6
INITIAL, _, MAINTENANCE = Requirement
QUOTE_ASSET = SOURCES.index("QuoteAsset")
NO_AVERAGES = {"last_oracle_price_twap": 0, "last_oracle_price_twap_5min": 0}


def calculated(data: bytes, context: Context, price: int = 100 * USD, **sol: int) -> Calculation:
    world = World(
        accounts={
            STATE_KEY: state_bytes(buffer=1_000),
            USDC: quote_market(oracle_source=QUOTE_ASSET, oracle=bytes(32)),
            SOL: spot_market(**(NO_AVERAGES | sol)),
            SOL_PRICE: lazer(price),
        }
    )
    world.journals.fold([(key, seen(each, SLOT)) for key, each in {**world.accounts, ANNS: data}.items()])  # type: ignore[arg-type]
    markets = dict(world.journals.tips.aspects)
    snapshot = VenueSnapshot(venue=world.journals.venue, at=world.at, markets=markets, feeds={}, answers={})
    account = Account(Book(snapshot), world.journals.unit(ANNS))
    within = account.book.world(account.user, accrued=False)
    assert not isinstance(within, Reason), within
    return calculate(account.user, account.balances, within, context)


def test_weights_of_spot_markets() -> None:
    size, price = 1_000 * USD, USD

    def weights(factor: int, size: int = size) -> tuple[int, int]:
        kind = market(decimals=6, initial_asset_weight=9_000, initial_liability_weight=11_000, imf_factor=factor)
        return asset_weight(kind, size, price, INITIAL), liability_weight(kind, size, INITIAL)

    assert weights(0) == (9_000, 11_000)
    assert weights(10) == (9_000, 11_000)
    assert weights(10, size * 10**6)[0] == 8_357
    assert weights(10_000) == (8_357, 11_962)
    assert weights(100_000) == (2_642, 40_422)
    unset = market(decimals=6, maintenance_liability_weight=0, imf_factor=100_000)
    assert liability_weight(unset, size, MAINTENANCE) == 31_622


@pytest.mark.parametrize("factor, weights", [(0, [1_500, 4_500, 7_500]), (100_000, [337, 337, 337])])
def test_weights_of_what_is_asked_for(factor: int, weights: list[int]) -> None:
    kind = market(decimals=6, initial_asset_weight=1_500, maintenance_asset_weight=7_500, imf_factor=factor)

    assert [asset_weight(kind, 100_000 * USD, USD // 2, each) for each in Requirement] == weights


@pytest.mark.parametrize("tokens, weight", [(1, 9_000), (20_000, 9_000), (40_000, 4_500), (60_000, 3_000)])
def test_initial_weights_beyond_a_limit_of_all_deposits(tokens: int, weight: int) -> None:
    limit = {"initial_asset_weight": 9_000, "scale_initial_asset_weight_start": 500_000 * USD}

    assert asset_weight(market(deposit_balance=tokens * TOKEN, **limit), 0, 25 * USD, INITIAL) == weight


BITCOIN: dict[str, Any] = {
    "imf_factor": 1_000,
    "unrealized_pnl_imf_factor": 1_000,
    "unrealized_pnl_initial_asset_weight": 10_000,
    "margin_ratio_initial": 1_000,
    "margin_ratio_maintenance": 500,
}
SHORT = position(-(12_295_081_967 // 2), 153_688_524_588)


@pytest.mark.parametrize("price, required", [(22_050, 13_555_327_867), (21_050, 12_940_573_769)])
def test_a_short_of_bitcoin(price: int, required: int) -> None:
    terms = Terms(INITIAL, price * USD, Prices(USD, None), 0, high_leverage=False)

    found = perp_value(SHORT, perp_market(**BITCOIN), terms)

    assert (found.margin_requirement, found.weighted_pnl) == (required, 100_000_000)


def test_weights_of_profits() -> None:
    bitcoin, profit = perp_market(**BITCOIN), unrealized_pnl(SHORT, 21_050 * USD)

    assert profit == 24_282_786_896
    assert profit_weight(bitcoin, 22_699_050_905, INITIAL) == 9_559
    weights = [profit_weight(bitcoin, profit * times, INITIAL) for times in (1, 10, 100, 1_000, 10_000, 800_000)]
    assert weights == [9_516, 7_368, 4_299, 1_855, 663, 78]
    assert profit_weight(bitcoin, 100_000_000, INITIAL) == 10_000


@pytest.mark.parametrize(
    "held, collateral, required",
    [
        ([deposit(0, 10_000 * TOKEN), deposit(1, 0, open_orders=1, open_bids=500 * TOKEN)], 50_000, 50_000),
        ([deposit(0, 10_000 * TOKEN), deposit(1, 0, open_orders=1, open_asks=-500 * TOKEN)], 60_000, 60_000),
        ([deposit(1, 500 * TOKEN, open_orders=1, open_asks=-3_000 * TOKEN)], 300_000, 300_000),
    ],
    ids=["usdc_deposit_and_5x_sol_bid", "usdc_deposit_and_5x_sol_ask", "sol_deposit_and_5x_sol_ask"],
)
def test_orders_at_five_times_the_deposit(held: list[dict[str, int]], collateral: int, required: int) -> None:
    cross = calculated(user(spot=held), Context(INITIAL)).cross

    assert (cross.total_collateral, cross.margin_requirement) == (collateral * USD, required * USD + 10_000)


@pytest.mark.parametrize("own, required", [(20_000, 50_000), (10_000, 30_000), (5_000, 20_000)])
def test_an_own_margin_ratio(own: int, required: int) -> None:
    perp = [{"market_index": 0, "base_asset_amount": 100 * TOKEN}]
    mine = user(spot=[deposit(0, 100 * TOKEN), loan(1, 100 * TOKEN)], perp=perp, max_margin_ratio=own)

    assert calculated(mine, Context(INITIAL)).cross.margin_requirement == required * USD
    assert calculated(mine, Context(MAINTENANCE)).cross.margin_requirement == 11_500 * USD


@pytest.mark.parametrize("own, required", [(0, 20_000), (40_000, 40_000)])
def test_an_own_margin_ratio_of_a_position(own: int, required: int) -> None:
    perp = [{"market_index": 0, "base_asset_amount": 100 * TOKEN, "max_margin_ratio": 20_000}]
    mine = user(spot=[deposit(0, 100 * TOKEN)], perp=perp, max_margin_ratio=own)

    assert calculated(mine, Context(INITIAL)).cross.margin_requirement == required * USD


def test_an_own_margin_ratio_takes_from_deposits() -> None:
    mine = user(spot=[deposit(1, 100 * TOKEN)], max_margin_ratio=5_000)

    assert calculated(mine, Context(INITIAL)).cross.total_collateral == 5_000 * USD


def test_dust_of_a_deposit_after_a_big_loss() -> None:
    mine = user(spot=[deposit(1, 1_040)], max_margin_ratio=20_000)

    found = calculated(mine, Context(INITIAL), cumulative_deposit_interest=10**10 // 99)

    assert (found.all_deposit_oracles_valid, found.all_liability_oracles_valid) == (False, True)
    assert (found.cross.total_collateral, found.cross.margin_requirement) == (0, 0)


@pytest.mark.parametrize("price", [100 * USD, USD // 10_000])
def test_dust_of_a_loan(price: int) -> None:
    found = calculated(user(spot=[loan(1, 1)], max_margin_ratio=20_000), Context(INITIAL), price)

    assert (found.all_deposit_oracles_valid, found.all_liability_oracles_valid) == (True, False)
    assert (found.cross.total_collateral, found.cross.margin_requirement) == (0, 3)


def test_strict_maintenance() -> None:
    world = World(
        accounts={
            USDC: quote_market(last_oracle_price_twap_5min=900_000),
            SOL: spot_market(last_oracle_price_twap_5min=110 * USD),
        }
    )
    unit = world.value(user(spot=[deposit(0, 10_000 * TOKEN), loan(1, 100 * TOKEN)]))
    markets = dict(world.journals.tips.aspects)
    snapshot = VenueSnapshot(venue=world.journals.venue, at=world.at, markets=markets, feeds={}, answers={})
    account = Account(Book(snapshot), world.journals.unit(unit.unit_id))
    within = account.book.world(account.user, accrued=False)
    assert not isinstance(within, Reason)

    cross = calculate(account.user, account.balances, within, Context(MAINTENANCE, strict=True)).cross

    assert (cross.total_collateral, cross.margin_requirement) == (9_000 * USD, 12_100 * USD)


@pytest.mark.parametrize(
    "held, deposits_valid, liabilities_valid",
    [
        ([loan(0, 100 * TOKEN), deposit(1, 100 * TOKEN)], False, True),
        ([deposit(1, 0, open_orders=1, open_bids=100 * TOKEN)], False, True),
        ([deposit(1, 0, open_orders=1, open_asks=-100 * TOKEN)], True, False),
    ],
    ids=["invalid_oracle_for_deposit", "invalid_oracle_for_bid", "invalid_oracle_for_ask"],
)
def test_deposits_without_a_valid_price(
    held: list[dict[str, int]], *, deposits_valid: bool, liabilities_valid: bool
) -> None:
    mine = user(spot=held, max_margin_ratio=20_000)

    found = calculated(mine, Context(INITIAL, lenient=True))

    assert (found.all_deposit_oracles_valid, found.all_liability_oracles_valid) == (deposits_valid, liabilities_valid)
    assert found.cross.total_collateral == 0
    assert found.cross.margin_requirement > 0


def test_an_isolated_position_with_and_without_the_buffer() -> None:
    alone = {
        "market_index": 0,
        "base_asset_amount": 100 * TOKEN,
        "quote_asset_amount": -11_000 * USD,
        "position_flag": 1,
        "isolated_position_scaled_balance": 100 * TOKEN,
    }
    mine = user(spot=[deposit(0, 20_000 * TOKEN), loan(1, 100 * TOKEN)], perp=[alone])

    found = calculated(mine, Context(INITIAL))

    isolated, cross = found.isolated[0], found.cross
    assert (cross.margin_requirement, cross.total_collateral) == (12_000 * USD, 20_000 * USD)
    assert (isolated.margin_requirement, isolated.total_collateral) == (1_000 * USD, -900 * USD)
    assert (cross.is_met, isolated.is_met) == (True, False)
    assert cross.margin_requirement_plus_buffer == 13_000 * USD
    assert cross.total_collateral + cross.total_collateral_buffer == 20_000 * USD
    assert isolated.margin_requirement_plus_buffer == 2_000 * USD
    assert isolated.total_collateral + isolated.total_collateral_buffer == -1_000 * USD


@pytest.mark.parametrize(
    "price, base, quote", [(USD // 4, -TOKEN, USD * 3 // 4), (USD * 3 // 4, TOKEN, -USD // 4)], ids=["short", "long"]
)
def test_predictions(price: int, base: int, quote: int) -> None:
    bet = perp_market(
        contract_type=PREDICTION,
        margin_ratio_initial=10_000,
        margin_ratio_maintenance=9_999,
        unrealized_pnl_initial_asset_weight=0,
    )

    def found(requirement: Requirement) -> tuple[int, int]:
        value = perp_value(
            position(base, quote), bet, Terms(requirement, price, Prices(USD, None), 0, high_leverage=False)
        )
        return value.margin_requirement, value.weighted_pnl

    assert found(INITIAL) == (750_000, 0)
    assert found(MAINTENANCE) == (749_925, 500_000)


@pytest.mark.parametrize("mine", [user(spot=[deposit(0, 10_000 * TOKEN)], pool_id=2), user(perp=[LONG_SOL], pool_id=2)])
def test_another_pool_s_markets_are_refused(mine: bytes) -> None:
    with pytest.raises(Refused, match="of pool 2"):
        calculated(mine, Context(INITIAL))


def test_interest_over_seconds_hours_and_a_year() -> None:
    grown = market(
        decimals=6,
        deposit_balance=TOKEN,
        borrow_balance=125_000_001,
        total_factor=1_000,
        optimal_utilization=500_000,
        optimal_borrow_rate=20_000_000,
        max_borrow_rate=50_000_000,
        last_interest_ts=0,
    )
    stated = [
        (100, 10_000_019_799, 10_000_158_551, 0, 1_000_001, 125_002),
        (7_500, 10_001_484_937, 10_011_891_454, 0, 1_000_148, 125_149),
        (750 + 60 * 60 * 24 * 365, 16_257_818_378, 60_112_684_636, 385_045, 1_626_407, 751_409),
    ]
    for now, deposits, loans, pooled, deposited, borrowed in stated:
        grown = with_interest(grown, now)
        assert (grown.cumulative_deposit_interest, grown.cumulative_borrow_interest) == (deposits, loans)
        assert grown.deposit_balance - TOKEN == pooled
        assert token_amount(grown, 0, grown.deposit_balance) == deposited
        assert token_amount(grown, 1, grown.borrow_balance) == -borrowed


def test_margin_ratios_with_and_without_high_leverage() -> None:
    high = {"high_leverage_margin_ratio_initial": 200, "high_leverage_margin_ratio_maintenance": 100}

    def ratios(*, high_leverage: bool) -> list[int]:
        kind = perp_market(margin_ratio_initial=1_000, margin_ratio_maintenance=500, **high)
        return [margin_ratio(kind, TOKEN, each, high_leverage=high_leverage) for each in Requirement]

    assert ratios(high_leverage=False) == [1_000, 750, 500]
    assert ratios(high_leverage=True) == [200, 150, 100]


def test_high_leverage_shrinks_with_the_size() -> None:
    sized = perp_market(
        margin_ratio_initial=1_000,
        margin_ratio_maintenance=500,
        high_leverage_margin_ratio_initial=100,
        high_leverage_margin_ratio_maintenance=50,
        imf_factor=50,
    )

    def ratio(size: int, requirement: Requirement = INITIAL) -> int:
        return margin_ratio(sized, size, requirement, high_leverage=True)

    assert margin_ratio(sized, 10**6 * TOKEN, INITIAL, high_leverage=False) == 1_300
    assert [ratio(size) for size in (TOKEN // 10, TOKEN, 10 * TOKEN, 3_000 * TOKEN)] == [100, 100, 104, 221]
    assert [ratio(size, MAINTENANCE) for size in (3_000 * TOKEN, 300_000 * TOKEN)] == [67, 313]


def test_large_positions_have_no_high_leverage() -> None:
    sized = perp_market(
        margin_ratio_initial=500,
        margin_ratio_maintenance=10_000 // 33,
        high_leverage_margin_ratio_initial=100,
        high_leverage_margin_ratio_maintenance=10_000 // 151,
        imf_factor=50,
    )
    both = [
        [margin_ratio(sized, TOKEN * number * 1_000, INITIAL, high_leverage=high) for high in (False, True)]
        for number in range(1, 1_000)
    ]

    beyond = [(usual, high) for usual, high in both if usual != 500]
    assert all(usual == high for usual, high in beyond)
    assert len(beyond) == 959
