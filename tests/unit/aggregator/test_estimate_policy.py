"""What the policy says of estimates is what it means, or is refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from aggregator.margin.estimate_policy import NO_WORD, HorizonPolicy, read_estimates
from aggregator.margin.policy import parse_policy
from aggregator.margin.policy_text import PolicyError
from tests.unit.aggregator.builders import POLICY, shipped_policy

TABLES = """
[horizon]
detect = "1h"
liquidate = "3h"
outage = "2h"
[estimates]
history_max_age = "3d"
[regime]
fall = 0.2
"""


def test_what_is_not_written_has_its_default_and_the_shipped_policy_writes_them_all() -> None:
    found = parse_policy(POLICY + TABLES).estimates

    assert (found.ages.history_max_age_s, found.ages.fewest_days) == (3 * 86_400, 60)
    assert (found.regime.fall, found.regime.calm_days) == (0.2, 5)
    assert shipped_policy().estimates == parse_policy(POLICY).estimates == NO_WORD


def test_a_horizon_is_the_sum_but_not_below_the_shortest_and_the_initial_one_is_twice_as_far() -> None:
    long = parse_policy(POLICY + TABLES).estimates.horizon
    short = HorizonPolicy(detect_s=60, liquidate_s=60, outage_s=0)

    assert (long.maintenance_s, long.initial_s) == (6 * 3600, 86_400)
    assert (short.maintenance_s, short.initial_s) == (4 * 3600, 86_400)
    assert HorizonPolicy(outage_s=2 * 86_400).initial_s == 2 * (1800 + 3600 + 2 * 86_400)


def test_it_comes_back_from_json_as_it_was() -> None:
    found = parse_policy(POLICY + TABLES).estimates

    assert read_estimates(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('detect = "1h"', "detect = 1", r"\[horizon\] detect must be a duration"),
        ('detect = "1h"', 'detect = "16d"', r"\[horizon\] must keep a horizon of at most 15 days"),
        ('detect = "1h"', "initial_tail = 0.02", r"\[horizon\] must keep 0 < initial_tail ≤ maintenance_tail"),
        ("[estimates]", "[estimates]\nfewest_days = 10", r"\[estimates\] must keep fewest_days ≥ 30"),
        ("[estimates]", "[estimates]\nfewest_days = 60.5", r"\[estimates\] fewest_days must be a whole number of days"),
        ("fall = 0.2", "fell = 0.2", r'\[regime\]: unknown key "fell"; did you mean "fall"'),
        ("fall = 0.2", "fall = 0", r"\[regime\] must keep shares above 0"),
        ("[regime]", "[regimes]", r'unknown key "regimes"; did you mean "regime"'),
    ],
)
def test_what_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in TABLES

    with pytest.raises(PolicyError, match=message):
        parse_policy(POLICY + TABLES.replace(old, new, 1))
