"""A Comet's integers: each division where and in the direction in which the contract does it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chains.evm.compound_v3.maths import FACTOR, INDEX, Curve, Indices, Totals, accrued, present, utilisation, value

SUPPLY = Curve(kink=8 * 10**17, low=1_030_568_239, high=12_683_916_793, base=0)
BORROW = Curve(kink=8 * 10**17, low=1_109_842_719, high=7_927_447_995, base=475_646_879)


def totals(supply: int, borrow: int, *, indices: tuple[int, int] = (INDEX, INDEX)) -> Totals:
    return Totals(*indices, supply, borrow, 0)


def test_up_to_the_kink_the_low_slope_counts_and_beyond_it_the_high_one_too() -> None:
    curve = Curve(kink=8 * 10**17, low=1_000, high=50_000, base=7)

    assert curve.rate(4 * 10**17) == 7 + 400
    assert curve.rate(8 * 10**17) == 7 + 800
    assert curve.rate(9 * 10**17) == 7 + 800 + 5_000
    assert curve.rate(12 * 10**17) == 7 + 800 + 20_000, "more is borrowed than supplied"


def test_nothing_supplied_is_nothing_used() -> None:
    assert utilisation(totals(0, 5)) == 0


def test_what_is_used_is_taken_at_the_stored_indices() -> None:
    # 2000 * 1.1 = 2200 borrowed of 1000 * 1.01 = 1010 supplied
    assert utilisation(totals(1_000, 2_000, indices=(1_010 * 10**12, 1_100 * 10**12))) == 2_200 * FACTOR // 1_010


def test_indices_grow_linearly_from_the_last_accrual() -> None:
    # half is used: supply 1030568239 * 0.5 = 515284119, borrow 475646879 + 1109842719 * 0.5 = 475646879 + 554921359
    half = totals(2_000, 1_000)

    assert accrued(half, SUPPLY, BORROW, 0) == Indices(INDEX, INDEX)
    assert accrued(half, SUPPLY, BORROW, 1_000_000) == Indices(INDEX + 515_284_119_000, INDEX + 1_030_568_238_000)


def test_what_a_principal_is_worth_loses_its_fraction_on_both_sides() -> None:
    assert present(3, 1_500 * 10**12) == 4  # 4.5


def test_a_value_loses_its_fraction() -> None:
    assert value(1_999_999, 10**8 - 1, 10**6) == 199_999_898  # 199999898.00…


@given(st.integers(1, 2**103), st.integers(INDEX, 2**64 - 1))
def test_a_debt_that_is_rounded_up_again_is_the_same_principal(principal: int, index: int) -> None:
    assert -(-present(principal, index) * INDEX // index) == principal
