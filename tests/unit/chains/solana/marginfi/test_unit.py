"""A unit at a block: the program's own numbers, the verdict with interest, positions in tokens, and everything that makes it unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, Side, UnitSnapshot, VenuePrice, VenueUnit
from chains.solana.marginfi import open_book
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.states import GROUP_STATE, TERMS, problem_text
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    ANNS,
    GROUP_KEY,
    JTO,
    JTO_MINT,
    JTO_PRICE,
    NOW,
    SLOT,
    SOL,
    SOL_MINT,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    World,
    bank,
    bits,
    group,
    pyth,
    unit,
)

TEN_SOL, USD = 10 * 10**9, 10**6
HELD = unit({SOL: TEN_SOL}, {USDC: 1000 * USD})
"""Ten SOL at 200, a debt of 1000 USDC at 1."""


def valued(held: UnitSnapshot = HELD, world: World | None = None) -> VenueUnit:
    return open_book((world or World()).snapshot())(held)


def codes(found: VenueUnit) -> list[str]:
    return [reason.code for reason in found.reasons]


def with_bank(name: bytes, **changes: Any) -> World:
    mint, price = {SOL: (SOL_MINT, SOL_PRICE), USDC: (USDC_MINT, USDC_PRICE), JTO: (JTO_MINT, JTO_PRICE)}[name]
    return replace(World(), banks={**World().banks, name: bank(mint, price, **changes)})


def test_native_numbers_are_the_programs_under_its_names() -> None:
    found = valued()

    assert found.native == {
        "asset_value": bits(1500),  # 10 · 200 · 0.75
        "liability_value": bits(1125),  # 1000 · 1.125
        "asset_value_maint": bits(1750),
        "liability_value_maint": bits(1062.5),
        "asset_value_equity": bits(2000),
        "liability_value_equity": bits(1000),
        "asset_value_maint_accrued": bits(1750),
        "liability_value_maint_accrued": bits(1062.5),
        "liquidatable_accrued": 0,
        "liquidatable_stored": 0,
        "account_flags": 0,
    }
    assert found.health_factor_wad == 1_647_058_823_529_411_764  # 1750 / 1062.5
    assert (found.liquidatable, found.has_debt, found.reasons) == (False, True, ())
    assert (found.collateral_base, found.debt_base, found.base_unit) == (2000 * 10**8, 1000 * 10**8, 10**8)
    assert (found.unit_id, found.owner, found.venue_id, found.engine_version) == (ANNS, ANN, "mrgn", "marginfi-0.1.7")


def test_positions_are_tokens_with_interest_and_the_price_without_its_interval() -> None:
    world = replace(World(), time=NOW + 30, prices={**World().prices, SOL_PRICE: pyth(200 * 10**8, confidence=10**8)})
    supply, debt = valued(world=world).positions

    assert (supply.market, supply.asset, supply.side, supply.decimals) == (SOL, SOL_MINT, Side.SUPPLY, 9)
    assert supply.price == VenuePrice(bits(200), ONE, SOL_PRICE, NOW, SLOT - 1)
    assert (supply.counts, supply.liquidation_threshold, supply.protocol_raw) == (True, 8750, TEN_SOL * ONE)
    assert TEN_SOL <= supply.amount_raw < TEN_SOL + 1000
    assert (debt.market, debt.asset, debt.side, debt.counts, debt.liquidation_threshold) == (
        USDC, USDC_MINT, Side.BORROW, True, None,
    )  # fmt: skip
    assert debt.amount_raw == 1_000_000_059  # 10^9 · (0.05 · 1.02 + 0.01) · 30 / 31,536,000 = 58.03


def test_a_supply_is_rounded_down_and_a_debt_up() -> None:
    world = replace(
        World(), banks={**World().banks, SOL: bank(asset_share_value=ONE + 1, liability_share_value=ONE + 1)}
    )
    held = UnitSnapshot(
        unit_id=ANNS,
        owner=ANN,
        positions={(SOL, Side.SUPPLY): 7 * ONE, (USDC, Side.BORROW): 7 * ONE + 1},
        settings=unit({}, {}).settings,
    )

    supply, debt = valued(held, world).positions

    assert (supply.amount_raw, debt.amount_raw) == (7, 8)


def test_the_verdict_is_the_one_with_interest() -> None:
    """A debt that is covered by what is stored, and is not by what the bank would store after an hour of interest."""
    owed = 1_750_000_000 * 10_000 // 10_625 - 100  # just under 1750 / 1.0625 USDC
    world = replace(World(), time=NOW + 60)

    found = valued(unit({SOL: TEN_SOL}, {USDC: owed}), world)

    assert found.native is not None
    assert (found.native["liquidatable_stored"], found.native["liquidatable_accrued"]) == (0, 1)
    assert found.liquidatable is True
    assert found.health_factor_wad is not None
    assert 999_999 * 10**12 < found.health_factor_wad < 10**18


def test_exactly_as_much_is_too_little() -> None:
    found = valued(unit({SOL: 17 * 10**9}, {USDC: 2800 * USD}))  # 17 · 200 · 0.875 = 2975 = 2800 · 1.0625

    assert found.native is not None
    assert found.native["asset_value_maint"] == found.native["liability_value_maint"] == bits(2975)
    assert found.liquidatable is True
    assert found.health_factor_wad == 10**18 - 1


def test_without_a_debt_there_is_no_health_factor_and_nothing_to_liquidate() -> None:
    found = valued(unit({SOL: TEN_SOL}, {}))

    assert (found.health_factor_wad, found.liquidatable, found.has_debt) == (None, False, False)


def test_an_account_with_nothing_has_nothing() -> None:
    found = valued(unit({}, {}))

    assert (found.positions, found.collateral_base, found.debt_base) == ((), 0, 0)
    assert (found.liquidatable, found.reasons) == (False, ())


def test_a_debt_below_one_share_is_none() -> None:
    dust = UnitSnapshot(
        unit_id=ANNS, owner=ANN, positions={(USDC, Side.BORROW): ONE - 1}, settings=unit({}, {}).settings
    )

    found = valued(dust)

    assert (found.has_debt, found.liquidatable, found.health_factor_wad) == (False, False, None)
    assert [(position.amount_raw, position.counts) for position in found.positions] == [(1, False)]


def test_isolated_deposits_are_shown_and_do_not_count() -> None:
    found = valued(unit({JTO: TEN_SOL}, {USDC: USD}), with_bank(JTO, risk_tier=1))

    assert [(p.counts, p.liquidation_threshold) for p in found.positions if p.side is Side.SUPPLY] == [(False, 0)]
    assert (found.collateral_base, found.liquidatable) == (0, True)


def test_emode_is_in_the_threshold() -> None:
    favouring = [{"collateral_bank_emode_tag": 7, "asset_weight_init": bits(0.875), "asset_weight_maint": bits(0.9375)}]
    banks = {SOL: bank(emode_tag=7), USDC: bank(USDC_MINT, USDC_PRICE, mint_decimals=6, emode=favouring)}
    found = valued(world=replace(World(), banks=banks))

    assert found.positions[0].liquidation_threshold == 9375
    assert found.native is not None
    assert found.native["asset_value_maint"] == bits(1875)


def test_a_threshold_is_rounded_down() -> None:
    world = with_bank(SOL, asset_weight_maint=bits(0.95) - 1)

    assert valued(world=world).positions[0].liquidation_threshold == 9499


def test_where_only_the_initial_check_fails_its_numbers_are_left_out_and_the_reason_is_listed() -> None:
    wide = pyth(200 * 10**8, ema_price=200 * 10**8, ema_confidence=20 * 10**8)
    found = valued(world=replace(World(), prices={**World().prices, SOL_PRICE: wide}))

    assert found.native is not None
    assert "asset_value" not in found.native
    assert "asset_value_equity" not in found.native
    assert found.native["asset_value_maint"] == bits(1750)
    assert (codes(found), found.liquidatable) == (["initial_confidence_too_wide"], False)


# What makes a unit unknown


def unknown(found: VenueUnit, code: str) -> Reason:
    assert (found.native, found.health_factor_wad, found.liquidatable) == (None, None, None)
    assert (found.collateral_base, found.debt_base) == (None, None)
    return next(reason for reason in found.reasons if reason.code == code)


def test_a_stale_price_of_what_is_held_or_owed_makes_the_unit_unknown() -> None:
    for price in (SOL_PRICE, USDC_PRICE):
        stale = replace(World(), prices={**World().prices, price: pyth(1, published=NOW - 61)})
        found = valued(world=stale)
        reason = unknown(found, "price_stale")
        assert reason.subject == base58(SOL if price == SOL_PRICE else USDC)
        assert found.has_debt
        assert {p.price is None for p in found.positions if p.market == (SOL if price == SOL_PRICE else USDC)} == {True}


def test_a_stale_price_of_another_bank_changes_nothing() -> None:
    assert valued(world=replace(World(), prices={**World().prices, JTO_PRICE: pyth(1, published=0)})).reasons == ()


@pytest.mark.parametrize("setup", [5, 6, 9, 11])
def test_a_bank_whose_price_is_not_read_here_is_named(setup: int) -> None:
    reason = unknown(valued(world=with_bank(SOL, oracle_setup=setup)), "unsupported_oracle")

    assert reason.subject == base58(SOL)


@pytest.mark.parametrize("tag, name", [(3, "Kamino"), (4, "Drift"), (5, "Solend")])
def test_deposits_that_are_positions_in_another_protocol_are_no_amounts(tag: int, name: str) -> None:
    found = valued(world=with_bank(SOL, asset_tag=tag, oracle_setup=6))

    assert name in unknown(found, "unsupported_integration").detail
    assert [position.market for position in found.positions] == [USDC]


def test_staked_collateral_has_amounts_and_no_price() -> None:
    found = valued(world=with_bank(SOL, asset_tag=2, oracle_setup=5))

    unknown(found, "unsupported_oracle")
    supply = found.positions[0]
    assert (supply.market, supply.amount_raw, supply.price) == (SOL, TEN_SOL, None)


def test_a_bank_that_was_not_read_or_is_none_any_more() -> None:
    without = replace(World(), banks={USDC: World().banks[USDC]})
    gone = replace(World(), others={(SOL, TERMS): problem_text("there is no account at this address")})

    assert unknown(valued(world=without), "bank_unknown").subject == base58(SOL)
    assert unknown(valued(world=gone), "bank_unreadable").detail == "there is no account at this address"


def test_a_group_that_was_not_read_or_is_none() -> None:
    odd = replace(World(), others={(WHOLE_VENUE, GROUP_STATE): problem_text("it is gone")})

    assert unknown(valued(world=odd), "group_unreadable").subject == base58(GROUP_KEY)


def test_interest_that_the_program_cannot_compute() -> None:
    early = replace(World(), time=NOW - 1, prices={name: pyth(10**8, published=NOW - 1) for name in World().prices})
    odd_curve = with_bank(USDC, curve_type=9, mint_decimals=6, last_update=NOW - 1)

    assert "1 s later" in unknown(valued(world=early), "interest_unknown").detail
    assert "kind 9" in unknown(valued(world=odd_curve), "interest_unknown").detail


@pytest.mark.parametrize("flag", [9, 11, 12, 13, 63])
def test_a_bank_with_flags_of_a_later_version_is_not_valued(flag: int) -> None:
    reason = unknown(valued(world=with_bank(USDC, flags=1 << flag)), "unsupported_version")

    assert (reason.subject, f"{1 << flag:#x}" in reason.detail) == (base58(USDC), True)


def test_flags_that_are_known_change_nothing() -> None:
    assert valued(world=with_bank(USDC, mint_decimals=6, flags=2**9 - 1)).reasons == ()


def test_a_program_that_marks_accounts_as_a_later_version_is_not_valued() -> None:
    for mark, fits in (("5", True), ("6", False)):
        found = valued(world=replace(World(), others={(WHOLE_VENUE, "program"): json.dumps(mark)}))
        assert (found.reasons == ()) is fits
        if not fits:
            assert "marks accounts with 6" in unknown(found, "unsupported_version").detail


def test_a_program_of_0_1_0_marks_nothing() -> None:
    early = replace(World(), options={"version": "0.1.0"})
    marked = replace(early, others={(WHOLE_VENUE, "program"): '"1"'})

    assert valued(world=early).engine_version == "marginfi-0.1.0"
    unknown(valued(world=marked), "unsupported_version")


def test_collateral_of_the_debts_own_mint_is_not_valued_where_the_group_favours_it() -> None:
    favouring = replace(World(), group=group(same_asset_emode_maint_leverage=1))
    banks = {**World().banks, JTO: bank(USDC_MINT, USDC_PRICE, mint_decimals=6)}
    both = unit({JTO: TEN_SOL}, {USDC: USD})

    unknown(valued(both, replace(favouring, banks=banks)), "unsupported_version")
    assert valued(world=favouring).reasons == ()
    assert valued(both, replace(World(), banks=banks)).reasons == ()


def test_a_bank_on_both_sides_fails_the_check() -> None:
    unknown(valued(unit({SOL: TEN_SOL, USDC: USD}, {USDC: USD})), "both_sides")


def test_an_account_in_a_flash_loan_is_not_checked() -> None:
    unknown(valued(unit({SOL: TEN_SOL}, {USDC: USD}, flags=2)), "in_flashloan")


def test_other_flags_are_shown() -> None:
    found = valued(unit({SOL: TEN_SOL}, {USDC: USD}, flags=65))

    assert found.native is not None
    assert found.native["account_flags"] == 65


def test_an_account_that_cannot_be_read_any_more_is_in_doubt() -> None:
    spoilt = unit({SOL: TEN_SOL}, {USDC: USD}, account=problem_text("the account has 2313 bytes"))

    assert unknown(valued(spoilt), "account_unreadable").subject == base58(ANNS)


def test_an_amount_of_more_than_38_digits_is_a_debt_that_nobody_can_tell() -> None:
    settings = {**unit({SOL: TEN_SOL}, {}).settings, (USDC, "wide_amount:borrow"): json.dumps(str(10**38))}
    found = valued(replace(unit({SOL: TEN_SOL}, {}), settings=settings))

    unknown(found, "amount_too_wide")
    assert found.has_debt


def test_a_value_that_overflows_is_a_refusal() -> None:
    dear = replace(World(), prices={**World().prices, SOL_PRICE: pyth(2**38, exponent=0)})

    unknown(valued(unit({SOL: 2**50}, {USDC: USD}), dear), "program_overflows")


def test_each_reason_is_listed_once() -> None:
    stale = replace(World(), prices={**World().prices, SOL_PRICE: pyth(1, published=NOW - 61)})
    found = valued(world=stale)

    assert len(set(found.reasons)) == len(found.reasons)
