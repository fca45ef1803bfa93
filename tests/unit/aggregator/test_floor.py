"""Which shortages of a venue are grave: by their share of what is claimed, and by what they are worth."""

from __future__ import annotations

import pytest

from aggregator.margin.floor import Gravity, ShortfallFloor, parse_floor
from aggregator.margin.policy_text import PolicyError
from crossmargin.packaged import config

FLOOR = ShortfallFloor(least_share=0.001, least_usd=100.0)


@pytest.mark.parametrize(
    "missing, usd, gravity",
    [
        (1000, 100.0, Gravity.GRAVE),
        (999, 1e9, Gravity.SMALL),
        (1000, 99.99, Gravity.SMALL),
        (1_000_000, None, Gravity.UNPRICED),
        (999, None, Gravity.SMALL),
    ],
)
def test_a_shortage_is_grave_beyond_both_floors(missing: int, usd: float | None, gravity: Gravity) -> None:
    assert FLOOR.gravity(missing, 1_000_000, usd) is gravity


def test_a_policy_says_the_floors_and_the_usual_ones_hold_where_it_does_not() -> None:
    assert parse_floor("[shortfall]\nleast_usd = 5\n") == ShortfallFloor(least_usd=5.0)
    assert parse_floor("") == ShortfallFloor()
    assert parse_floor(config("policy.toml").read_text(encoding="utf-8")) == ShortfallFloor()


@pytest.mark.parametrize(
    "text, said",
    [
        ("[shortfall]\nleast_us = 1\n", 'unknown key "least_us"'),
        ("[shortfall]\nleast_usd = -1\n", "0 ≤ least_usd"),
        ('[shortfall]\nleast_share = "1%"\n', "least_share must be a number"),
        ("shortfall = 1\n", "must be a table"),
    ],
)
def test_floors_that_cannot_be_meant_are_refused(text: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        parse_floor(text)
