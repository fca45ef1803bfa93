"""Obligations as the program's own refresh would value them, and what it would let happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chains.model import AccountBytes, Side, VenueUnit
from chains.solana.kamino import Kamino, open_book
from chains.solana.kamino.journal import reserve_of, reserve_state, text_of
from chains.solana.kamino.options import check_options
from tests.support.kamino_accounts import (
    MARKET_ADDRESS,
    ONE,
    SOL,
    SOL_MINT,
    SOL_PRICE,
    UNIT,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    gone,
    market,
    obligation,
    pull,
    push,
    reserve,
)
from tests.support.kamino_runs import Journals, venue

Accounts = Mapping[bytes, AccountBytes]

BOOK: Accounts = {
    MARKET_ADDRESS: market(),
    SOL: reserve(),
    USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, token={"name": b"USDC"}),
    SOL_PRICE: pull(15_000_000_000),
    USDC_PRICE: pull(100_000_000),
    UNIT: obligation(deposits=[(SOL, 10 * 10**9)], borrows=[(USDC, 600 * 10**6 * ONE)]),
}
"""Ten SOL at 150 USD with a threshold of 80 %, and 600 USDC of debt."""


def value(
    accounts: Accounts | None = None,
    *,
    version: str = "1.22",
    slot: int = 10,
    time: int = 1000,
    unit: AccountBytes = BOOK[UNIT],
) -> VenueUnit:
    spec = venue(MARKET_ADDRESS, version)
    journals = Journals()
    seen = list({**BOOK, **(accounts or {}), UNIT: unit}.items())
    journals.store(Kamino(spec).fold(journals, seen), seen)
    (snapshot,) = journals.unit_snapshots()
    return open_book(journals.venue_snapshot(spec, slot, time))(snapshot)


def codes(unit: VenueUnit) -> list[str]:
    return [reason.code for reason in unit.reasons]


def test_health_is_the_liquidation_limit_over_the_debt() -> None:
    unit = value()

    assert unit.native is not None
    assert unit.native["deposited_value_sf"] == 1500 * ONE
    # 80 % as a fraction of 60 bits is a little less: 1500 · ⌊0.8 · 2^60⌋
    assert unit.native["unhealthy_borrow_value_sf"] == 1500 * (80 * ONE // 100)
    assert unit.native["borrow_factor_adjusted_debt_value_sf"] == 600 * ONE
    assert unit.health_factor_wad == 1500 * (80 * ONE // 100) * 10**18 // (600 * ONE)
    assert (unit.liquidatable, unit.reasons, unit.has_debt) == (False, (), True)
    assert (unit.collateral_base, unit.debt_base, unit.base_unit) == (1500 * 10**8, 600 * 10**8, 10**8)
    assert unit.engine_version == "klend-1.22"


def test_positions_are_in_tokens_with_the_program_s_prices_and_thresholds() -> None:
    supply, borrow = value().positions

    assert (supply.market, supply.asset, supply.side, supply.symbol) == (SOL, SOL_MINT, Side.SUPPLY, "SOL")
    assert (supply.amount_raw, supply.protocol_raw, supply.decimals) == (10 * 10**9, 10 * 10**9, 9)
    assert (supply.counts, supply.liquidation_threshold) == (True, 8000)
    assert supply.price is not None
    assert supply.price.answer_raw == 150 * supply.price.unit_raw
    assert (supply.price.source, supply.price.updated_at, supply.price.block) == (SOL_PRICE, 1000, 10)
    assert (borrow.asset, borrow.side, borrow.amount_raw) == (USDC_MINT, Side.BORROW, 600 * 10**6)
    assert (borrow.counts, borrow.liquidation_threshold) == (True, None)


def test_a_debt_at_the_limit_is_liquidatable_and_a_smallest_unit_less_is_not() -> None:
    limit = 1500 * (80 * ONE // 100) * 10**6

    at = value(unit=obligation(deposits=[(SOL, 10 * 10**9)], borrows=[(USDC, limit)]))
    below = value(unit=obligation(deposits=[(SOL, 10 * 10**9)], borrows=[(USDC, limit - 10**6)]))

    assert (at.liquidatable, at.health_factor_wad) == (True, 10**18 - 1)
    assert below.liquidatable is False
    assert below.health_factor_wad == 10**18


def test_a_borrow_factor_weighs_the_debt_and_nothing_in_an_elevation_group() -> None:
    group = {"id": 1, "ltv_pct": 85, "liquidation_threshold_pct": 90, "max_reserves_as_collateral": 1}
    accounts = {
        MARKET_ADDRESS: market(elevation_groups=[{**group, "debt_reserve": USDC}]),
        SOL: reserve(config={"elevation_groups": b"\x01"}),
        USDC: reserve(
            mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config={"borrow_factor_pct": 150, "elevation_groups": b"\x01"}
        ),
    }
    debt: Any = {"deposits": [(SOL, 10 * 10**9)], "borrows": [(USDC, 600 * 10**6 * ONE)]}

    outside, inside = value(accounts), value(accounts, unit=obligation(**debt, elevation_group=1))

    assert outside.native is not None
    assert inside.native is not None
    assert outside.native["borrow_factor_adjusted_debt_value_sf"] == 900 * ONE
    assert outside.native["highest_borrow_factor_pct"] == 150
    assert inside.native["borrow_factor_adjusted_debt_value_sf"] == 600 * ONE
    assert inside.native["unhealthy_borrow_value_sf"] == 1500 * (90 * ONE // 100)
    assert inside.positions[0].liquidation_threshold == 9000


@pytest.mark.parametrize(
    "debt_reserve, groups, words", [(USDC, b"\x02", "is not of"), (SOL, b"\x01", "has another debt reserve")]
)
def test_an_elevation_group_that_does_not_fit_lets_no_refresh_succeed(
    debt_reserve: bytes, groups: bytes, words: str
) -> None:
    group = {"id": 1, "ltv_pct": 85, "liquidation_threshold_pct": 90, "max_reserves_as_collateral": 1}
    accounts = {
        MARKET_ADDRESS: market(elevation_groups=[{**group, "debt_reserve": debt_reserve}]),
        SOL: reserve(config={"elevation_groups": b"\x01"}),
        USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config={"elevation_groups": groups}),
    }
    grouped = obligation(deposits=[(SOL, 10**9)], borrows=[(USDC, ONE)], elevation_group=1)

    unit = value(accounts, unit=grouped)

    assert (unit.native, unit.health_factor_wad, unit.has_debt) == (None, None, True)
    assert codes(unit) == ["refresh_fails"]
    assert words in unit.reasons[0].detail


@pytest.mark.parametrize("version, fails", [("1.7", True), ("1.22", False)])
def test_only_1_7_refuses_more_collaterals_than_the_group_takes(version: str, *, fails: bool) -> None:
    other = b"X" * 32
    group = {"id": 1, "ltv_pct": 85, "liquidation_threshold_pct": 90, "max_reserves_as_collateral": 1}
    member = {"elevation_groups": b"\x01"}
    accounts = {
        MARKET_ADDRESS: market(elevation_groups=[{**group, "debt_reserve": USDC}]),
        SOL: reserve(config=member),
        other: reserve(mint=b"x" * 32, config=member),
        USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config=member),
    }
    prices = {SOL_PRICE: push(15_000_000_000), USDC_PRICE: push(100_000_000)} if version == "1.7" else {}
    grouped = obligation(deposits=[(SOL, 10**9), (other, 10**9)], borrows=[(USDC, ONE)], elevation_group=1)

    unit = value(accounts | prices, version=version, unit=grouped)

    assert codes(unit) == (["refresh_fails"] if fails else [])


def test_versions_before_1_11_divide_by_a_rounded_exchange_rate() -> None:
    lent = {"total_available_amount": 10**12 + 333_333_333_333}
    accounts = {SOL: reserve(liquidity=lent)}

    exact, rounded = value(accounts, version="1.11"), value(accounts, version="1.10")

    assert exact.native is not None
    assert rounded.native is not None
    ratio = (10**12 << 120) // (lent["total_available_amount"] << 60)
    liquidity = 10 * 10**9 * (lent["total_available_amount"] << 60) // 10**12
    assert exact.native["deposited_value_sf"] == 150 * liquidity // 10**9
    assert rounded.native["deposited_value_sf"] == 150 * ((10 * 10**9 << 120) // ratio) // 10**9
    assert exact.native["deposited_value_sf"] != rounded.native["deposited_value_sf"]


def test_1_7_reads_the_push_oracle_and_caps_the_liquidation_limit() -> None:
    accounts = {
        MARKET_ADDRESS: market(global_unhealthy_borrow_value=1000),
        SOL_PRICE: push(15_000_000_000),
        USDC_PRICE: push(100_000_000),
    }

    unit = value(accounts, version="1.7")

    assert unit.native is not None
    assert unit.native["unhealthy_borrow_value_sf"] == 1000 * ONE


def test_where_it_is_not_known_whether_a_version_caps_a_cap_below_the_limit_leaves_no_number() -> None:
    capped = {MARKET_ADDRESS: market(global_unhealthy_borrow_value=1000)}

    assert codes(value(capped, version="1.9")) == ["refresh_fails"]
    assert codes(value(version="1.9")) == []


@pytest.mark.parametrize("version", ["1.6", "1.25", "2.0"])
def test_a_version_that_is_not_known_is_named_and_not_valued(version: str) -> None:
    unit = value(version=version)

    assert (unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None)
    assert codes(unit) == ["unsupported_version"]
    assert f"klend-{version}" in unit.reasons[0].detail
    assert unit.has_debt


def test_a_version_counts_from_its_slot_on() -> None:
    spec = venue(MARKET_ADDRESS)
    spec = replace(spec, options={"program_version": [[5, "1.22"], [11, "1.30"]]})
    journals = Journals()
    journals.store(Kamino(spec).fold(journals, list(BOOK.items())), BOOK.items())
    (unit,) = journals.unit_snapshots()

    versions = {slot: open_book(journals.venue_snapshot(spec, slot, 1000))(unit) for slot in (4, 10, 11)}

    assert [each.engine_version for each in versions.values()] == ["klend-unknown", "klend-1.22", "klend-1.30"]
    assert [each.native is None for each in versions.values()] == [True, False, True]


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"program_version": "1.22"}, None),
        ({"program_version": [[0, "1.7"], [9, "1.11.3"]]}, None),
        ({}, "program_version is missing"),
        ({"program_version": "1.25"}, "1.25 is not known"),
        ({"program_version": 1.22}, "is no version"),
        ({"program_version": [["1.22"]]}, "write each as"),
        ({"program_version": "new"}, "is no version"),
        ({"program_version": "1.22", "program": "KLend0"}, "is not base58"),
        ({"program_version": "1.22", "program": "KLend2g"}, "is no Solana address"),
    ],
)
def test_options_are_checked(options: Mapping[str, Any], problem: str | None) -> None:
    found = check_options(options)

    assert (problem is None) == (found == [])
    assert problem is None or problem in found[0]


def test_interest_accrues_to_the_slot_of_the_snapshot() -> None:
    lent: Any = {"borrowed_amount_sf": 1000 * 10**6 * ONE, "total_available_amount": 0}
    accounts = {
        USDC: reserve(
            mint=USDC_MINT,
            decimals=6,
            pyth=USDC_PRICE,
            liquidity=lent,
            config={
                "borrow_rate_curve": [
                    {"borrow_rate_bps": 1000},
                    {"utilization_rate_bps": 10_000, "borrow_rate_bps": 1000},
                ]
            },
        )
    }

    now, later = value(accounts), value(accounts, slot=10 + 63_072_000)

    assert now.positions[1].amount_raw == 600 * 10**6
    # a year at 10 %: between simple interest and e^0.1
    assert 660 * 10**6 < later.positions[1].amount_raw < 663.2 * 10**6
    assert later.positions[1].protocol_raw == 600 * 10**6 * ONE


@pytest.mark.parametrize("version, chained", [("1.11", False), ("1.16", False), ("1.17", True), ("1.24", True)])
def test_from_1_17_on_a_reserve_that_nobody_refreshed_owes_what_more_precise_terms_say(
    version: str, *, chained: bool
) -> None:
    lent: Any = {"borrowed_amount_sf": 1000 * 10**6 * ONE, "total_available_amount": 0}
    flat = [{"borrow_rate_bps": 1000}, {"utilization_rate_bps": 10_000, "borrow_rate_bps": 1000}]
    terms: Any = {"decimals": 6, "pyth": USDC_PRICE, "liquidity": lent, "config": {"borrow_rate_curve": flat}}

    unit = value({USDC: reserve(mint=USDC_MINT, **terms)}, version=version, slot=10 + 63_072_000)

    base, slots = 2**60 * 1000 // 10_000 // 63_072_000, 63_072_000
    second = (base * slots * base // 2**60) * (slots - 1) // 2
    third = (second * base // 2**60) * (slots - 2) // 3
    square = base * base // 2**60
    cube = square * base // 2**60
    of_powers = square * slots * (slots - 1) // 2, cube * slots * (slots - 1) * (slots - 2) // 6
    growth = 2**60 + base * slots + sum((second, third) if chained else of_powers)
    borrow = next(position for position in unit.positions if position.side is Side.BORROW)
    assert borrow.amount_raw == -(-600 * 10**6 * growth // 2**60) == (663_100_000 if chained else 662_070_260)
    assert unit.native is not None
    assert unit.native["borrow_factor_adjusted_debt_value_sf"] == 600 * growth


def test_a_price_that_is_too_old_leaves_the_numbers_and_no_verdict() -> None:
    unit = value(time=1061)

    assert unit.native is not None
    assert unit.native["price_status"] == 63 - 2
    assert (unit.health_factor_wad, unit.liquidatable) == (None, None)
    assert codes(unit) == ["venue_price_refused"]


def test_a_price_that_is_young_enough_is_kept_with_its_flags() -> None:
    saved = {"market_price_sf": 140 * ONE, "market_price_last_updated_ts": 980}
    accounts = {
        MARKET_ADDRESS: market(price_refresh_trigger_to_max_age_pct=50),
        SOL: reserve(liquidity=saved),
    }

    kept, taken = value(accounts, time=1009), value(accounts, time=1010)

    assert kept.native is not None
    assert taken.native is not None
    assert kept.native["deposited_value_sf"] == 1400 * ONE
    assert kept.native["price_status"] == 0
    assert taken.native["deposited_value_sf"] == 1500 * ONE
    assert taken.native["price_status"] == 63


@pytest.mark.parametrize(
    "accounts, code",
    [
        ({SOL_PRICE: pull(15_000_000_000, confidence=10**9)}, "price_confidence_too_wide"),
        ({SOL_PRICE: gone(10)}, "no_price_account"),
        ({SOL: gone(10)}, "no_reserve"),
        ({MARKET_ADDRESS: gone(10)}, "no_lending_market"),
        ({SOL: reserve(config={"interest_rate_basis": 1})}, "unsupported_interest"),
        ({SOL: reserve(version=2**64 - 1)}, "reserve_deprecated"),
        ({USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, version=2**64 - 1)}, "reserve_deprecated"),
        ({SOL: reserve(slot=11)}, "refresh_fails"),
        ({SOL: reserve(decimals=6, liquidity={"mint_decimals": 2**60})}, "refresh_fails"),
        ({USDC: reserve(pyth=USDC_PRICE, liquidity={"cumulative_borrow_rate_bsf": 1})}, "refresh_fails"),
    ],
)
def test_what_cannot_be_valued_is_named(accounts: Accounts, code: str) -> None:
    unit = value(accounts)

    assert (unit.native, unit.health_factor_wad, unit.liquidatable, unit.has_debt) == (None, None, None, True)
    assert code in codes(unit)


def test_the_version_of_a_reserve_that_an_older_journal_does_not_hold_is_the_program_s() -> None:
    state = reserve_state(reserve(version=2**64 - 1).data)

    assert reserve_of(SOL, text_of(state)).version == 2**64 - 1
    del state["version"]
    assert reserve_of(SOL, text_of(state)).version == 1


def test_what_is_worth_exactly_the_limit_of_dust_sets_the_priorities_and_less_does_not() -> None:
    limits = {"min_value_skip_liquidation_ltv_checks": 1500, "min_value_skip_liquidation_bf_checks": 600}
    weighed = {USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config={"borrow_factor_pct": 150})}
    above = {name: limit + 1 for name, limit in limits.items()}

    at = value(weighed | {MARKET_ADDRESS: market(**limits)})
    below = value(weighed | {MARKET_ADDRESS: market(**above)})

    assert at.native is not None
    assert below.native is not None
    names = ("lowest_reserve_deposit_liquidation_ltv", "highest_borrow_factor_pct")
    assert [at.native[name] for name in names] == [80, 150]
    assert [below.native[name] for name in names] == [255, 100]


def test_the_other_positions_of_an_obligation_that_cannot_be_valued_are_still_shown() -> None:
    unit = value({SOL_PRICE: pull(15_000_000_000, confidence=10**9)})

    assert [(position.market, position.amount_raw) for position in unit.positions] == [(USDC, 600 * 10**6)]


def test_rewards_that_are_being_paid_leave_no_number() -> None:
    paying = {SOL: reserve(liquidity={"rewards_amount_available": 5}, config={"rewards_amount_per_slot": 1})}
    capped = paying | {MARKET_ADDRESS: market(reserve_rewards_max_apr_bps=100)}

    assert codes(value(paying)) == []
    assert codes(value(capped)) == ["unsupported_rewards"]


@pytest.mark.parametrize(
    "accounts, unit, code",
    [
        ({}, {"autodeleverage_margin_call_started_timestamp": 900}, "marked_for_deleveraging"),
        (
            {
                SOL: reserve(
                    config={"deposit_limit": 1, "autodeleverage_enabled": 1},
                    liquidity={"deposit_limit_crossed_timestamp": 5},
                )
            },
            {},
            "reserve_deleveraging",
        ),
        (
            {
                MARKET_ADDRESS: market(mature_reserve_debt_liquidation_enabled=1),
                USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config={"debt_maturity_timestamp": 1000}),
            },
            {},
            "debt_is_due",
        ),
    ],
)
def test_what_may_be_liquidated_for_another_reason_has_no_verdict(
    accounts: Accounts, unit: Mapping[str, Any], code: str
) -> None:
    enabled = {MARKET_ADDRESS: market(autodeleverage_enabled=1)}
    held: Any = {"deposits": [(SOL, 10 * 10**9)], "borrows": [(USDC, 600 * 10**6 * ONE)]}

    found = value({**enabled, **accounts}, unit=obligation(**held, **unit))

    assert found.native is not None
    assert (found.liquidatable, found.health_factor_wad) == (None, None)
    assert codes(found) == [code]


def test_a_market_that_liquidates_nobody_for_the_price_says_so() -> None:
    disabled = {MARKET_ADDRESS: market(price_triggered_liquidation_disabled=1)}
    sunk = obligation(deposits=[(SOL, 10 * 10**9)], borrows=[(USDC, 1300 * 10**6 * ONE)])

    unit = value(disabled, unit=sunk)

    assert unit.liquidatable is False
    assert unit.health_factor_wad is not None
    assert unit.health_factor_wad < 10**18
    assert codes(unit) == ["price_triggered_liquidation_disabled"]


def test_debt_that_nothing_stands_behind_has_a_health_of_zero_and_nothing_to_liquidate() -> None:
    unit = value(unit=obligation(borrows=[(USDC, ONE * 10**6)]))

    assert (unit.liquidatable, unit.health_factor_wad) == (False, 0)


def test_without_debt_there_is_no_health_factor() -> None:
    unit = value(unit=obligation(deposits=[(SOL, 10**9)]))

    assert (unit.has_debt, unit.liquidatable, unit.health_factor_wad) == (False, False, None)
    assert unit.native is not None


def test_an_obligation_that_is_gone_holds_and_owes_nothing() -> None:
    spec = venue(MARKET_ADDRESS, "1.22")
    journals = Journals()
    seen = [*BOOK.items(), (UNIT, gone(11))]
    journals.store(Kamino(spec).fold(journals, seen), seen)
    (snapshot,) = journals.unit_snapshots()

    unit = open_book(journals.venue_snapshot(spec, 11, 1000))(snapshot)

    assert (unit.positions, unit.has_debt, unit.health_factor_wad) == ((), False, None)


def test_a_market_that_quotes_in_something_else_has_no_base_unit() -> None:
    unit = value({MARKET_ADDRESS: market(quote_currency=b"SOL")})

    assert unit.native is not None
    assert (unit.base_unit, unit.collateral_base, unit.debt_base) == (None, None, None)
