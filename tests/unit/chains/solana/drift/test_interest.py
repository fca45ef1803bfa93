"""Interest of a spot market, with the arithmetic beside the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from chains.solana.drift.integers import Refused
from chains.solana.drift.interest import UTILIZATION, borrow_rate_of, with_interest
from chains.solana.drift.states import INTEREST_PAUSED, SpotMarket
from tests.unit.chains.solana.drift.builders import INTEREST, NOW
from tests.unit.chains.solana.drift.test_spot import market

YEAR = 31_536_000
TOKENS = 10**9


def lent(utilization: int, **changes: Any) -> SpotMarket:
    """A market in which a part of a thousand tokens is lent, of 10^6."""
    deposited = 1_000 * TOKENS
    return market(deposit_balance=deposited, borrow_balance=deposited * utilization // UTILIZATION, **changes)


@pytest.mark.parametrize(
    "utilization, rate",
    [
        (0, 0),
        (400_000, 50_000),  # half of the optimal 80 %
        (800_000, 100_000),
        (825_000, 122_500),  # 10 % + half of the first 5 % of 90 %
        (850_000, 145_000),
        (900_000, 235_000),
        (950_000, 370_000),
        (990_000, 550_000),
        (995_000, 775_000),
        (1_000_000, 1_000_000),
        (1_500_000, 1_000_000),
    ],
)
def test_the_rate_rises_in_steps_beyond_the_optimal_utilisation(utilization: int, rate: int) -> None:
    assert borrow_rate_of(lent(0), utilization) == rate


def test_there_is_a_least_rate() -> None:
    assert borrow_rate_of(lent(0, min_borrow_rate=3), 8_000) == 15_000  # 3 · 0.5 %


def test_lenders_get_what_borrowers_pay_less_what_is_insured() -> None:
    grown = with_interest(lent(400_000, total_factor=100_000), NOW + YEAR)

    # 5 % of what is lent; that is 2 % of deposits, of which a tenth is for the insurance
    assert grown.cumulative_borrow_interest == INTEREST + INTEREST // 20 + 1
    assert grown.cumulative_deposit_interest == INTEREST + INTEREST * 18 // 1_000
    assert grown.last_interest_ts == NOW + YEAR
    # 0.2 % of 1,000 tokens, at the new interest
    assert grown.deposit_balance == 1_000 * TOKENS + 2 * TOKENS * INTEREST // grown.cumulative_deposit_interest


def test_a_touch_does_not_change_what_comes_of_the_next_by_much() -> None:
    once = with_interest(lent(400_000), NOW + 2_000)
    twice = with_interest(with_interest(lent(400_000), NOW + 1_000), NOW + 2_000)

    assert 0 <= twice.cumulative_borrow_interest - once.cumulative_borrow_interest <= 2
    assert twice.cumulative_deposit_interest >= once.cumulative_deposit_interest - 1


@pytest.mark.parametrize(
    "still, later",
    [
        (lent(400_000), 0),
        (lent(400_000), -5),
        (lent(0), YEAR),
        (lent(400_000, paused_operations=INTEREST_PAUSED), YEAR),
        (lent(1, optimal_borrow_rate=1), 1),  # so little that lenders get nothing: borrowers then pay nothing either
    ],
)
def test_nothing_changes_when_nothing_accrues(still: SpotMarket, later: int) -> None:
    assert with_interest(still, NOW + later) is still


def test_loans_without_deposits_pay_the_highest_rate() -> None:
    odd = market(borrow_balance=5 * TOKENS, deposit_balance=0)

    assert with_interest(odd, NOW + YEAR).cumulative_borrow_interest == 2 * INTEREST + 1


@pytest.mark.parametrize(
    "changes, utilization",
    [
        ({"optimal_utilization": 0}, 0),
        ({"optimal_utilization": 1_000_000}, 1_000_001),
        ({"optimal_utilization": 900_000}, 950_000),  # the first step would be negative
        ({"max_borrow_rate": 1}, 900_000),
    ],
)
def test_a_curve_that_the_program_cannot_follow_is_refused(changes: dict[str, int], utilization: int) -> None:
    with pytest.raises(Refused):
        borrow_rate_of(lent(0, **changes), utilization)
