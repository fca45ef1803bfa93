"""What an Aave token's event makes of a scaled balance is what the token itself made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.evm.aave_v3.maths import RAY, ray_div_down, ray_div_up, ray_mul_down, ray_mul_up
from chains.evm.aave_v3.rounding import RULES, Rounding, rounding_of
from chains.model import Side

scaled = st.integers(0, 2**120 - 1)
indexes = st.integers(RAY, 100 * RAY)


def told(side: Side, before: int, after: int, index: int, last_index: int) -> int:
    """What `Mint` or `Burn` of a token of 3.5 tells of a change: value less interest, seen from the shown balances.

    The value is the shown balance after less the shown one at the last touch, the interest what the balance grew by since.
    """
    shown = ray_mul_down if side is Side.SUPPLY else ray_mul_up
    interest = shown(before, index) - shown(before, last_index)
    value = shown(after, index) - shown(before, last_index)
    return value - interest


@given(side=st.sampled_from(Side), before=scaled, after=scaled, index=indexes, grown=st.integers(0, RAY))
def test_a_directed_event_gives_the_one_balance_that_the_token_has_after_it(
    side: Side, before: int, after: int, index: int, grown: int
) -> None:
    change = told(side, before, after, index + grown, index)

    assert RULES[Rounding.DIRECTED, side](before, change, index + grown) == after


@given(amount=st.integers(1, 2**112), before=scaled, index=indexes)
def test_supplying_and_withdrawing_round_against_the_user(amount: int, before: int, index: int) -> None:
    rule = RULES[Rounding.DIRECTED, Side.SUPPLY]
    supplied, withdrawn = before + ray_div_down(amount, index), before + ray_div_up(amount, index)

    assert rule(before, told(Side.SUPPLY, before, supplied, index, index), index) == supplied
    assert rule(withdrawn, told(Side.SUPPLY, withdrawn, before, index, index), index) == before


def test_half_up_rounds_both_ways_alike() -> None:
    rule = RULES[Rounding.HALF_UP, Side.BORROW]
    index = 2 * RAY

    assert rule(10, 3, index) == 12  # 3 / 2 = 1.5, half up 2
    assert rule(10, -3, index) == 8  # and the same taken away
    assert rule(10, 0, index) == 10


@pytest.mark.parametrize(
    "pool, token, rule",
    [
        (1, 1, Rounding.HALF_UP),
        (7, 1, Rounding.HALF_UP),
        (8, 3, Rounding.HALF_UP),
        (8, 4, Rounding.HALF_UP),  # GHO's debt token of 3.4
        (9, 3, Rounding.HALF_UP),  # not upgraded yet
        (9, 4, Rounding.DIRECTED),
        (11, 5, Rounding.DIRECTED),
        (10, 6, Rounding.DIRECTED),  # GHO's debt token of 3.6
        (11, 6, Rounding.DIRECTED),
        (11, 7, None),
        (11, None, None),
        (None, 5, Rounding.DIRECTED),
    ],
)
def test_the_rule_follows_from_the_revisions_of_token_and_pool(
    pool: int | None, token: int | None, rule: Rounding | None
) -> None:
    assert rounding_of(pool, token) is rule
