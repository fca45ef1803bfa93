"""An obligation as the program's liquidation takes it: figures by hand, and what holds for any obligation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chains.model import AccountBytes, Reason, VenueSnapshot
from chains.solana.kamino import Kamino, open_book
from chains.solana.kamino.liquidating import Liquidable
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
    market,
    obligation,
    pull,
    reserve,
)
from tests.support.kamino_runs import Journals, venue

WAD = 10**18
JTO, JTO_MINT = b"J" * 32, b"j" * 32
LIMITS = {
    "liquidation_max_debt_close_factor_pct": 20,
    "insolvency_risk_unhealthy_ltv_pct": 95,
    "min_full_liquidation_value_threshold": 2,
    "max_liquidatable_debt_market_value_at_once": 500_000,
}
BONUS = {
    "min_liquidation_bonus_bps": 200,
    "max_liquidation_bonus_bps": 1000,
    "bad_debt_liquidation_bonus_bps": 99,
    "protocol_liquidation_fee_pct": 20,
}


def snapshot(
    *, deposits: Sequence[tuple[bytes, int]], borrows: Sequence[tuple[bytes, int]], **changed: Any
) -> tuple[VenueSnapshot, Journals]:
    """SOL at 100 USD, threshold 80 %, USDC at 1 with 90 %, JTO at 100 with 60 % and a borrow factor of 150 %."""
    group: dict[str, Any] = changed.pop("group", {})
    spec = venue(MARKET_ADDRESS, changed.pop("version", "1.22"))
    bonus = BONUS | changed.pop("bonus", {})
    limits = LIMITS | changed.pop("market", {})
    terms = {"liquidation_threshold_pct": 90} | bonus | group
    accounts: dict[bytes, AccountBytes] = {
        MARKET_ADDRESS: market(**limits),
        SOL: reserve(config=bonus | group, liquidity=changed.pop("liquidity", {})),
        USDC: reserve(mint=USDC_MINT, decimals=6, pyth=USDC_PRICE, config=terms),
        JTO: reserve(mint=JTO_MINT, config=bonus | {"liquidation_threshold_pct": 60, "borrow_factor_pct": 150}),
        SOL_PRICE: pull(100 * 10**8),
        USDC_PRICE: pull(10**8),
        UNIT: obligation(deposits=deposits, borrows=[(key, raw * ONE) for key, raw in borrows], **changed),
    }
    journals, seen = Journals(), list(accounts.items())
    journals.store(Kamino(spec).fold(journals, seen), seen)
    return journals.venue_snapshot(spec, 10, 1000), journals


def exposed_of(found: tuple[VenueSnapshot, Journals]) -> Liquidable | tuple[Reason, ...]:
    at, journals = found
    (unit,) = journals.unit_snapshots()
    valued = open_book(at)(unit)
    assert valued.liquidating is not None
    exposed = valued.liquidating()
    assert isinstance(exposed, Liquidable | tuple)
    return exposed


def owing(usdc_raw: int, sol_raw: int = 10 * 10**9, **changed: Any) -> Liquidable:
    """An obligation with SOL that owes USDC."""
    found = exposed_of(snapshot(deposits=[(SOL, sol_raw)], borrows=[(USDC, usdc_raw)], **changed))
    assert isinstance(found, Liquidable), found
    return found


def test_below_the_limit_nobody_may_take_anything() -> None:
    assert owing(799_999_999).most(SOL, USDC) == 0


def test_at_the_limit_a_fifth_goes_at_the_least_bonus() -> None:
    exposed = owing(800_000_001)

    # 20 % as a fraction of 60 bits is a little less than a fifth: ⌈160,000,000.2⌉
    assert exposed.most(SOL, USDC) == 160_000_001
    left, done = exposed.taken(SOL, USDC, 160_000_001)
    (seized,), (fee,) = done.seized, done.fee
    # 160 USD · 1.02 = 1.632 SOL; of the gain of 0.032 SOL a fifth is the protocol's
    assert (seized.amount_raw + fee.amount_raw) // 100 == 16_320_000
    assert fee.amount_raw // 100 == 64_000
    assert [lot.amount_raw // 100 for lot in left.collaterals] == [83_679_999]
    assert [lot.amount_raw for lot in left.debts] == [640_000_001]


@pytest.mark.parametrize(
    "owed, bonus",
    [
        (850_000_000, 0.05),  # as far as the loan-to-value is beyond 80 %
        (900_000_000, 0.1),  # ten percent at most
        (940_000_000, 0.06),  # no more than is left of the collateral
        (991_000_000, 0.0099),  # near bad debt its own
        (992_000_000, 0.0099),
        (1_500_000_000, 0.0099),
    ],
)
def test_the_bonus_grows_with_the_loan_to_value_and_ends_with_the_collateral(owed: int, bonus: float) -> None:
    assert owing(owed).incentive(SOL) == pytest.approx(1 + bonus, rel=1e-12)


def test_near_bad_debt_what_is_left_of_the_collateral_may_be_more_than_the_bonus() -> None:
    assert owing(991_000_000, bonus={"bad_debt_liquidation_bonus_bps": 50}).incentive(SOL) == pytest.approx(1.009)


def test_beyond_the_insolvency_risk_all_goes_at_once_up_to_the_limit_of_the_market() -> None:
    assert owing(950_000_000).most(SOL, USDC) < 190_000_001
    assert owing(951_000_000).most(SOL, USDC) == 951_000_000
    assert owing(951_000_000_000, sol_raw=10**13).most(SOL, USDC) == 500_000_000_000


def test_a_small_debt_goes_whole_or_not_at_all() -> None:
    exposed = owing(1_999_999, sol_raw=23 * 10**6)

    assert exposed.most(SOL, USDC) == 1_999_999
    assert exposed.most(SOL, USDC, 1_999_998) == 0
    left, _ = exposed.taken(SOL, USDC, 1_999_999)
    assert left.debts == ()


def test_of_several_debts_the_one_with_the_highest_borrow_factor_is_paid() -> None:
    found = exposed_of(snapshot(deposits=[(SOL, 10 * 10**9)], borrows=[(USDC, 500 * 10**6), (JTO, 25 * 10**8)]))

    assert isinstance(found, Liquidable)
    assert [lot.threshold for lot in found.debts] == [10_000, 15_000]
    assert found.most(SOL, USDC) == 0
    assert found.most(SOL, JTO) > 0


def test_of_several_deposits_the_one_with_the_lowest_threshold_is_taken() -> None:
    found = exposed_of(snapshot(deposits=[(SOL, 10**9), (JTO, 10**9)], borrows=[(USDC, 150 * 10**6)]))

    assert isinstance(found, Liquidable)
    assert found.most(SOL, USDC) == 0
    assert found.most(JTO, USDC) > 0


def test_an_elevation_group_has_its_own_threshold_and_bonus() -> None:
    group = {
        "id": 1,
        "ltv_pct": 85,
        "liquidation_threshold_pct": 90,
        "max_liquidation_bonus_bps": 300,
        "debt_reserve": USDC,
        "max_reserves_as_collateral": 3,
    }
    terms: dict[str, Any] = {
        "market": {"elevation_groups": [group]},
        "group": {"elevation_groups": b"\x01"},
        "elevation_group": 1,
    }

    assert owing(899_000_000, **terms).most(SOL, USDC) == 0
    assert owing(935_000_000, **terms).incentive(SOL) == pytest.approx(1.03)


def test_what_cannot_be_redeemed_now_pays_no_fee() -> None:
    exposed = owing(800_000_001, liquidity={"total_available_amount": 0, "borrowed_amount_sf": 1000 * 10**9 * ONE})
    _, done = exposed.taken(SOL, USDC, 160_000_001)

    assert done.fee == ()
    assert done.seized[0].amount_raw // 100 == 16_320_000


def test_a_market_in_an_emergency_or_without_liquidations_for_prices_takes_nothing() -> None:
    assert owing(900_000_000, market={"emergency_mode": 1}).most(SOL, USDC) == 0
    assert owing(900_000_000, market={"price_triggered_liquidation_disabled": 1}).most(SOL, USDC) == 0


def test_what_the_program_cannot_compute_is_unknown_and_nobody_is_liquidated() -> None:
    exposed = owing(900_000_000).moved({SOL_MINT: Fraction(10**60)})

    assert exposed.health_factor_wad is None
    assert exposed.most(SOL, USDC) == 0
    assert exposed.moved({}).health_factor_wad == owing(900_000_000).health_factor_wad


@pytest.mark.parametrize(
    "place, name", [(SOL, "max_liquidation_bonus_bps"), (bytes(0), "liquidation_max_debt_close_factor_pct")]
)
def test_what_an_older_journal_does_not_hold_is_named_and_nothing_guessed(place: bytes, name: str) -> None:
    at, journals = snapshot(deposits=[(SOL, 10**9)], borrows=[(USDC, 90 * 10**6)])
    texts = {
        key: "".join(part for part in _without(text, name)) if key[0] == place else text
        for key, text in at.markets.items()
    }
    assert texts != dict(at.markets)
    found = exposed_of((VenueSnapshot(venue=at.venue, at=at.at, markets=texts, feeds={}, answers={}), journals))

    assert isinstance(found, tuple)
    assert {reason.code for reason in found} == {"liquidation_unknown"}


def _without(text: str, name: str) -> Sequence[str]:
    before, found, after = text.partition(f'"{name}":"')
    return (before, after.partition('",')[2]) if found else (text,)


GROUPED: dict[str, Any] = {
    "market": {"elevation_groups": [{"id": 1, "ltv_pct": 85, "liquidation_threshold_pct": 90, "debt_reserve": USDC}]},
    "elevation_group": 1,
}


@pytest.mark.parametrize(
    "owed, own, others",
    [
        (850_000_000, {"loan_to_value_pct": 0}, {}),
        (950_000_000, {"loan_to_value_pct": 0, "liquidation_threshold_pct": 0}, GROUPED),
    ],
    ids=["no longer lent upon", "only in a group"],
)
def test_a_deposit_is_taken_by_the_threshold_in_force_and_where_the_version_leaves_that_open_nothing_is_said(
    owed: int, own: dict[str, int], others: dict[str, Any]
) -> None:
    member = {"elevation_groups": b"\x01"}
    at, journals = snapshot(
        deposits=[(SOL, 10**10)], borrows=[(USDC, owed)], group=member | own, version="1.9", **others
    )
    (unit,) = journals.unit_snapshots()
    before = open_book(at)(unit)

    usual, found = (owing(owed, group=member | terms, **others) for terms in ({}, own))

    assert found.most(SOL, USDC) == usual.most(SOL, USDC) == owed // 5
    assert before.liquidatable is None
    assert before.health_factor_wad == usual.health_factor_wad
    assert [reason.code for reason in before.reasons] == ["liquidation_unknown"]
    assert isinstance(exposed_of((at, journals)), tuple)


def test_of_deposits_whose_thresholds_are_all_zero_nothing_is_taken() -> None:
    at, journals = snapshot(
        deposits=[(SOL, 10**10)],
        borrows=[(USDC, 10**6)],
        group={"loan_to_value_pct": 0, "liquidation_threshold_pct": 0},
    )
    (unit,) = journals.unit_snapshots()

    found = open_book(at)(unit)

    assert (found.liquidatable, found.health_factor_wad) == (False, 0)
    assert [reason.code for reason in found.reasons] == ["collateral_not_liquidatable"]


def test_what_is_to_be_deleveraged_is_named() -> None:
    terms = {"market": {"autodeleverage_enabled": 1}, "autodeleverage_margin_call_started_timestamp": 5}
    found = exposed_of(snapshot(deposits=[(SOL, 10**9)], borrows=[(USDC, 90 * 10**6)], **terms))

    assert isinstance(found, tuple)
    assert [reason.code for reason in found] == ["marked_for_deleveraging"]


AMOUNTS = st.integers(10**6, 10**12)
MOVES = st.fractions(Fraction(1, 50), Fraction(3))


@given(AMOUNTS, st.integers(10**7, 10**12), MOVES, st.none() | AMOUNTS)
def test_value_is_kept_and_a_liquidation_takes_no_more_than_there_is(
    debt: int, pledged: int, move: Fraction, cap: int | None
) -> None:
    """L8: within the cap, of what is there, at the incentive that is told; what is taken is what is missing, to the raw unit."""
    exposed = owing(debt, sol_raw=pledged).moved({SOL_MINT: move})
    cover = exposed.most(SOL, USDC, cap)
    assume(cover > 0)
    left, done = exposed.taken(SOL, USDC, cover)

    health = exposed.health_factor_wad
    assert health is not None
    assert health < WAD
    assert done.paid.amount_raw == cover <= (debt if cap is None else min(cap, debt))
    taken = sum(each.amount_raw for each in (*done.seized, *done.fee))
    before, after = (sum(lot.amount_raw for lot in each.collaterals) for each in (exposed, left))
    assert before - after == taken <= before
    (relieved,) = done.relieved
    assert cover - 1 <= relieved.amount_raw <= cover
    worth = Fraction(taken * exposed.reserves[SOL].liquidity.market_price_sf, 10**9 * ONE)
    paid = Fraction(cover, 10**6)
    assert worth <= paid * Fraction(exposed.incentive(SOL)) * Fraction(1_000_001, 1_000_000) + Fraction(1, 10**6)


@given(AMOUNTS, st.integers(10**7, 10**12), MOVES, AMOUNTS, AMOUNTS)
def test_who_pays_more_takes_no_less(debt: int, pledged: int, move: Fraction, one: int, other: int) -> None:
    exposed = owing(debt, sol_raw=pledged).moved({SOL_MINT: move})
    covers = sorted(exposed.most(SOL, USDC, cap) for cap in (one, other))
    assume(covers[0] > 0)
    less, more = (exposed.taken(SOL, USDC, cover)[1] for cover in covers)

    assert less.seized[0].amount_raw <= more.seized[0].amount_raw + 1


@given(AMOUNTS, st.integers(10**7, 10**12), MOVES)
def test_liquidations_come_to_an_end(debt: int, pledged: int, move: Fraction) -> None:
    exposed, rounds = owing(debt, sol_raw=pledged).moved({SOL_MINT: move}), 0
    while cover := exposed.most(SOL, USDC):
        exposed, _ = exposed.taken(SOL, USDC, cover)
        rounds += 1
        assert rounds < 200

    assert not exposed.collaterals or not exposed.debts or (exposed.health_factor_wad or 0) >= WAD


@given(AMOUNTS, st.integers(10**7, 10**12), MOVES)
def test_a_price_that_comes_back_leaves_the_obligation_as_it_was(debt: int, pledged: int, move: Fraction) -> None:
    exposed = owing(debt, sol_raw=pledged)

    assert exposed.moved({SOL_MINT: move, USDC_MINT: move}).moved({}) == exposed
