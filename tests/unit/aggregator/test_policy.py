"""The policy says what it means, or says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.margin.marks_policy import Validity
from aggregator.margin.policy import parse_policy
from aggregator.margin.policy_text import PolicyError
from aggregator.oracle.rules import Mode, State
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


MARKS = """
[marks]
mode = "mean"
quorum = 3
demand_quorum = true
outlier = "2%"
hold = "5m"
par_classes = ["stable"]
[validity]
initial = ["ok"]
liquidatable = ["ok", "held"]
"""


def test_how_marks_are_made_is_read_and_what_is_left_out_has_its_default() -> None:
    read = parse_policy(POLICY + MARKS)

    assert (read.marks.mode, read.marks.quorum, read.marks.demand_quorum) == (Mode.MEAN, 3, True)
    assert (read.marks.outlier, read.marks.hold_s, read.marks.par_classes) == (0.02, 300, ("stable",))
    assert read.marks.jump == policy().marks.jump
    assert read.validity == Validity(initial=(State.OK,), liquidatable=(State.OK, State.HELD))


def test_the_shipped_numbers_of_marks_are_the_defaults_but_for_what_is_redeemed_at_par() -> None:
    shipped = shipped_policy()

    assert replace(shipped.marks, par_classes=()) == policy().marks
    assert (shipped.marks.par_classes, shipped.validity) == (("stable",), policy().validity)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('mode = "mean"', 'mode = "modal"', r"\[marks\] mode must be one of median, mean, not 'modal'"),
        ("quorum = 3", "quorum = 0", r"\[marks\] must keep quorum ≥ 1"),
        ("quorum = 3", "quorum = 1.5", r"quorum must be a whole number such as 2, not 1.5"),
        ("demand_quorum = true", "demand_quorum = 1", r"demand_quorum must be true or false, not 1"),
        ('hold = "5m"', 'hold = "2h"', r"must keep hold ≤ 1h"),
        ('hold = "5m"', "hold_s = 300", r'\[marks\]: unknown key "hold_s"; did you mean "hold"\?'),
        ("quorum = 3", "jump_deviations = nan", r"\[marks\] jump_deviations must be a number such as 0.25, not nan"),
        ('["stable"]', '"stable"', r"par_classes must be a list of names"),
        ('["stable"]', '["stables"]', r'par_classes: unknown asset class "stables"; did you mean "stable"\?'),
        ('initial = ["ok"]', 'initial = ["okay"]', r'\[validity\] initial unknown state "okay"; did you mean "ok"\?'),
        ('initial = ["ok"]', 'maintenance = ["non_positive"]', r"must keep non_positive is never a price"),
        ('initial = ["ok"]', 'initial = ["ok"]\nmaintenance = ["held"]', r"must keep initial within maintenance"),
    ],
)
def test_rules_of_marks_that_cannot_be_meant_are_refused(old: str, new: str, message: str) -> None:
    assert old in MARKS

    with pytest.raises(PolicyError, match=message):
        parse_policy(POLICY + MARKS.replace(old, new, 1))


def test_a_class_that_the_policy_lacks_is_refused_with_the_nearest() -> None:
    with pytest.raises(PolicyError, match='unknown asset class "majors"; did you mean "major"'):
        policy().of_class("majors")


def test_a_class_may_take_the_threshold_of_each_venue() -> None:
    parsed = parse_policy(POLICY.replace("liquidation_threshold = 0.8\n", 'liquidation_threshold = "venue"\n'))

    factors = parsed.of_class("major").at(0.7)

    assert factors.liquidation_threshold == 0.7
    assert factors.haircut == pytest.approx(0.3)  # max(0.25, 1 − 0.7)
