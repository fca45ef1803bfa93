"""A position as its vault's liquidation takes it: figures by hand, and what holds for any position."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from chains.liquidating import WAD
from chains.model import Side
from chains.solana.jupiter_lend.liquidating import Liquidable, Rules
from chains.solana.jupiter_lend.lookups import Vault
from chains.solana.jupiter_lend.maths import tick_at_ratio
from chains.solana.jupiter_lend.rates import Prices
from chains.solana.jupiter_lend.settle import Settled
from chains.solana.jupiter_lend.vaults import Shares
from tests.support.jupiter_accounts import COLLATERAL, LOAN, Journals, Setting, accounts_of
from tests.support.jupiter_model import ModelVault
from tests.support.jupiter_parts import RATE

MARKET, PLEDGED = b"\x01" * 32, b"\x01" * 32 + COLLATERAL
TOKEN, ONE = 10**9, 10**12


def owing(debt: int, supply: int = 10 * TOKEN, rate: int = 100, penalty: int = 100, price: int = ONE) -> Liquidable:
    """A position whose collateral, of nine decimals, is worth `rate` debt tokens each: threshold 85 %, absorbed from 90 % on.

    The debt's token has six decimals, raw amounts have nine.
    """
    vault = Vault(MARKET, LOAN, COLLATERAL)
    rules = Rules(vault, {Side.SUPPLY: 9, Side.BORROW: 6}, Prices(price, price), Shares(850, 900), 10_000 + penalty)
    tick = tick_at_ratio((debt << 48) // supply)[0] + 1
    return Liquidable(rules, Settled(supply, debt, tick), 0, rate * RATE, rate * RATE)


def test_up_to_the_threshold_nobody_may_take_anything() -> None:
    exposed = owing(848 * TOKEN)

    assert exposed.most(PLEDGED, MARKET) == 0
    assert (exposed.health_factor_wad or 0) >= WAD


def test_a_tick_below_the_threshold_is_near_enough_to_be_looked_at() -> None:
    """A simulation looks at who is below 1 by his thresholds; the vault's limit is the lower end of a tick."""
    exposed = owing(849 * TOKEN)
    (pledged,), (owed,) = exposed.collaterals, exposed.debts

    assert exposed.most(PLEDGED, MARKET) > 0
    assert (exposed.health_factor_wad or WAD) < WAD
    counted = [
        lot.amount_raw * Fraction(lot.price * lot.threshold, lot.unit * 10**lot.decimals) for lot in (pledged, owed)
    ]
    assert counted[0] < counted[1]


