"""What a policy file says of itself, what a change of it tightens, and what it would do to accounts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.book import BookRow, row
from aggregator.governance.changes import changes
from aggregator.governance.preview import compare
from aggregator.governance.terms import NOTICE_S, Head, read_terms
from aggregator.margin.policy_text import PolicyError
from aggregator.margin.status import Status
from tests.unit.aggregator.builders import CHAIN, OTHER_CHAIN, POLICY, USDC, WETH, Holding
from tests.unit.aggregator.test_stressing import ISOLATED, POLICY_WITH_DOLLARS, book, owner

HEAD = """
[policy]
version = "2026-11-28.1"
effective_from = "2026-12-01T00:00:00Z"
note = "Less for long tails"
approved_by = ["risk committee", "treasurer"]
notice = "48h"
"""


def test_a_file_says_its_version_moment_note_approval_and_notice() -> None:
    head = read_terms(POLICY + HEAD).head

    assert head == Head(
        version="2026-11-28.1",
        effective_from=1_796_083_200,
        note="Less for long tails",
        approved_by=("risk committee", "treasurer"),
        notice_s=48 * 3600,
    )
    assert read_terms(POLICY).head == Head(notice_s=NOTICE_S)


def test_the_digest_is_of_what_decides_numbers_and_of_nothing_else() -> None:
    plain, headed = read_terms(POLICY), read_terms(POLICY + HEAD)
    other = read_terms(POLICY.replace("haircut = 0.25", "haircut = 0.26"))

    assert plain.digest == headed.digest
    assert plain.digest == read_terms(POLICY.replace("0.25", "0.250")).digest
    assert other.digest != plain.digest


def test_a_change_of_notice_or_floors_alone_is_another_policy_too() -> None:
    plain = read_terms(POLICY)

    assert plain.governs_like(read_terms(POLICY + '[policy]\nversion = "b"\n'))
    assert not plain.governs_like(read_terms(POLICY + '[policy]\nnotice = "1h"\n'))
    assert not plain.governs_like(read_terms(POLICY + "[shortfall]\nleast_usd = 5\n"))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('version = "2026-11-28.1"', "version = 3", r"\[policy\] version must be a word"),
        ('version = "2026-11-28.1"', 'version = "a b"', r"\[policy\] version must be a word"),
        ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00", r"\[policy\] effective_from must be a moment in UTC"),
        ("2026-12-01T00:00:00Z", "soon", r"\[policy\] effective_from must be a moment in UTC"),
        ("2026-12-01T00:00:00Z", "9999-12-01T00:00:00Z", r"\[policy\] effective_from must be a moment in UTC"),
        ('note = "Less for long tails"', "note = 3", r"\[policy\] note must be a text"),
        ('["risk committee", "treasurer"]', "[3]", r"\[policy\] approved_by must be a name"),
        ('notice = "48h"', 'notice = "0h"', r"\[policy\] notice must be a duration"),
        ('notice = "48h"', 'notise = "48h"', r'\[policy\]: unknown key "notise"; did you mean "notice"'),
    ],
)
def test_a_head_that_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in HEAD

    with pytest.raises(PolicyError, match=message):
        read_terms(POLICY + HEAD.replace(old, new))


@pytest.mark.parametrize(
    "old, new, key, tightens",
    [
        ("threshold = 0.8", "threshold = 0.79", "class.major.liquidation_threshold", True),
        ("threshold = 0.8", "threshold = 0.81", "class.major.liquidation_threshold", False),
        ("maintenance_factor = 1.25", "maintenance_factor = 1.3", "class.default.maintenance_factor", True),
        ("maintenance_factor = 1.25", "maintenance_factor = 1.2", "class.default.maintenance_factor", False),
        ("haircut = 0.25", "haircut = 0.3", "class.major.haircut", False),
        ("initial_factor = 1.5", "initial_factor = 1.6", "class.default.initial_factor", False),
        ("danger_below = 1.1", "danger_below = 1.2", "status.danger_below", False),
    ],
)
def test_a_change_is_told_by_its_key_and_whether_it_tightens(old: str, new: str, key: str, tightens: bool) -> None:  # noqa: FBT001
    assert POLICY.count(old) == 1

    (change,) = changes(read_terms(POLICY), read_terms(POLICY.replace(old, new)))

    assert (change.key, change.tightens) == (key, tightens)


def test_less_notice_tightens_and_more_does_not() -> None:
    day, hour = (read_terms(f'{POLICY}[policy]\nnotice = "{notice}"\n') for notice in ("24h", "1h"))

    assert [(change.key, change.tightens) for change in changes(day, hour)] == [("policy.notice_s", True)]
    assert [(change.key, change.tightens) for change in changes(hour, day)] == [("policy.notice_s", False)]


def test_what_is_not_known_to_be_harmless_is_a_tightening() -> None:
    before = read_terms(POLICY)
    heartbeat = changes(before, read_terms(POLICY.replace('heartbeat = "24h"', 'heartbeat = "12h"')))
    venue = changes(before, read_terms(POLICY.replace("threshold = 0.8", 'threshold = "venue"')))
    gone = changes(read_terms(POLICY + POLICY_OF_ANOTHER_CLASS), before)
    profit = changes(before, read_terms(POLICY + "[liabilities]\npositive_pnl_maintenance = 0.5\n"))

    assert [change.tightens for change in heartbeat] == [True]
    assert any(change.tightens for change in venue)
    assert any(change.tightens for change in gone)
    assert [(change.key, change.tightens) for change in profit] == [("liabilities.positive_pnl_maintenance", True)]


POLICY_OF_ANOTHER_CLASS = """
[class.rwa]
haircut = 0.5
liquidation_threshold = 0.5
initial_factor = 1.5
maintenance_factor = 1.25
heartbeat = "1h"
deviation = "0%"
"""


def account(name: str, factor: str | None, status: Status, debt: str | None = "100") -> BookRow:
    return BookRow(
        account=name,
        status=status,
        score=None,
        health_factor=None if factor is None else Decimal(factor),
        min_unit_health_factor=None,
        collateral_usd=Decimal(150),
        debt_usd=None if debt is None else Decimal(debt),
        has_usd=Decimal(150),
        owes_usd=None if debt is None else Decimal(debt),
    )


def test_a_preview_names_who_falls_below_1_the_worst_first_and_what_is_at_stake() -> None:
    before = [
        account("a", "1.2", Status.WATCH),
        account("b", "1.3", Status.WATCH),
        account("c", "0.9", Status.LIQUIDATABLE),
        account("d", None, Status.NO_DEBT, "0"),
        account("e", None, Status.UNKNOWN, None),
    ]
    after = [
        account("a", "0.99", Status.LIQUIDATABLE),
        account("b", "0.80", Status.UNKNOWN),
        account("c", "0.7", Status.LIQUIDATABLE),
        account("d", None, Status.NO_DEBT, "0"),
        account("e", None, Status.UNKNOWN, None),
    ]

    found = compare(before, after)

    assert [moved.after.account for moved in found.newly_below] == ["b", "a"]
    assert (found.at_stake.accounts, found.at_stake.collateral_usd, found.at_stake.debt_usd) == (
        2,
        Decimal(300),
        Decimal(200),
    )
    assert found.other_status == {(Status.WATCH, Status.LIQUIDATABLE): 1, (Status.WATCH, Status.UNKNOWN): 1}
    assert (found.before[Status.WATCH].accounts, found.after[Status.WATCH].accounts) == (2, 0)
    assert (found.after[Status.UNKNOWN].debt_usd, found.after[Status.UNKNOWN].debt_unknown) == (Decimal(100), 1)


def rows(policy: str, *holdings: Holding) -> list[BookRow]:
    return [row(each) for each in book({CHAIN: [], OTHER_CHAIN: list(holdings)}, policy=policy).accounts]


def test_what_isolated_pools_have_and_owe_is_at_stake_and_in_the_sums() -> None:
    # 10 WETH of 2,000 at 80 % cover 16,000, at 75 % 15,000; owed are 15,500.
    holding = Holding(supplied={WETH: 10}, owed={USDC: 15_500}, owner=owner(1))
    policy = POLICY_WITH_DOLLARS + ISOLATED
    before, after = rows(policy, holding), rows(policy.replace("threshold = 0.8", "threshold = 0.75"), holding)

    found = compare(before, after)

    assert [each.debt_usd for each in after] == [0]
    stake = found.at_stake
    assert (float(stake.collateral_usd), float(stake.debt_usd), stake.debt_unknown) == (20_000.0, 15_500.0, 0)
    assert sum(each.debt_usd for each in found.before.values()) == 15_500


def test_moving_a_venue_into_an_isolated_pool_takes_nothing_out_of_the_sums() -> None:
    holding = Holding(supplied={WETH: 10}, owed={USDC: 15_500}, owner=owner(1))

    found = compare(rows(POLICY_WITH_DOLLARS, holding), rows(POLICY_WITH_DOLLARS + ISOLATED, holding))

    assert found.before == found.after


def test_debt_in_an_isolated_pool_that_nobody_knows_stays_unknown() -> None:
    mute = Holding(supplied={WETH: 10}, owed={USDC: 15_500}, owner=owner(1), mute="not_supported")
    policy = POLICY_WITH_DOLLARS + ISOLATED

    found = compare(rows(policy, mute), rows(policy, mute))

    assert found.after[Status.UNKNOWN].debt_unknown == 1
    assert found.after[Status.UNKNOWN].debt_usd == 0


def test_books_of_different_accounts_are_not_compared() -> None:
    with pytest.raises(ValueError, match="a and b are two accounts"):
        compare([account("a", "1", Status.WATCH)], [account("b", "1", Status.WATCH)])
    with pytest.raises(ValueError, match="shorter"):
        compare([account("a", "1", Status.WATCH)], [])
