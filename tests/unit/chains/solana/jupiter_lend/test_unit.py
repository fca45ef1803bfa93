"""A position's own numbers: amounts with interest, up to where it may stand, and when nobody can say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chains.liquidating import WAD
from chains.model import Side, VenueUnit
from chains.solana.jupiter_lend.fold import reserve_address
from chains.solana.jupiter_lend.layout import CONFIG
from chains.solana.jupiter_lend.liquidating import is_liquidatable
from chains.solana.jupiter_lend.maths import COLD_TICK
from chains.solana.jupiter_lend.settle import Settled
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
    pyth,
)
from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import RATE

SETTING = Setting()
CONFIG_KEY, STATE_KEY = (derived(name, number(7, 2)) for name in ("vault_config", "vault_state"))


def lent(debt: int = 100 * 10**9) -> ModelVault:
    """A vault with one position: one collateral token, and a debt."""
    vault = ModelVault()
    vault.operate(vault.open(), 10**9, debt, 150 * RATE)
    return vault


def valued(accounts: Accounts, *, time: int = SETTING.time) -> VenueUnit:
    journals = Journals()
    journals.fold(accounts)
    (unit,) = journals.units(1_000, time).values()
    return unit


def codes(unit: VenueUnit) -> list[str]:
    return [reason.code for reason in unit.reasons if reason.code != "holder_unknown"]


def at_price(vault: ModelVault, price: int) -> VenueUnit:
    return valued(accounts_of(vault, replace(SETTING, price=price), 5))


def test_a_position_may_be_liquidated_just_where_its_tick_is_above_the_vaults() -> None:
    vault = lent()
    tick = vault.positions[1].tick
    seen = set()
    for price in range(11_600_000_000, 11_900_000_000, 3_000_000):
        unit = at_price(vault, price)
        assert unit.native is not None
        assert unit.health_factor_wad is not None
        _, lower, upper = vault.ticks_at(price * 10**7)
        assert (unit.native["liquidation_tick"], unit.native["max_tick"]) == (lower, upper)
        assert unit.liquidatable is (tick > lower) is (unit.health_factor_wad < WAD)
        seen.add(unit.liquidatable)
    assert seen == {True, False}


def test_what_was_liquidated_to_the_very_edge_is_left_alone() -> None:
    assert not is_liquidatable(Settled(1, 1, 101, liquidated=True, partials=1), 100)
    assert is_liquidatable(Settled(1, 1, 101, liquidated=True, partials=2), 100)
    assert is_liquidatable(Settled(1, 1, 101), 100)
    assert is_liquidatable(Settled(1, 1, 102, liquidated=True, partials=1), 100)
    assert not is_liquidatable(Settled(1, 1, 100), 100)


def test_a_position_above_the_highest_tick_is_taken_whole() -> None:
    unit = at_price(lent(debt=119 * 10**9), 13_000_000_000)

    assert unit.native is not None
    assert (unit.native["liquidatable"], unit.native["absorbable"]) == (1, 1)


def test_amounts_are_in_tokens_collateral_down_and_debt_up() -> None:
    vault = lent()
    vault.supply_price, vault.borrow_price = 1_100_000_000_007, 1_250_000_000_001
    unit = valued(accounts_of(vault, replace(SETTING, supply_decimals=8), 5))

    held = {position.side: position for position in unit.positions}
    owed = vault.fetch(1).debt
    assert held[Side.SUPPLY].amount_raw == 10**9 * 1_100_000_000_007 // 10**12 // 10
    with_interest = -(-owed * 1_250_000_000_001 // 10**12)
    assert held[Side.BORROW].amount_raw == -(-with_interest // 1000)
    assert (held[Side.SUPPLY].protocol_raw, held[Side.BORROW].protocol_raw) == (10**9, owed)
    assert (held[Side.SUPPLY].decimals, held[Side.BORROW].decimals) == (8, 6)
    assert held[Side.SUPPLY].liquidation_threshold == 8500
    price = held[Side.SUPPLY].price
    assert price is not None
    assert (price.answer_raw, price.unit_raw, price.source) == (150 * RATE, RATE, ORACLE_KEY)
    assert unit.collateral_base == 10**9 * 1_100_000_000_007 // 10**12 * 150
    assert unit.base_unit == 10**9
    assert unit.native is not None
    assert (unit.native["supply"], unit.native["borrow"]) == (
        held[Side.SUPPLY].amount_raw,
        held[Side.BORROW].amount_raw,
    )


def test_interest_runs_to_the_blocks_time() -> None:
    values = {
        "borrow_rate": 1000, "last_utilization": 8000, "fee_on_interest": 1000,
        "total_supply_with_interest": 10**12, "total_borrow_with_interest": 8 * 10**11,
    }  # fmt: skip
    setting = replace(SETTING, reserve=values, supply_magnifier=100, borrow_magnifier=-50)
    year = 31_536_000
    accounts = accounts_of(lent(), setting, 5)
    accounts[FEED_KEY] = pyth(15_000_000_000, 1, -8, SETTING.time + year, 5)
    unit = valued(accounts, time=SETTING.time + year)

    assert unit.native is not None
    # a tenth of eight tenths, less a tenth of it, and one percent besides; a tenth less half a percent
    assert unit.native["supply_ex_price"] == 10**12 + 72 * 10**9 + 10**10
    assert unit.native["borrow_ex_price"] == 10**12 + 10**11 - 5 * 10**9


def test_a_position_without_debt_needs_no_oracle() -> None:
    vault = ModelVault()
    vault.operate(vault.open(), 10**9, 0, 150 * RATE)
    accounts = accounts_of(vault, SETTING, 5)
    del accounts[FEED_KEY]
    unit = valued(accounts)

    assert unit.native is not None
    assert (unit.native["supply"], unit.native["borrow"], unit.native["tick"]) == (10**9, 0, COLD_TICK)
    assert (unit.has_debt, unit.liquidatable, unit.health_factor_wad) == (False, False, None)
    assert unit.positions[0].price is None
    assert codes(unit) == ["oracle_source_unknown"]


def test_an_old_price_refuses_what_an_owner_does_before_it_refuses_a_liquidation() -> None:
    accounts = accounts_of(lent(), SETTING, 5)
    fresh, older, old = (valued(accounts, time=SETTING.time + age) for age in (600, 601, 7201))

    assert fresh.native is not None
    assert older.native is not None
    assert "collateral_factor_tick" in fresh.native
    assert "collateral_factor_tick" not in older.native
    assert codes(fresh) == []
    assert codes(older) == ["operate_oracle_refused"]
    assert (old.native, old.liquidatable, old.has_debt) == (None, None, True)
    assert codes(old)[0] == "oracle_refused"
    assert "PriceTooOld" in old.reasons[0].detail


@pytest.mark.parametrize(
    "price, exponent",
    [(10**18, -8), (1, -13)],
    ids=["more than the vault believes", "no tick is that low"],
)
def test_prices_that_a_vault_does_not_believe_are_refused(price: int, exponent: int) -> None:
    accounts = accounts_of(lent(), SETTING, 5)
    accounts[FEED_KEY] = pyth(price, 0, exponent, SETTING.time, 5)
    unit = valued(accounts)

    assert unit.native is None
    assert codes(unit)[0] == "oracle_refused"


@pytest.mark.parametrize(
    "missing, code",
    [
        (CONFIG_KEY, "vault_unknown"),
        (STATE_KEY, "vault_unknown"),
        (derived("vault_metadata", number(7, 2)), "vault_unknown"),
        (reserve_address(COLLATERAL), "reserve_unknown"),
        (reserve_address(LOAN), "reserve_unknown"),
        (ORACLE_KEY, "oracle_unknown"),
        (FEED_KEY, "oracle_source_unknown"),
    ],
)
def test_what_was_never_read_makes_a_debt_unknown(missing: bytes, code: str) -> None:
    accounts = accounts_of(lent(), SETTING, 5)
    del accounts[missing]
    unit = valued(accounts)

    assert (unit.native, unit.liquidatable, unit.has_debt) == (None, None, True)
    assert code in codes(unit)


@pytest.mark.parametrize(
    "lost, code",
    [
        (STATE_KEY, "vault_unreadable"),
        (reserve_address(LOAN), "reserve_unreadable"),
        (FEED_KEY, "oracle_source_unknown"),
    ],
)
def test_what_is_gone_makes_a_debt_unknown(lost: bytes, code: str) -> None:
    journals = Journals()
    journals.fold(accounts_of(lent(), SETTING, 5))
    journals.fold({lost: gone(6)})
    (unit,) = journals.units(6, SETTING.time).values()

    assert unit.native is None
    assert code in codes(unit)


def test_a_clock_behind_what_is_stored_is_refused() -> None:
    unit = valued(accounts_of(lent(), SETTING, 5), time=SETTING.time - 1)

    assert unit.native is None
    assert codes(unit)[0] == "exchange_price_refused"


def test_programs_that_are_not_known_are_named() -> None:
    accounts = accounts_of(lent(), SETTING, 5)
    config = bytearray(accounts[CONFIG_KEY].data)
    at = CONFIG.fields["oracle_program"][0]
    config[at : at + 32] = b"\x13" * 32
    unit = valued(accounts | {CONFIG_KEY: account(PROGRAM, bytes(config), 5)})

    assert unit.native is None
    assert codes(unit)[0] == "unsupported_program"


def test_a_source_of_a_kind_that_came_later_is_named() -> None:
    accounts = accounts_of(lent(), SETTING, 5)
    unit = valued(accounts | {ORACLE_KEY: oracle([(FEED_KEY, False, 7)], 5)})

    assert unit.native is None
    assert codes(unit)[0] == "oracle_source_unknown"
    assert "kind 7" in unit.reasons[0].detail


def test_more_decimals_than_the_program_takes_are_refused() -> None:
    unit = valued(accounts_of(lent(), replace(SETTING, borrow_decimals=10), 5))

    assert unit.native is None
    assert "vault_refused" in codes(unit)


def test_the_version_is_said() -> None:
    assert valued(accounts_of(lent(), SETTING, 5)).engine_version == "2026-02"
    assert VENUE.options.get("version") is None
