"""The policy says what it means, or says what is wrong."""

from __future__ import annotations

import pytest

from aggregator.margin.policy import PolicyError, parse_policy
from tests.unit.aggregator.builders import POLICY, policy, shipped_policy


def test_the_shipped_policy_is_sound_and_has_every_class() -> None:
    assert set(shipped_policy().classes) == {"stable", "major", "lst", "long-tail", "rwa", "default"}


def test_a_class_is_read_with_its_units() -> None:
    major = policy().of_class("major")

    assert (major.haircut, major.liquidation_threshold, major.heartbeat_s, major.deviation) == (0.25, 0.8, 3600, 0.01)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("haircut = 0.25", "haircutt = 0.25", r'\[class.major\]: unknown key "haircutt"; did you mean "haircut"\?'),
        ("danger_below = 1.1", "danger_belo = 1.1", r'\[status\]: unknown key "danger_belo"; did you mean'),
        ("[status]", "[stats]", r'the policy: unknown key "stats"; did you mean "status"\?'),
        ("haircut = 0.25", "", r"\[class.major\] haircut is missing"),
        ("haircut = 0.25", "haircut = 1.25", r"\[class.major\] must keep 0 ≤ haircut ≤ 1"),
        ("haircut = 0.25", 'haircut = "25%"', r"\[class.major\] haircut must be a number such as 0.25, not '25%'"),
        ("haircut = 0.25", "haircut = true", r"must be a number"),
        ("haircut = 0.25", "haircut = nan", r"must keep|must be a number"),
        ("haircut = 0.25", "haircut = inf", r"must be a number"),
        ("liquidation_threshold = 0.8", "liquidation_threshold = 0.7", r"1 − haircut ≤ liquidation_threshold ≤ 1"),
        ("liquidation_threshold = 0.8", "liquidation_threshold = 1.1", r"1 − haircut ≤ liquidation_threshold ≤ 1"),
        ("initial_factor = 1.25", "initial_factor = 0.9", r"1 ≤ maintenance_factor ≤ initial_factor"),
        ("watch_below = 1.5", "watch_below = 1.0", r"1 < danger_below < watch_below"),
        ("full_score_at = 3.0", "full_score_at = 1.5", r"watch_below < full_score_at"),
        ("dust_share = 0.01", "dust_share = 0.5", r"0 ≤ dust_share"),
        ('deviation = "1%"', "deviation = 0.01", r'deviation must be a percentage below 100 such as "0.5%"'),
        ('heartbeat = "24h"', 'heartbeat = "a day"', r'heartbeat must be a duration such as "30s"'),
        ("[class.default]", "[class.other]", r"\[class.default\] is missing"),
        ("[status]", "[status", r"not valid TOML"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in POLICY

    with pytest.raises(PolicyError, match=message):
        parse_policy(POLICY.replace(old, new, 1))


def test_a_class_that_the_policy_lacks_is_refused_with_the_nearest() -> None:
    with pytest.raises(PolicyError, match='unknown asset class "majors"; did you mean "major"'):
        policy().of_class("majors")


def test_a_class_may_take_the_threshold_of_each_venue() -> None:
    parsed = parse_policy(POLICY.replace("liquidation_threshold = 0.8\n", 'liquidation_threshold = "venue"\n'))

    factors = parsed.of_class("major").at(0.7)

    assert factors.liquidation_threshold == 0.7
    assert factors.haircut == pytest.approx(0.3)  # max(0.25, 1 − 0.7)
