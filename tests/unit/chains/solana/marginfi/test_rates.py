"""Interest of a bank, by hand: both curves, who gets what, and when nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chains.solana.marginfi.fixed import ONE, Overflowed
from chains.solana.marginfi.rates import Curve, Fees, FeeTerms, Totals, accrued, rates
from tests.unit.chains.solana.marginfi.builders import NOW, bits

FULL = 2**32 - 1
LEGACY = Curve(kind=0, optimal=bits(0.5), plateau=bits(0.25), maximum=bits(1), at_zero=0, at_full=0, points=[])
POINTS = Curve(
    kind=1, optimal=0, plateau=0, maximum=0, at_zero=0, at_full=FULL // 10, points=[(FULL, FULL // 20), (0, 0)]
)
NOBODY = FeeTerms(Fees(0, 0), Fees(0, 0), Fees(0, 0))
YEAR = 31_536_000
TOTALS = Totals(
    asset_share_value=ONE,
    liability_share_value=ONE,
    total_asset_shares=1000 * ONE,
    total_liability_shares=250 * ONE,
    collected_insurance_fees_outstanding=0,
    collected_group_fees_outstanding=0,
    collected_program_fees_outstanding=0,
    last_update=NOW,
)


def centi(share: int) -> int:
    """A share of 2³² − 1 as I80F48."""
    return (share << 48) // FULL


def milli(share: int) -> int:
    """A share of 2³² − 1, of ten, as I80F48."""
    return centi(share) * 10


@pytest.mark.parametrize(
    "utilisation, rate",
    [
        (0, 0),
        (0.25, 0.125),  # half way to the plateau
        (0.5, 0.25),
        (0.75, 0.625),  # 0.25 + 0.5 · (1 − 0.25)
        (1, 1),
    ],
)
def test_the_legacy_curve_bends_once(utilisation: float, rate: float) -> None:
    assert LEGACY.base_rate(bits(utilisation)) == bits(rate)


def test_seven_points_are_joined_by_straight_lines() -> None:
    curve = replace(
        POINTS, at_zero=FULL // 100, points=[(FULL // 2, FULL // 20), (FULL // 4 * 3, FULL // 10)], at_full=FULL
    )

    assert curve.base_rate(0) == milli(FULL // 100)
    assert curve.base_rate(centi(FULL // 2)) == milli(FULL // 20)
    assert curve.base_rate(ONE) == milli(FULL)
    assert curve.base_rate(2 * ONE) == curve.base_rate(ONE)
    assert curve.base_rate(-ONE) == curve.base_rate(0)
    between = curve.base_rate((centi(FULL // 2) + centi(FULL // 4 * 3)) // 2)
    assert milli(FULL // 20) < between < milli(FULL // 10)


def share(number: float) -> int:
    """A fraction of 2³² − 1."""
    return round(number * FULL)


@pytest.mark.parametrize(
    "utilisation, base",
    [(0, 0.05), (0.4, 0.125), (0.2, 0.10), (0.6, 0.15), (1, 0.40)],
)
def test_a_curve_of_the_programs_own_tests_gives_what_they_state(utilisation: float, base: float) -> None:
    points = [(share(0.20), share(0.010)), (share(0.60), share(0.015)), (0, 0)]
    curve = replace(POINTS, at_zero=share(0.005), at_full=share(0.040), points=points)

    assert curve.base_rate(bits(utilisation)) / ONE == pytest.approx(base, abs=1e-8)


def test_rates_of_the_programs_own_tests_are_what_they_state() -> None:
    """Utilisation 0.7, a point of 0.4 at 0.4, 3 at full use; a fixed fee of 0.01 for the group, a tenth for the insurance."""
    curve = replace(POINTS, at_zero=0, at_full=share(0.3), points=[(share(0.4), share(0.04))])
    fees = FeeTerms(Fees(bits(0.1), 0), Fees(0, bits(0.01)), Fees(0, 0))

    found = rates(curve, bits(0.7), fees)

    assert curve.base_rate(bits(0.7)) / ONE == pytest.approx(1.7, abs=1e-8)
    assert [rate / ONE for rate in found] == pytest.approx([1.19, 1.88, 0.17, 0.01, 0], abs=1e-8)


def test_points_without_a_utilisation_are_left_out() -> None:
    assert replace(POINTS, points=[]).base_rate(ONE // 2) == replace(POINTS, points=[(0, FULL)]).base_rate(ONE // 2)


@pytest.mark.parametrize(
    "curve",
    [
        replace(POINTS, at_zero=FULL),  # falls towards the first point
        replace(LEGACY, kind=2),
        replace(LEGACY, optimal=0, kind=0),  # the program divides by it
    ],
)
def test_a_curve_that_the_program_refuses_is_refused(curve: Curve) -> None:
    with pytest.raises(Overflowed):
        curve.base_rate(0)


def test_borrowers_pay_the_base_rate_and_all_fees_and_depositors_get_their_share() -> None:
    fees = FeeTerms(Fees(bits(0.125), bits(0.03125)), Fees(0, bits(0.0625)), Fees(bits(0.25), 0))

    found = rates(LEGACY, bits(0.5), fees)

    assert found.lending == bits(0.125)  # 0.25 · 0.5
    assert found.borrowing == bits(0.4375)  # 0.25 · (1 + 0.125 + 0.25) + 0.03125 + 0.0625
    assert found.insurance == bits(0.0625)  # 0.25 · 0.125 + 0.03125
    assert found.group == bits(0.0625)
    assert found.program == bits(0.0625)


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(Overflowed, match="negative"):
        rates(LEGACY, bits(0.5), NOBODY._replace(group=Fees(0, -ONE)))


def test_a_year_at_a_quarter_lent() -> None:
    fees = FeeTerms(Fees(0, 0), Fees(bits(0.5), 0), Fees(0, bits(0.25)))

    after = accrued(TOTALS, NOW + YEAR, LEGACY, fees)

    assert after.asset_share_value == bits(1.03125)  # base 0.125, a quarter of it
    assert after.liability_share_value == bits(1.4375)  # 0.125 · 1.5 + 0.25
    assert after.collected_group_fees_outstanding == bits(15.625)  # 250 · 0.125 · 0.5
    assert after.collected_program_fees_outstanding == bits(62.5)
    assert (after.collected_insurance_fees_outstanding, after.last_update) == (0, NOW + YEAR)


def test_one_second_is_rounded_down_at_each_step() -> None:
    after = accrued(TOTALS, NOW + 1, LEGACY, NOBODY)

    assert after.asset_share_value - ONE == bits(0.03125) // YEAR == 278_922
    assert after.liability_share_value - ONE == bits(0.125) // YEAR


@pytest.mark.parametrize(
    "totals, now",
    [
        (TOTALS, NOW),
        (replace(TOTALS, total_liability_shares=0), NOW + YEAR),
        (replace(TOTALS, total_asset_shares=0), NOW + YEAR),
        (replace(TOTALS, asset_share_value=0), NOW + YEAR),
    ],
)
def test_without_time_or_loans_only_the_clock_moves(totals: Totals, now: int) -> None:
    assert accrued(totals, now, LEGACY, NOBODY) == replace(totals, last_update=now)


def test_a_time_before_the_last_is_refused() -> None:
    with pytest.raises(Overflowed, match="3 s later"):
        accrued(TOTALS, NOW - 3, LEGACY, NOBODY)
