"""An obligation as the program's liquidation takes it: figures by hand, and what holds for any obligation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from chains.model import Reason
from chains.solana.save.book import Book
from chains.solana.save.layout import Borrow, Deposit, Obligation
from chains.solana.save.liquidating import Liquidable
from chains.solana.save.tips import TERMS
from tests.support.save_accounts import SLOT, SOL, SOL_PRICE, TIME, USDC, USDC_PRICE, WAD, ours, pyth, reserve, usdc
from tests.support.save_runs import Journals
from tests.unit.chains.solana.save.test_unit import venue

ALICE = b"\xaa" * 32
SOL_MINT, USDC_MINT = b"\x10" * 32, b"\x20" * 32
BONUS = {"liquidation_bonus": 5, "max_liquidation_bonus": 10, "protocol_liquidation_fee": 10}


def book(**fields: int) -> Book:
    """A market of SOL at 100, threshold 80 % to 88 %, bonus 5 % to 10 % and 1 % for the protocol, and of USDC at 1."""
    journals = Journals(venue())
    plain = {SOL: ours(reserve(**BONUS | fields)), USDC: ours(usdc(**BONUS))}
    journals.take([*plain.items(), (SOL_PRICE, pyth(100 * 10**8)), (USDC_PRICE, pyth(10**8))])
    return Book(journals.snapshot(SLOT, TIME))


def owing(usdc_raw: int, sol_raw: int = 10 * 10**9, market: Book | None = None) -> Liquidable:
    """An obligation with SOL that owes USDC."""
    held = Obligation(
        ALICE, closeable=False, deposits=(Deposit(SOL, sol_raw, 0),), borrows=(Borrow(USDC, WAD, usdc_raw * WAD),)
    )
    found = Liquidable.of(market or book(), held)
    assert isinstance(found, Liquidable), found
    return found


def test_below_the_threshold_nobody_may_take_anything() -> None:
    assert owing(799_999_999).most(SOL, USDC) == 0


def test_at_the_threshold_a_fifth_goes_at_the_usual_bonus_and_the_fee() -> None:
    exposed = owing(800_000_000)

    assert exposed.most(SOL, USDC) == 160_000_000
    left, done = exposed.taken(SOL, USDC, 160_000_000)
    # 160 USD · 1.06 = 1.696 SOL, of which 1 % of 1.6 SOL are the protocol's
    assert [(each.market, each.amount_raw) for each in (*done.seized, *done.fee)] == [
        (SOL, 1_680_000_000),
        (SOL, 16_000_000),
    ]
    assert [lot.amount_raw for lot in (*left.collaterals, *left.debts)] == [8_304_000_000, 640_000_000]


def test_half_way_to_the_largest_threshold_the_bonus_is_half_way_too() -> None:
    assert owing(840_000_000).incentive(SOL) == 1.085


def test_what_the_program_cannot_compute_is_unknown_and_nobody_is_liquidated() -> None:
    exposed = owing(900_000_000).moved({SOL_MINT: Fraction(10**60)})

    assert exposed.health_factor_wad is None
    assert exposed.most(SOL, USDC) == 0
    assert exposed.moved({}).health_factor_wad == owing(900_000_000).health_factor_wad


def test_the_bonus_with_the_fee_is_a_quarter_at_most() -> None:
    market = book(liquidation_bonus=20, max_liquidation_bonus=30, protocol_liquidation_fee=50)

    assert owing(900_000_000, market=market).incentive(SOL) == 1.25


def test_a_dollar_of_debt_goes_whole_whatever_is_asked() -> None:
    exposed = owing(1_000_000, sol_raw=12_000_000)

    assert exposed.most(SOL, USDC) == 1_000_000
    assert exposed.most(SOL, USDC, 999_999) == 0
    left, _ = exposed.taken(SOL, USDC, 1_000_000)
    assert left.debts == ()


def test_more_than_half_a_million_dollars_is_never_taken_at_once() -> None:
    assert owing(10_000_000 * 10**6, sol_raw=110_000 * 10**9).most(SOL, USDC) == 500_000 * 10**6


def test_only_the_weightiest_debt_may_be_paid() -> None:
    held = Obligation(
        ALICE,
        closeable=False,
        deposits=(Deposit(SOL, 10 * 10**9, 0),),
        borrows=(Borrow(USDC, WAD, 700_000_000 * WAD), Borrow(SOL, WAD, 10**9 * WAD)),
    )
    exposed = Liquidable.of(book(added_borrow_weight_bps=5_000), held)

    assert isinstance(exposed, Liquidable)
    assert exposed.most(SOL, USDC) == 0
    assert exposed.most(SOL, SOL) == 10**9


def test_what_cannot_be_redeemed_now_pays_no_fee() -> None:
    _, done = owing(800_000_000, market=book(available_amount=0, borrowed_amount_wads=1_000 * 10**9 * WAD)).taken(
        SOL, USDC, 160_000_000
    )

    assert done.fee == ()
    assert sum(each.amount_raw for each in done.seized) == 1_696_000_000


def test_without_its_bonus_a_reserve_is_named_and_nothing_guessed() -> None:
    journals = Journals(venue())
    journals.take([(SOL, ours(reserve())), (USDC, ours(usdc()))])
    journals.take([(SOL_PRICE, pyth(100 * 10**8)), (USDC_PRICE, pyth(10**8))])
    snapshot = journals.snapshot(SLOT, TIME)
    texts = {
        place: text.replace(',"liquidation":[0,0,0]', "") if place[1] == TERMS else text
        for place, text in snapshot.markets.items()
    }
    held = Obligation(
        ALICE, closeable=False, deposits=(Deposit(SOL, 10**9, 0),), borrows=(Borrow(USDC, WAD, 90 * 10**6 * WAD),)
    )
    found = Liquidable.of(Book(replace(snapshot, markets=texts)), held)

    assert isinstance(found, tuple)
    (reason,) = found
    assert isinstance(reason, Reason)
    assert reason.code == "liquidation_unknown"


AMOUNTS = st.integers(10**6, 10**12)
MOVES = st.fractions(Fraction(1, 50), Fraction(3))


@given(AMOUNTS, st.integers(10**7, 10**14), MOVES, st.none() | AMOUNTS)
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
    worth = Fraction(taken * exposed.used[SOL].priced.price, 10**9 * WAD)
    paid = Fraction(cover, 10**6)
    assert worth <= paid * Fraction(exposed.incentive(SOL)) * Fraction(1_000_001, 1_000_000) + Fraction(1, 10**6)


@given(AMOUNTS, st.integers(10**7, 10**14), MOVES, AMOUNTS, AMOUNTS)
def test_who_pays_more_takes_no_less(debt: int, pledged: int, move: Fraction, one: int, other: int) -> None:
    exposed = owing(debt, sol_raw=pledged).moved({SOL_MINT: move})
    covers = sorted(exposed.most(SOL, USDC, cap) for cap in (one, other))
    assume(covers[0] > 0)
    less, more = (exposed.taken(SOL, USDC, cover)[1] for cover in covers)

    assert less.seized[0].amount_raw <= more.seized[0].amount_raw


@given(AMOUNTS, st.integers(10**7, 10**14), MOVES)
def test_a_price_that_comes_back_leaves_the_obligation_as_it_was(debt: int, pledged: int, move: Fraction) -> None:
    exposed = owing(debt, sol_raw=pledged)

    assert exposed.moved({SOL_MINT: move, USDC_MINT: move}).moved({}) == exposed
