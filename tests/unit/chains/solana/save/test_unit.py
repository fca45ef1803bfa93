"""An obligation as the program would refresh it: figures by hand, and what stays unknown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aggregator.margin.valuation import ABOUT_PRICES
from chains.model import AccountBytes, Side, VenueSpec, VenueUnit
from chains.solana.save import doubts, open_book
from chains.solana.save.book import Book
from chains.solana.save.layout import NO_ORACLE, Borrow, Deposit, Obligation
from chains.solana.save.options import ENGINES, check_options, engine_of
from chains.solana.save.refresh import Refreshed, refreshed
from tests.support.save_accounts import (
    MARKET_ADDRESS,
    SLOT,
    SOL,
    SOL_PRICE,
    TIME,
    USDC,
    USDC_PRICE,
    WAD,
    feed,
    gone,
    legacy,
    obligation,
    ours,
    pyth,
    reserve,
    usdc,
)
from tests.support.save_runs import Journals, Seen

ALICE, ACCOUNT, EXTRA, FEED = b"\xaa" * 32, b"\x0b" * 32, b"\xe0" * 32, b"\xfe" * 32
MOST = 2**256 - 1
HUNDRED = pyth(100 * 10**8)
ONE = pyth(10**8)


def test_a_loan_is_valued_at_spot_against_thresholds() -> None:
    unit = valued(deposits=[Deposit(SOL, 10 * 10**9, 0)], borrows=[Borrow(USDC, WAD, 500_000_000 * WAD)])

    assert unit.native == {
        "deposited_value": 1_000 * WAD,
        "borrowed_value": 500 * WAD,
        "allowed_borrow_value": 750 * WAD,
        "unhealthy_borrow_value": 800 * WAD,
        "borrowed_value_upper_bound": 500 * WAD,
        "borrowing_isolated_asset": 0,
        "super_unhealthy_borrow_value": 880 * WAD,
        "unweighted_borrowed_value": 500 * WAD,
        "closeable": 0,
    }
    assert (unit.health_factor_wad, unit.liquidatable, unit.has_debt) == (1_600_000_000_000_000_000, False, True)
    assert (unit.collateral_base, unit.debt_base, unit.base_unit) == (1_000 * WAD, 500 * WAD, WAD)
    supply, debt = unit.positions
    assert (supply.side, supply.amount_raw, supply.liquidation_threshold, supply.counts) == (
        Side.SUPPLY,
        10 * 10**9,
        8_000,
        True,
    )
    assert (debt.side, debt.amount_raw, debt.protocol_raw, debt.liquidation_threshold, debt.counts) == (
        Side.BORROW,
        500_000_000,
        500_000_000 * WAD,
        None,
        True,
    )
    assert supply.price is not None
    assert (supply.price.answer_raw, supply.price.unit_raw, supply.price.source) == (100 * WAD, WAD, SOL_PRICE)


def test_borrowing_looks_at_the_worse_of_spot_average_and_extra_price() -> None:
    lent = usdc(added_borrow_weight_bps=5_000, extra_oracle=EXTRA, asset_type=1)
    unit = valued(
        deposits=[Deposit(SOL, 10 * 10**9, 0)],
        borrows=[Borrow(USDC, WAD, 100_000_000 * WAD)],
        accounts=[
            (SOL_PRICE, pyth(100 * 10**8, ema=90 * 10**8)),
            (USDC, ours(lent)),
            (USDC_PRICE, pyth(10**8, ema=101_000_000)),
            (EXTRA, legacy(price=102_000_000, slot=SLOT - 10_000)),
        ],
    )

    assert unit.native is not None
    assert unit.native["allowed_borrow_value"] == 675 * WAD  # 10 · 90 · 0.75
    assert unit.native["unhealthy_borrow_value"] == 800 * WAD
    assert unit.native["borrowed_value"] == 150 * WAD  # 100 · 1 · 1.5
    assert unit.native["borrowed_value_upper_bound"] == 153 * WAD  # 100 · 1.02 · 1.5
    assert unit.native["unweighted_borrowed_value"] == 100 * WAD
    assert unit.native["borrowing_isolated_asset"] == 1
    assert unit.debt_base == 150 * WAD


@pytest.mark.parametrize(
    "weights, amounts, order",
    [
        ((0, 1, 2), (1, 1, 1), (2, 1, 0)),
        ((0, 0, 0), (1, 1, 1), (2, 1, 0)),  # of equals the greatest address
        ((1, 0, 9), (1, 1, 0), (0, 1)),  # one of nothing is no debt
        ((0, 0, 9), (0, 0, 0), ()),
    ],
)
def test_a_refresh_puts_the_weightiest_debt_first_and_drops_those_of_nothing(
    weights: Sequence[int], amounts: Sequence[int], order: Sequence[int]
) -> None:
    names = [bytes([number]) * 32 for number in (3, 4, 5)]
    journals = Journals(venue())
    journals.take([(SOL_PRICE, HUNDRED)])
    for name, weight in zip(names, weights, strict=True):
        journals.take([(name, ours(reserve(added_borrow_weight_bps=weight)))])
    held = Obligation(
        ALICE,
        closeable=False,
        deposits=(),
        borrows=tuple(Borrow(*each) for each in zip(names, [WAD] * 3, amounts, strict=True)),
    )

    ours_then = refreshed(Book(journals.snapshot(SLOT, TIME)), held)
    assert isinstance(ours_then, Refreshed)
    assert [each.reserve for each in ours_then.borrows] == [names[number] for number in order]


def test_a_debt_that_reaches_the_threshold_is_liquidatable_and_one_below_is_not() -> None:
    owed = 800_000_000 * WAD
    at, below = (valued([Deposit(SOL, 10 * 10**9, 0)], [Borrow(USDC, WAD, owed - less)]) for less in (0, 10**13))

    assert (at.liquidatable, at.health_factor_wad) == (True, WAD - 1)
    assert (below.liquidatable, below.health_factor_wad) == (
        False,
        WAD * 80_000_000 * WAD // (80_000_000 * WAD - 10**12),
    )


def test_interest_is_compounded_by_the_slot_and_rounded_as_the_program_does() -> None:
    lent = usdc(
        available_amount=500_000 * 10**6,
        borrowed_amount_wads=500_000 * 10**6 * WAD,
        optimal_utilization_rate=50,
        optimal_borrow_rate=100,
    )
    unit = valued(
        [Deposit(SOL, 10 * 10**9, 0)],
        [Borrow(USDC, WAD, 100_000_000 * WAD)],
        accounts=[(USDC, ours(lent))],
        slot=SLOT + 2,
    )

    per_slot = WAD + WAD // 63_072_000  # utilisation 50 % is the optimum: 100 % a year
    growth = per_slot * per_slot // WAD
    owed = 100_000_000 * WAD * growth // WAD
    assert unit.positions[1].amount_raw == 100_000_004 == -(-owed // WAD)
    assert unit.native is not None
    assert unit.native["borrowed_value"] == owed // 10**6


def test_collateral_grows_by_interest_less_the_programs_cut() -> None:
    lent = reserve(available_amount=0, borrowed_amount_wads=1_000 * 10**9 * WAD, min_borrow_rate=8)
    unit = valued([Deposit(SOL, 10**9, 0)], accounts=[(SOL, ours(lent))], slot=SLOT + 1)

    rate = 150 * WAD // 100  # all is lent out: the highest rate
    interest = 1_000 * 10**9 * WAD * (rate // 63_072_000) // WAD
    total = 1_000 * 10**9 * WAD + interest - interest // 10
    exchange = 1_000 * 10**9 * WAD * WAD // total
    assert unit.positions[0].amount_raw == 10**9 * WAD * WAD // exchange // WAD > 10**9


def test_thresholds_of_every_obligation_are_capped() -> None:
    unit = valued([Deposit(SOL, 900_000 * 10**9, 0)], [Borrow(USDC, WAD, 69_000_000_000_000 * WAD)])

    assert unit.native is not None
    assert unit.native["deposited_value"] == 90_000_000 * WAD
    assert unit.native["allowed_borrow_value"] == 65_000_000 * WAD
    assert unit.native["unhealthy_borrow_value"] == 70_000_000 * WAD
    assert unit.native["super_unhealthy_borrow_value"] == 70_000_000 * WAD


@pytest.mark.parametrize(
    "attributed, limit, closeable", [(0, 2**64 - 1, 0), (0, 499, 1), (0, 500, 0), (1, 500, 0), (1, 499, 1), (0, 0, 0)]
)
def test_an_obligation_stays_closeable_while_too_much_debt_is_attributed(
    attributed: int, limit: int, closeable: int
) -> None:
    backing = reserve(attributed_borrow_limit_close=limit, attributed_borrow_value=attributed * WAD)
    unit = valued(
        [Deposit(SOL, 10 * 10**9, attributed * WAD)],
        [Borrow(USDC, WAD, 500_000_000 * WAD)],
        closeable=1,
        accounts=[(SOL, ours(backing))],
    )

    assert unit.native is not None
    assert (unit.native["closeable"], unit.liquidatable) == (closeable, bool(closeable))
    assert unit.health_factor_wad == 1_600_000_000_000_000_000


@pytest.mark.parametrize(
    "offset, slot, price",
    [(2_000, 1, 120), (-2_000, 1, 80), (-9_000, 400_000_000, 80), (5_000, 400_000_000, 150), (9_000, 400_000_000, 150)],
)
def test_a_price_offset_is_what_the_program_of_that_slot_takes_it_for(offset: int, slot: int, price: int) -> None:
    backing = reserve(scaled_price_offset_bps=offset, last_update_slot=slot)
    unit = valued([Deposit(SOL, 10 * 10**9, 0)], accounts=[(SOL, ours(backing))], slot=slot)

    assert unit.native is not None
    assert unit.native["deposited_value"] == 10 * price * WAD


@pytest.mark.parametrize(
    "accounts, slot, code",
    [
        ([(SOL_PRICE, pyth(100 * 10**8, time=TIME - 121))], SLOT, "price_stale"),
        ([(SOL_PRICE, gone())], SLOT, "price_unreadable"),
        ([(SOL, ours(reserve(pyth_oracle=NO_ORACLE)))], SLOT, "no_price_source"),
        ([(SOL, ours(reserve(pyth_oracle=FEED)))], SLOT, "price_not_seen"),
        ([(SOL, ours(reserve(extra_oracle=EXTRA))), (EXTRA, gone())], SLOT, "price_unreadable"),
        ([(SOL, ours(reserve(extra_oracle=EXTRA)))], SLOT, "price_not_seen"),
        ([(SOL, gone())], SLOT, "reserve_unreadable"),
        ([(SOL, ours(reserve(asset_type=7)))], SLOT, "reserve_unreadable"),
        ([(SOL, ours(reserve() + b"\0"))], SLOT, "reserve_unreadable"),
        ([(SOL, ours(reserve(scaled_price_offset_bps=2_001, last_update_slot=1)))], 350_614_569, "unsupported_version"),
        ([(SOL, ours(reserve(last_update_slot=SLOT + 1)))], SLOT, "math_overflow"),
        ([(SOL, ours(reserve(liquidity_mint_decimals=39)))], SLOT, "math_overflow"),
    ],
)
def test_what_the_program_refuses_or_nobody_knows_has_a_reason_and_no_number(
    accounts: Sequence[Seen], slot: int, code: str
) -> None:
    borrowed = [Borrow(USDC, WAD, 1_000_000 * WAD)]
    before = [(SOL, ours(reserve(last_update_slot=min(slot, SLOT))))]
    unit = valued([Deposit(SOL, 10**9, 0)], borrowed, accounts=[*before, *accounts], slot=slot)

    assert [reason.code for reason in unit.reasons] == [code]
    assert (unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None)
    assert unit.has_debt
    assert unit.positions[-1].market == USDC


def test_a_price_that_the_program_refuses_is_known_to_be_about_one_price() -> None:
    """In an obligation without a debt the other deposits then stand."""
    other = Deposit(USDC, 10**6, 0)
    unit = valued([Deposit(SOL, 10**9, 0), other], accounts=[(SOL_PRICE, pyth(100 * 10**8, confidence=11 * 10**8))])

    assert {reason.code for reason in unit.reasons} == {"price_uncertain"}
    assert [position.price is None for position in unit.positions] == [True, False]
    assert {
        "no_price_source",
        "price_negative",
        "price_not_seen",
        "price_not_verified",
        "price_stale",
        "price_uncertain",
        "price_unreadable",
    } <= ABOUT_PRICES


def test_a_reserve_that_nobody_saw_is_unknown_and_its_position_is_not_valued() -> None:
    journals = Journals(venue())
    journals.take([(ACCOUNT, ours(obligation(ALICE, [Deposit(SOL, 5, 0)])))])
    unit = open_book(journals.snapshot(SLOT, TIME))(journals.unit(ACCOUNT))

    assert ([reason.code for reason in unit.reasons], unit.native, unit.positions) == (["reserve_unknown"], None, ())


def test_the_second_oracle_is_asked_where_the_first_has_no_price() -> None:
    both = reserve(switchboard_oracle=FEED, smoothed_market_price=95 * WAD)
    stale = pyth(100 * 10**8, time=TIME - 121)
    unit = valued(
        [Deposit(SOL, 10 * 10**9, 0)],
        accounts=[(SOL, ours(both)), (SOL_PRICE, stale), (FEED, feed(value=98 * WAD))],
    )

    assert unit.native is not None
    assert unit.native["deposited_value"] == 980 * WAD
    assert unit.native["allowed_borrow_value"] == 10 * 95 * WAD * 3 // 4  # the average that is stored stays
    assert unit.positions[0].price is not None
    assert unit.positions[0].price.source == FEED


def test_without_a_pyth_account_the_price_is_its_own_average_unless_it_is_scaled() -> None:
    plain, scaled = (
        valued(
            [Deposit(SOL, 10 * 10**9, 0)],
            accounts=[
                (SOL, ours(reserve(pyth_oracle=NO_ORACLE, switchboard_oracle=FEED, scaled_price_offset_bps=offset))),
                (FEED, feed(value=98 * WAD)),
            ],
        )
        for offset in (0, 100)
    )

    assert plain.native is not None
    assert (plain.native["allowed_borrow_value"], plain.reasons) == (735 * WAD, ())
    assert scaled.native is not None
    assert scaled.native.keys() == plain.native.keys() - {"allowed_borrow_value"}
    assert scaled.native["deposited_value"] == 10 * 98 * WAD * 101 // 100
    assert [reason.code for reason in scaled.reasons] == ["smoothed_price_unknown"]


def test_an_empty_obligation_is_worth_nothing_and_owes_nothing() -> None:
    unit = valued()

    assert unit.native is not None
    assert set(unit.native.values()) == {0}
    assert (unit.has_debt, unit.health_factor_wad, unit.liquidatable, unit.positions) == (False, None, False, ())


def test_a_debt_is_liquidated_only_where_it_and_a_deposit_are_worth_something() -> None:
    owed = [Borrow(USDC, WAD, 10**6 * WAD)]
    bad = valued(borrows=owed)
    worthless = valued([Deposit(SOL, 1, 0)], owed, accounts=[(SOL_PRICE, pyth(1, exponent=-18))])
    dust = valued(borrows=[Borrow(USDC, WAD, 10**5)])

    assert (bad.health_factor_wad, bad.liquidatable, bad.has_debt) == (0, False, True)
    assert worthless.native is not None
    assert worthless.native["deposited_value"] == 0
    assert (worthless.health_factor_wad, worthless.liquidatable, worthless.has_debt) == (0, False, True)
    assert (dust.health_factor_wad, dust.liquidatable, dust.has_debt) == (MOST, False, True)
    assert dust.positions[0].amount_raw == 1  # a debt is rounded up


def test_a_debt_of_more_digits_than_a_column_is_valued_exactly() -> None:
    owed = 2 * 10**38 + 1
    unit = valued([Deposit(SOL, 10 * 10**9, 0)], [Borrow(USDC, WAD, owed)])

    assert unit.native is not None
    assert unit.native["borrowed_value"] == owed // 10**6
    assert unit.positions[1].protocol_raw == owed


def test_without_its_market_nothing_of_a_venue_is_known() -> None:
    account = (MARKET_ADDRESS, gone(SLOT))
    unit = valued([Deposit(SOL, 10 * 10**9, 0)], [Borrow(USDC, WAD, 500_000_000 * WAD)], accounts=[account])

    assert (unit.native, unit.liquidatable, unit.has_debt) == (None, None, True)
    assert [reason.code for reason in unit.reasons] == ["market_unreadable"]
    journals = Journals(venue())
    assert doubts(journals.snapshot(SLOT, TIME)) == ()
    journals.take([account])
    assert [reason.code for reason in doubts(journals.snapshot(SLOT, TIME))] == ["market_unreadable"]


def test_engines_are_named_and_checked() -> None:
    assert [engine_of({}, slot).name for slot in (1, 350_614_569, 350_614_570)] == [
        "save-2024",
        "save-2024",
        "save-2025-07",
    ]
    assert engine_of({"engine": "save-2024"}, 400_000_000).name == "save-2024"
    assert (check_options({}), check_options({"engine": "save-2025-07"})) == ([], [])
    (problem,) = check_options({"engine": "save-1"})
    assert all(name in problem for name in ENGINES)


def valued(
    deposits: Sequence[Deposit] = (),
    borrows: Sequence[Borrow] = (),
    *,
    accounts: Sequence[tuple[bytes, AccountBytes]] = (),
    slot: int = SLOT,
    closeable: int = 0,
) -> VenueUnit:
    """One obligation of Alice's at a slot, in a market of SOL at 100 and USDC at 1 but for these accounts."""
    journals = Journals(venue())
    plain = {
        SOL: ours(reserve()),
        USDC: ours(usdc(last_update_slot=min(slot, SLOT))),
        SOL_PRICE: HUNDRED,
        USDC_PRICE: ONE,
    }
    journals.take(list(plain.items()))
    for account in accounts:
        journals.take([account])
    journals.take([(ACCOUNT, ours(obligation(ALICE, deposits, borrows, closeable=closeable)))])
    return open_book(journals.snapshot(slot, TIME))(journals.unit(ACCOUNT))


def venue() -> VenueSpec:
    return VenueSpec(id="save", protocol="save", chain_id="solana:test", address=MARKET_ADDRESS, start_block=0)
