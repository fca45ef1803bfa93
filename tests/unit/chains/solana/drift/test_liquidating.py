"""An account of deposits and loans as `liquidate_spot` takes it: what the program's own tests state, and what holds for any account.

protocol-v2 `controller/liquidation/tests.rs`, `math/liquidation/tests.rs`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chains.model import Reason
from chains.solana.drift.accounts import BANKRUPT
from chains.solana.drift.liquidating import Liquidable, Side, implied_by, insurance_fee, to_cover, transferred
from chains.solana.drift.oracles import SOURCES
from chains.solana.drift.states import LIQUIDATIONS_PAUSED
from tests.support.drift_runs import DUMPS, STATE_KEY, Journals, dump, dust_case, state_bytes
from tests.unit.chains.solana.drift.builders import (
    ANNS,
    LONG_SOL,
    SOL,
    SOL_MINT,
    USDC,
    USDC_MINT,
    World,
    deposit,
    loan,
    quote_market,
    spot_market,
    user,
)
from tests.unit.chains.solana.drift.test_spot import market

WAD, USD, TOKEN = 10**18, 10**6, 10**9
QUOTE_ASSET = SOURCES.index("QuoteAsset")
FEE = 10**6
STATED = {"decimals": 6, "liquidator_fee": FEE // 1_000, "borrow_balance": TOKEN, "deposit_balance": TOKEN}


def exposed_of(data: bytes, *, buffer: int = 10, quote: Any = None, **sol: Any) -> Liquidable | tuple[Reason, ...]:
    """An account where SOL is at 100 USD, weighs 0.9 as a deposit and 1.1 as a loan."""
    accounts = {
        STATE_KEY: state_bytes(buffer=buffer),
        USDC: quote_market(oracle_source=QUOTE_ASSET, oracle=bytes(32), **(quote or {})),
        SOL: spot_market(**sol),
    }
    found = World(accounts=dict(accounts)).value(data)
    assert found.liquidating is not None
    exposed = found.liquidating()
    assert isinstance(exposed, Liquidable | tuple)
    return exposed


def short(usdc: int, sol: int, **changes: Any) -> Liquidable:
    """An account with USDC that owes SOL, both scaled balances."""
    found = exposed_of(user(spot=[deposit(0, usdc), loan(1, sol)]), **(STATED | changes))
    assert isinstance(found, Liquidable), found
    return found


def test_a_loan_is_taken_over_for_all_of_a_deposit_that_does_not_cover_it() -> None:
    exposed = short(100 * TOKEN, TOKEN)

    assert exposed.most(USDC, SOL, 10**6) == 999_000
    left, done = exposed.taken(USDC, SOL, 999_000)
    # the program: balances of 0 and 999,999, of which nobody takes anything any more
    assert [(each.market, each.amount_raw) for each in done.seized] == [(USDC, 100 * USD)]
    assert [(each.market, each.amount_raw) for each in done.forgiven] == [(SOL, 1_000)]
    assert left.balances == {}


def test_no_more_than_a_liquidator_asks_for_is_taken_over() -> None:
    exposed = short(100 * TOKEN, TOKEN)

    left, done = exposed.taken(USDC, SOL, 100_000)
    assert left.balances == {0: 89_989_990_000, 1: 899_999_999}
    assert done.seized[0].amount_raw == 10_010_010
    assert done.fee == ()


def test_as_much_as_brings_back_the_requirement_with_its_buffer_and_the_insurance_s_fee_stays_owed() -> None:
    exposed = short(105 * TOKEN, TOKEN, buffer=200, if_liquidation_fee=FEE // 1_000)

    assert exposed.most(USDC, SOL) == 593_824
    left, done = exposed.taken(USDC, SOL, 593_824)
    assert left.balances == {0: 45_558_159_000, 1: 406_768_999}
    assert done.relieved[0].amount_raw == 593_824 - 593
    assert left.most(USDC, SOL) == 0
    # 45.558159 of collateral for 110 % of what 406,769 raw units are worth
    assert left.health_factor_wad == 45_558_159 * WAD // 44_744_590


def test_a_liquidation_goes_on_until_the_buffer_is_covered_too() -> None:
    exposed = short(105 * TOKEN, TOKEN, buffer=200, if_liquidation_fee=FEE // 1_000)
    left, _ = exposed.taken(USDC, SOL, 500_000)

    # 54.949… of collateral for 55 of requirement and 1 of buffer; above the requirement nobody would begin
    assert left.user.is_being_liquidated
    further, _ = left.taken(USDC, SOL, left.most(USDC, SOL))
    assert not further.user.is_being_liquidated


def side(decimals: int, price: int, amount: int, multiplier: int = FEE, **fields: int) -> Side:
    return Side(market(decimals=decimals, **fields), price, amount, multiplier)


@pytest.mark.parametrize(
    "premium, discount, fee, transfer",
    [
        (FEE, FEE, 0, 250_000_000),
        (FEE * 110 // 100, FEE * 90 // 100, 0, 449_984_250),
        (FEE, FEE, FEE // 100, 257_731_958),
        (FEE * 110 // 100, FEE * 90 // 100, FEE // 100, 475_669_504),
    ],
)
def test_how_much_covers_a_shortage_of_ten_dollars(premium: int, discount: int, fee: int, transfer: int) -> None:
    sides = side(6, USD, 0, premium), side(9, 100 * USD, 0, discount)

    assert to_cover(10 * USD, (8_000, 12_000), sides, fee) == transfer


@pytest.mark.parametrize("premium, discount, transfer", [(FEE, FEE, 100_000_000), (1_010_000, 990_000, 98_019_802)])
def test_how_much_a_deposit_of_ten_dollars_pays_for(premium: int, discount: int, transfer: int) -> None:
    assert implied_by(side(6, USD, 10 * USD, premium), side(9, 100 * USD, 0, discount)) in {transfer, transfer + 1}


@pytest.mark.parametrize(
    "held, premium, discount, transfer", [(100, FEE, FEE, 100_000_000), (200, 1_010_000, 990_000, 102_020_202)]
)
def test_what_goes_for_one_token(held: int, premium: int, discount: int, transfer: int) -> None:
    assert transferred(side(6, USD, held * USD, premium), side(9, 100 * USD, 0, discount), TOKEN) == transfer


@pytest.mark.parametrize("shortage, fee", [(5 * USD, 36_363), (100 * USD, 0), (USD, 50_000)])
def test_insurance_takes_no_more_than_the_account_can_bear(shortage: int, fee: int) -> None:
    sides = side(6, USD, 0, 1_010_000), side(9, 100 * USD, TOKEN)

    assert insurance_fee(shortage, (10_000, 11_000), sides, FEE // 20) == fee


@pytest.mark.skipif(not DUMPS.exists(), reason="the dumps are not in ../shared/fixtures/solana")
def test_dust_on_mainnet_that_lacks_less_than_a_raw_unit_is_left_alone_as_the_program_leaves_it() -> None:
    accounts, at = dust_case()
    journals = Journals()
    journals.fold(accounts)
    key, _ = dump("user")
    unit = journals.value(key, at)
    exposed = unit.liquidating() if unit.liquidating else ()

    assert isinstance(exposed, Liquidable), exposed
    (pledged,), (owed,) = exposed.collaterals, exposed.debts
    assert (pledged.amount_raw, owed.amount_raw) == (5_915, 1)
    assert (exposed.health_factor_wad or WAD) < WAD
    assert exposed.most(pledged.market, owed.market) == 0


PAUSED = {"paused_operations": LIQUIDATIONS_PAUSED}


@pytest.mark.parametrize("paused", [PAUSED, {"quote": PAUSED}])
def test_where_liquidations_are_paused_nobody_takes_anything(paused: dict[str, Any]) -> None:
    assert short(100 * TOKEN, TOKEN, **paused).most(USDC, SOL) == 0


def test_what_is_bankrupt_nobody_takes_anything_of() -> None:
    found = exposed_of(user(spot=[deposit(0, 100 * TOKEN), loan(1, TOKEN)], status=BANKRUPT), **STATED)

    assert isinstance(found, Liquidable)
    assert found.most(USDC, SOL) == 0


@pytest.mark.parametrize(
    "data, detail",
    [
        (user(spot=[deposit(0, 100 * TOKEN)], perp=[LONG_SOL]), "perp positions"),
        (user(spot=[deposit(0, 100 * TOKEN), loan(1, TOKEN, open_orders=1)]), "orders"),
    ],
)
def test_what_is_not_simulated_is_named(data: bytes, detail: str) -> None:
    found = exposed_of(data, **STATED)

    assert isinstance(found, tuple)
    assert [reason.code for reason in found] == ["liquidation_unknown"]
    assert detail in found[0].detail


def test_what_an_older_journal_does_not_hold_is_named_and_nothing_guessed() -> None:
    world = World(accounts={SOL: spot_market(**STATED)})
    world.value(user(spot=[deposit(0, 100 * TOKEN), loan(1, TOKEN)]))
    texts = {
        key: text.replace('"liquidator_fee":1000,', "") if key[0] == SOL else text
        for key, text in world.journals.tips.aspects.items()
    }
    assert texts != world.journals.tips.aspects
    world.journals.tips.aspects = texts
    unit = world.journals.value(ANNS, world.at)
    found = unit.liquidating() if unit.liquidating else ()

    assert isinstance(found, tuple)
    assert [reason.code for reason in found] == ["liquidation_unknown"]


def test_what_the_program_cannot_compute_is_unknown_and_nobody_is_liquidated() -> None:
    exposed = short(100 * TOKEN, TOKEN).moved({SOL_MINT: Fraction(10**40)})

    assert exposed.health_factor_wad is None
    assert exposed.most(USDC, SOL) == 0


AMOUNTS = st.integers(10**3, 10**12)
MOVES = st.fractions(Fraction(1, 50), Fraction(30))


def any_short(usdc: int, sol: int, move: Fraction) -> Liquidable:
    exposed = short(usdc * 1_000, sol * 1_000, buffer=200, if_liquidation_fee=5_000, quote={"liquidator_fee": 2_000})
    return exposed.moved({SOL_MINT: move})


@given(AMOUNTS, AMOUNTS, MOVES, st.none() | AMOUNTS)
def test_value_is_kept_and_a_liquidation_takes_no_more_than_there_is(
    usdc: int, sol: int, move: Fraction, cap: int | None
) -> None:
    """L8: within the cap, of what is there, at the incentive that is told but for what is worth less than a dollar."""
    exposed = any_short(usdc, sol, move)
    cover = exposed.most(USDC, SOL, cap)
    assume(cover > 0)
    left, done = exposed.taken(USDC, SOL, cover)

    health = exposed.health_factor_wad
    assert health is not None
    assert health < WAD
    assert done.paid.amount_raw == cover <= (sol if cap is None else min(cap, sol))
    (seized,), (relieved,) = done.seized, done.relieved
    before, after = (sum(lot.amount_raw for lot in each.collaterals) for each in (exposed, left))
    assert 0 <= before - after - seized.amount_raw <= 1 or not after
    assert 0 < seized.amount_raw <= before
    assert relieved.amount_raw <= cover + 1
    worth = Fraction(cover * 100, 10**6) * move * Fraction(exposed.incentive(USDC))
    assert Fraction(seized.amount_raw, 10**6) <= worth * Fraction(1_000_001, 1_000_000) + 1


@given(AMOUNTS, AMOUNTS, MOVES, AMOUNTS, AMOUNTS)
def test_who_pays_more_takes_no_less(usdc: int, sol: int, move: Fraction, one: int, other: int) -> None:
    exposed = any_short(usdc, sol, move)
    covers = sorted(exposed.most(USDC, SOL, cap) for cap in (one, other))
    assume(covers[0] > 0)
    less, more = (exposed.taken(USDC, SOL, cover)[1] for cover in covers)

    assert less.seized[0].amount_raw <= more.seized[0].amount_raw + 10**6


@given(AMOUNTS, AMOUNTS, MOVES)
def test_liquidations_come_to_an_end(usdc: int, sol: int, move: Fraction) -> None:
    exposed, rounds = any_short(usdc, sol, move), 0
    while cover := exposed.most(USDC, SOL):
        exposed, _ = exposed.taken(USDC, SOL, cover)
        rounds += 1
        assert rounds < 50


@given(AMOUNTS, AMOUNTS, MOVES)
def test_a_price_that_comes_back_leaves_the_account_as_it_was(usdc: int, sol: int, move: Fraction) -> None:
    exposed = any_short(usdc, sol, Fraction(1))

    assert exposed.moved({SOL_MINT: move, USDC_MINT: move}).moved({}) == exposed