def test_beyond_the_threshold_as_much_is_paid_as_brings_it_back_at_the_penalty() -> None:
    exposed = owing(870 * TOKEN)

    # (870 − 0.85 · 1000) / (1 − 0.85 · 1.01) = 141.3; the position counts from the upper end of its tick, and down to that of the vault's
    cover = exposed.most(PLEDGED, MARKET)
    assert 140 * 10**6 < cover < 165 * 10**6
    left, done = exposed.taken(PLEDGED, MARKET, cover)
    (seized,) = done.seized
    assert abs(seized.amount_raw - cover * 1000 // 100 * 101 // 100) < 2_000
    assert left.most(PLEDGED, MARKET) == 0
    assert (left.health_factor_wad or 0) >= WAD


def test_who_pays_less_leaves_the_rest_to_others() -> None:
    exposed = owing(870 * TOKEN)
    left, done = exposed.taken(PLEDGED, MARKET, exposed.most(PLEDGED, MARKET, 50 * 10**6))

    assert done.paid.amount_raw == 50 * 10**6
    # 870 − 50, less a ten-thousandth that a first liquidation leaves to nobody
    assert left.debts[0].amount_raw == -(-(820 * 10**6) * 9_999 // 10_000)
    assert left.most(PLEDGED, MARKET) > 0


def test_above_the_highest_limit_the_debt_is_paid_for_all_of_the_collateral() -> None:
    exposed = owing(950 * TOKEN)

    assert exposed.most(PLEDGED, MARKET) == 950 * 10**6
    half, done = exposed.taken(PLEDGED, MARKET, 475 * 10**6)
    assert done.seized[0].amount_raw == 5 * TOKEN
    assert half.absorbed
    rest, _ = half.taken(PLEDGED, MARKET, half.most(PLEDGED, MARKET))
    assert (rest.collaterals, rest.debts) == ((), ())


def test_what_is_absorbed_stays_so_when_prices_recover() -> None:
    half, _ = owing(950 * TOKEN).taken(PLEDGED, MARKET, 475 * 10**6)
    recovered = half.moved({COLLATERAL: Fraction(2)})

    assert (recovered.health_factor_wad or WAD) < WAD
    assert recovered.most(PLEDGED, MARKET) == 475 * 10**6


def test_collateral_that_is_worth_less_than_the_debt_nobody_takes() -> None:
    exposed = owing(1_001 * TOKEN)

    assert exposed.most(PLEDGED, MARKET) == 0
    assert (exposed.health_factor_wad or WAD) < WAD


def test_less_than_the_program_takes_is_nothing() -> None:
    assert owing(870 * TOKEN).most(PLEDGED, MARKET, 0) == 0


def test_both_tokens_move_the_rate() -> None:
    exposed = owing(800 * TOKEN).moved({COLLATERAL: Fraction(9, 10), LOAN: Fraction(9, 10)})

    assert exposed.rate == exposed.first
    assert exposed.moved({LOAN: Fraction(11, 10)}).most(PLEDGED, MARKET) > 0


def test_what_the_program_cannot_compute_is_unknown_and_nobody_is_liquidated() -> None:
    exposed = owing(870 * TOKEN).moved({COLLATERAL: Fraction(10**40)})

    assert exposed.health_factor_wad is None
    assert exposed.most(PLEDGED, MARKET) == 0


def test_a_position_whose_price_is_not_known_is_named() -> None:
    vault, journals, setting = ModelVault(), Journals(), Setting()
    vault.operate(vault.open(), 10**9, 100 * 10**9, 150 * RATE)
    journals.fold(accounts_of(vault, setting, 5))
    (unit,) = journals.units(1_000, setting.time + 100_000).values()
    found = unit.liquidating() if unit.liquidating else ()

    assert isinstance(found, tuple)
    assert [reason.code for reason in found] == ["oracle_refused"]


DEBTS = st.integers(10**9, 10**14)
SHARES = st.fractions(Fraction(86, 100), Fraction(99, 100))
CAPS = st.none() | st.fractions(Fraction(1, 100), Fraction(2))
MOVES = st.fractions(Fraction(1, 3), Fraction(3))


@st.composite
def positions(draw: st.DrawFn) -> Liquidable:
    """Positions above the vault's tick, at any penalty and exchange price."""
    debt, share = draw(DEBTS), draw(SHARES)
    supply, price = int(debt / (100 * share)) + 1, draw(st.integers(ONE, 3 * ONE))
    return owing(debt, supply, price=price, penalty=draw(st.integers(0, 1_000)))


def capped(exposed: Liquidable, share: Fraction | None) -> int | None:
    return None if share is None else int(exposed.debts[0].amount_raw * share)


@given(positions(), CAPS)
def test_value_is_kept_and_a_liquidation_takes_no_more_than_there_is(
    exposed: Liquidable, share: Fraction | None
) -> None:
    """L8: within the cap, of what is there, at the incentive that is told; what is taken or kept is what is missing."""
    cap, bonus = capped(exposed, share), exposed.rules.bonus
    cover = exposed.most(PLEDGED, MARKET, cap)
    assume(cover > 0)
    left, done = exposed.taken(PLEDGED, MARKET, cover)

    assert (exposed.health_factor_wad or WAD) < WAD
    assert cover <= (exposed.debts[0].amount_raw if cap is None else cap)
    assert done.paid.amount_raw <= cover
    before, after = (sum(lot.amount_raw for lot in each.collaterals) for each in (exposed, left))
    taken = sum(each.amount_raw for each in done.seized)
    assert before - after == taken + sum(each.amount_raw for each in done.fee)
    assert 0 <= taken <= before
    owed, owing_still = (sum(lot.amount_raw for lot in each.debts) for each in (exposed, left))
    assert done.relieved[0].amount_raw == owed - owing_still >= cover - 1
    if not left.absorbed:
        worth = Fraction(taken * exposed.rate, 10**9 * RATE)
        assert worth <= Fraction(cover, 10**6) * Fraction(bonus, 10_000) + Fraction(1, 10**6)


@given(positions(), CAPS, CAPS)
def test_who_pays_more_takes_no_less(exposed: Liquidable, one: Fraction | None, other: Fraction | None) -> None:
    covers = sorted(exposed.most(PLEDGED, MARKET, capped(exposed, share)) for share in (one, other))
    assume(covers[0] > 0)
    less, more = (exposed.taken(PLEDGED, MARKET, cover)[1] for cover in covers)

    assert less.seized[0].amount_raw <= more.seized[0].amount_raw


@given(positions(), MOVES)
def test_liquidations_come_to_an_end(exposed: Liquidable, move: Fraction) -> None:
    exposed, rounds = exposed.moved({COLLATERAL: move}), 0
    while cover := exposed.most(PLEDGED, MARKET):
        exposed, _ = exposed.taken(PLEDGED, MARKET, cover)
        rounds += 1
        assert rounds < 5


@given(DEBTS, MOVES)
def test_a_price_that_comes_back_leaves_the_position_as_it_was(debt: int, move: Fraction) -> None:
    exposed = owing(debt)

    assert exposed.moved({COLLATERAL: move, LOAN: Fraction(1)}).moved({}) == exposed
