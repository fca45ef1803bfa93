"""The program's check of an account, by hand: weights, e-mode, isolated and reduced banks, limits, and what is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import Reason
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.health import Balance, Leg, Requirement, Values, check
from chains.solana.marginfi.prices import Quote, Sides
from chains.solana.marginfi.states import Bank, bank_of, bank_texts
from tests.unit.chains.solana.marginfi.builders import JTO, SOL, USDC, bank, bits

INITIAL, MAINTENANCE, EQUITY = Requirement
STALE = Reason("price_stale", "", "")


def leg(
    name: bytes, price: Quote | Reason, *, held: float = 0, owed: float = 0, shares: int | None = None, **changes: Any
) -> Leg:
    """Tokens of a bank; `shares`: exactly these I80F48 bits are held instead."""
    found = bank_of(name, *bank_texts(bank(**changes)))
    assert isinstance(found, Bank)
    exact = round(held * 10**9) * ONE if shares is None else shares
    return Leg(Balance(name, exact, round(owed * 10**9) * ONE), found, found.totals, price)


def at(price: float, interval: float = 0, *, average: float | None = None) -> Quote:
    mean = price if average is None else average
    return Quote(
        spot=Sides(bits(price), bits(interval)),
        average=Sides(bits(mean), bits(interval)),
        source=b"",
        updated_at=0,
        slot=0,
    )


def checked(requirement: Requirement, *legs: Leg) -> tuple[float, float]:
    found = check(legs, requirement)
    assert isinstance(found, Values)
    return found.assets / ONE, found.liabilities / ONE


def test_each_requirement_has_its_weights() -> None:
    legs = leg(SOL, at(200), held=10), leg(USDC, at(1), owed=1000)

    assert checked(INITIAL, *legs) == (1500, 1250)  # 10 · 200 · 0.75, 1000 · 1.25
    assert checked(MAINTENANCE, *legs) == (1750, 1125)
    assert checked(EQUITY, *legs) == (2000, 1000)


def test_deposits_are_taken_at_the_low_and_debts_at_the_high_of_their_interval() -> None:
    legs = leg(SOL, at(200, 8), held=10), leg(USDC, at(1, 0.25), owed=1000)

    assert checked(EQUITY, *legs) == (1920, 1250)


def test_only_maintenance_looks_at_the_spot_price() -> None:
    legs = leg(SOL, at(200, average=100), held=10), leg(USDC, at(1, average=2), owed=1000)

    assert checked(MAINTENANCE, *legs) == (1750, 1125)
    assert checked(EQUITY, *legs) == (1000, 2000)


def test_isolated_deposits_are_worth_nothing_even_without_a_price() -> None:
    legs = leg(JTO, STALE, held=10, risk_tier=1), leg(USDC, at(1), owed=1000)

    assert checked(EQUITY, *legs) == (0, 1000)
    assert checked(MAINTENANCE, *legs) == (0, 1125)


def test_isolated_debts_count_like_any() -> None:
    assert checked(MAINTENANCE, leg(JTO, at(4), owed=10, risk_tier=1)) == (0, 45)


def test_a_reduce_only_bank_backs_no_new_debt_and_still_keeps_old() -> None:
    held = leg(SOL, at(200), held=10, operational_state=2)

    assert checked(INITIAL, held) == (0, 0)
    assert checked(MAINTENANCE, held) == (1750, 0)


def test_the_initial_value_of_a_bank_with_a_limit_shrinks_in_proportion() -> None:
    held = leg(SOL, at(200), held=10, total_asset_value_init_limit=50_000)  # 1000 tokens are worth 200,000

    assert checked(INITIAL, held) == (375, 0)  # 10 · 200 · 0.75 / 4
    assert checked(MAINTENANCE, held) == (1750, 0)
    assert checked(INITIAL, leg(SOL, at(200), held=10, total_asset_value_init_limit=200_000)) == (1500, 0)


@pytest.mark.parametrize("code", ["price_stale", "price_not_verified", "price_unreadable"])
def test_a_deposit_whose_price_is_refused_backs_nothing_new_and_fails_the_other_checks(code: str) -> None:
    refused = Reason(code, "", "")
    held = leg(SOL, refused, held=10)

    assert checked(INITIAL, held) == (0, 0)
    assert check([held], MAINTENANCE) == refused
    assert check([held], EQUITY) == refused


def test_a_deposit_whose_price_is_only_unknown_here_is_not_taken_for_nothing() -> None:
    unknown = Reason("unsupported_oracle", "", "")

    assert check([leg(SOL, unknown, held=10)], INITIAL) == unknown


def test_a_debt_whose_price_is_refused_fails_every_check() -> None:
    for requirement in Requirement:
        assert check([leg(USDC, STALE, owed=1)], requirement) == STALE


def test_a_side_of_less_than_one_share_is_none() -> None:
    dust = leg(SOL, STALE, shares=ONE - 1)
    assert checked(MAINTENANCE, dust) == (0, 0)
    assert checked(MAINTENANCE, leg(SOL, at(2**20), shares=ONE))[0] > 0


def test_values_are_rounded_down_in_the_programs_order() -> None:
    held = leg(SOL, Quote(spot=Sides(3, 0), average=Sides(3, 0), source=b"", updated_at=0, slot=0), shares=ONE + 2**46)
    weighed = (ONE + 2**46) * bits(0.875) >> 48

    assert check([held], MAINTENANCE) == Values((weighed * 3 >> 48) * ONE // (10**9 * ONE), 0)


def entry(tag: int, init: float, maint: float) -> dict[str, int]:
    return {"collateral_bank_emode_tag": tag, "asset_weight_init": bits(init), "asset_weight_maint": bits(maint)}


def test_emode_raises_the_weight_of_favoured_collateral() -> None:
    held = leg(SOL, at(100), held=1, emode_tag=7)

    assert checked(MAINTENANCE, held, leg(USDC, at(1), owed=1, emode=[entry(7, 0.8125, 0.9375)]))[0] == 93.75
    assert checked(INITIAL, held, leg(USDC, at(1), owed=1, emode=[entry(7, 0.8125, 0.9375)]))[0] == 81.25
    assert checked(EQUITY, held, leg(USDC, at(1), owed=1, emode=[entry(7, 0.8125, 0.9375)]))[0] == 100


def test_emode_never_lowers_a_weight() -> None:
    held = leg(SOL, at(100), held=1, emode_tag=7)

    assert checked(MAINTENANCE, held, leg(USDC, at(1), owed=1, emode=[entry(7, 0.5, 0.5)]))[0] == 87.5


def test_only_what_all_debts_favour_is_favoured_at_the_least_of_their_weights() -> None:
    held = leg(SOL, at(100), held=1, emode_tag=7)
    first = leg(USDC, at(1), owed=1, emode=[entry(7, 0.8125, 0.9375), entry(8, 0.9, 0.9)])
    second = leg(JTO, at(1), owed=1, emode=[entry(7, 0.875, 0.90625)])

    assert checked(MAINTENANCE, held, first, second)[0] == 90.625
    assert checked(INITIAL, held, first, second)[0] == 81.25
    assert checked(MAINTENANCE, held, first, leg(JTO, at(1), owed=1))[0] == 87.5


def test_only_debts_decide_on_emode_and_tag_zero_is_none() -> None:
    favouring = [entry(7, 1, 1)]

    assert checked(MAINTENANCE, leg(SOL, at(100), held=1, emode_tag=7, emode=favouring))[0] == 87.5
    assert checked(MAINTENANCE, leg(SOL, at(100), held=1), leg(USDC, at(1), owed=1, emode=favouring))[0] == 87.5


def test_an_overflow_is_a_reason_with_the_banks_name() -> None:
    found = check([leg(SOL, at(2**70), shares=2**126)], EQUITY)

    assert isinstance(found, Reason)
    assert (found.code, found.subject) == ("program_overflows", base58(SOL))
