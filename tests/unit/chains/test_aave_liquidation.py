"""What one liquidation may take: close factor, bonus, fee and dust, in dollars of eight decimals and tokens of eight."""

from __future__ import annotations

from chains.evm.aave_v3.engines import ENGINES
from chains.evm.aave_v3.liquidation import LIQUIDATING, Pair, Settlement, Stake
from chains.evm.aave_v3.maths import WAD
from chains.liquidating import largest

USD = 10**8
V3_0, V3_3, V3_5, V3_7 = 1, 7, 9, 11


def pair(
    revision: int, collateral: int, debt: int, *, owed: int | None = None, health_factor: int = WAD * 99 // 100
) -> Pair:
    """So many dollars of each, a bonus of 5 % of which the protocol takes a tenth."""
    return Pair(
        rules=LIQUIDATING[revision],
        collateral=Stake(collateral, USD, USD),
        debt=Stake(debt, USD, USD),
        bonus=10_500,
        protocol_fee=1_000,
        owed=debt if owed is None else owed,
        health_factor=health_factor,
    )


def test_there_are_rules_for_each_version_that_is_valued() -> None:
    assert LIQUIDATING.keys() == ENGINES.keys()


def test_half_of_a_debt_may_be_covered_down_to_a_health_factor_of_0_95() -> None:
    assert pair(V3_0, 9_000 * USD, 8_000 * USD).most() == 4_000 * USD
    assert pair(V3_0, 9_000 * USD, 8_000 * USD, health_factor=WAD * 95 // 100).most() == 8_000 * USD


def test_the_bonus_is_taken_and_the_protocol_has_its_share_of_it() -> None:
    settled = pair(V3_0, 9_000 * USD, 8_000 * USD).settled(4_000 * USD)

    assert settled == Settlement(covered=4_000 * USD, seized=4_180 * USD, fee=20 * USD)  # 4,200, of whose 200 a tenth


def test_no_more_is_paid_than_the_collateral_is_worth() -> None:
    settled = pair(V3_0, 1_050 * USD, 8_000 * USD).settled(4_000 * USD)

    assert settled == Settlement(covered=1_000 * USD, seized=1_045 * USD, fee=5 * USD)


def test_since_3_3_the_half_is_of_all_debt() -> None:
    assert pair(V3_3, 90_000 * USD, 8_000 * USD, owed=20_000 * USD).most() == 8_000 * USD
    assert pair(V3_3, 90_000 * USD, 8_000 * USD, owed=12_000 * USD).most() == 6_000 * USD


def test_since_3_3_small_positions_go_whole() -> None:
    assert pair(V3_0, 2_200 * USD, 1_999 * USD).most() == 1_999 * USD // 2
    assert pair(V3_3, 2_200 * USD, 1_999 * USD).most() == 1_999 * USD
    assert pair(V3_3, 1_999 * USD, 4_000 * USD).settled(4_000 * USD).covered == 190_380_952_381  # 1,999 / 1.05


def test_since_3_3_a_liquidation_leaves_a_thousand_dollars_or_nothing() -> None:
    position = pair(V3_3, 90_000 * USD, 2_500 * USD, owed=4_000 * USD)

    assert position.coverable == 2_000 * USD  # half of all, which would leave 500
    assert position.most() == 1_500 * USD
    assert not position.allowed(1_500 * USD + 1)


def test_since_3_7_the_liquidator_bears_each_rounding() -> None:
    before, since = (pair(revision, 9_000 * USD, 8_000 * USD).settled(11) for revision in (V3_5, V3_7))

    assert before == Settlement(covered=11, seized=12, fee=0)  # 11.55, half up; a tenth of one
    assert since == Settlement(covered=11, seized=10, fee=1)  # 11.55 down; of 11 - 10.47 a tenth, up


def test_since_3_5_what_all_of_the_collateral_pays_for_is_rounded_up() -> None:
    assert [pair(revision, 100, 8_000 * USD).settled(4_000).covered for revision in (V3_3, V3_5)] == [95, 96]  # 95.24


def test_the_largest_that_is_allowed_is_found_from_anywhere() -> None:
    for near in (None, -5, 0, 1, 41, 42, 43, 900, 5_000):
        assert largest(lambda amount: amount <= 42, 1_000, near) == 42
    assert largest(lambda amount: amount <= 42, 30) == 30
    assert largest(lambda amount: False, 1_000, 7) == 0
    assert largest(lambda amount: True, 0) == 0
