"""What differs from one revision of the pool to the next in an account's numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from chains.evm.aave_v3 import open_book
from chains.evm.aave_v3.engines import ENGINES, name_of
from chains.evm.aave_v3.limits import UNLIMITED
from chains.evm.aave_v3.maths import RAY, SECONDS_PER_YEAR, ray_div_up, ray_mul, ray_mul_down, ray_mul_up
from chains.model import (
    WHOLE_VENUE,
    Allowance,
    Block,
    PriceAnswer,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
    VenueUnit,
)

OWNER = b"\x0b" * 20
FEED, AGGREGATOR = b"\x0c" * 20, b"\x0d" * 20
ONE, OTHER, OWED = (bytes([i]) * 20 for i in (1, 2, 3))
IDS = {ONE: 0, OTHER: 1, OWED: 2}
V3_0, V3_1, V3_2, V3_3, V3_4, V3_5, V3_6, V3_7 = 1, 4, 5, 7, 8, 9, 10, 11
TERMS = (7_500, 8_000)
"""Loan to value and liquidation threshold of a reserve, in basis points."""


def numbers(
    revision: int,
    *,
    supplied: Mapping[bytes, int],
    owed: int = 0,
    terms: Mapping[bytes, tuple[int, int]] | None = None,
    category: int = 0,
    assets: Mapping[str, object] | None = None,
    index: int = RAY,
    stable: str | None = None,
) -> dict[str, int]:
    """An account's numbers, where every asset is worth one dollar and has as many decimals as the dollar; all supplies are collateral.

    Category 1 lends 9,000 against its assets and liquidates at 9,500.
    """
    unit = account(market(revision, terms or {}, assets or {}, index), supplied, owed, category, stable)
    assert unit.native is not None, unit.reasons
    return dict(unit.native)


def account(
    snapshot: VenueSnapshot, supplied: Mapping[bytes, int], owed: int, category: int, stable: str | None = None
) -> VenueUnit:
    positions = {(asset, Side.SUPPLY): amount for asset, amount in supplied.items()} | {(OWED, Side.BORROW): owed}
    settings = {(asset, "collateral"): "true" for asset in supplied} | {(WHOLE_VENUE, "emode"): str(category)}
    settings |= {(OWED, "stable_debt"): stable} if stable else {}
    return open_book(snapshot)(UnitSnapshot(unit_id=OWNER, owner=OWNER, positions=positions, settings=settings))


def market(
    revision: int, terms: Mapping[bytes, tuple[int, int]], assets: Mapping[str, object], index: int = RAY
) -> VenueSnapshot:
    aspects: dict[tuple[bytes, str], Any] = {
        (WHOLE_VENUE, "wiring"): {"base_unit": "100000000"},
        (WHOLE_VENUE, "engine"): {"engine": "aave", "revision": revision, "supported": True},
        (WHOLE_VENUE, "emode:1"): {"ltv": 9_000, "liquidation_threshold": 9_500, "price_source": "0x" + "00" * 20},
        (WHOLE_VENUE, "emode_assets:1"): assets,
    }
    rates = {"liquidity_rate": "0", "variable_borrow_rate": "0", "updated_at": 0}
    for asset, number in IDS.items():
        ltv, threshold = terms.get(asset, TERMS)
        aspects[asset, "reserve"] = {"id": number, "symbol": "T", "decimals": 8}
        aspects[asset, "terms"] = {"ltv": ltv, "liquidation_threshold": threshold, "emode": 0}
        aspects[asset, "rates"] = {"liquidity_index": str(index), "variable_borrow_index": str(index), **rates}
        aspects[asset, "source"] = {"source": "0x" + FEED.hex(), "since": 0}
    phase = {"aggregator": "0x" + AGGREGATOR.hex(), "problem": None, "fault": "", "decimals": 8, "since": 0}
    return VenueSnapshot(
        venue=VenueSpec(id="aave", protocol="aave-v3", chain_id="eip155:1", address=b"\x01" * 20, start_block=0),
        at=Block(number=1, hash=b"\x02" * 32, parent_hash=b"\x03" * 32, time=1_000),
        markets={key: json.dumps(state) for key, state in aspects.items()},
        feeds={FEED: json.dumps(phase)},
        answers={AGGREGATOR: PriceAnswer(10**8, 1, 1_000, 1)},
    )


def test_amounts_round_half_up_until_3_4_and_against_the_account_since() -> None:
    index = RAY // 10 * 13
    before = numbers(V3_3, supplied={ONE: 3_002}, owed=1_001, index=index)
    since = numbers(V3_5, supplied={ONE: 3_002}, owed=1_001, index=index)

    assert (before["totalCollateralBase"], before["totalDebtBase"]) == (3_903, 1_301)  # 3,902.6 and 1,301.3
    assert (since["totalCollateralBase"], since["totalDebtBase"]) == (3_902, 1_302)


def test_health_comes_of_the_average_threshold_until_3_4_and_of_the_sum_since() -> None:
    terms = {OTHER: (7_000, 7_501)}
    before = numbers(V3_3, supplied={ONE: 1_000, OTHER: 2_000}, owed=2_000, terms=terms)
    since = numbers(V3_5, supplied={ONE: 1_000, OTHER: 2_000}, owed=2_000, terms=terms)

    # (1,000 · 8,000 + 2,000 · 7,501) / 3,000 = 7,667.33
    assert before["currentLiquidationThreshold"] == since["currentLiquidationThreshold"] == 7_667
    assert before["healthFactor"] == 1_150_000_000_000_000_000  # 3,000 · 76.67 % = 2,300.1, half up 2,300; / 2,000
    assert since["healthFactor"] == 1_150_100_000_000_000_000  # 23,002,000 / 2,000 / 10,000


@pytest.mark.parametrize("revision", [V3_0, 2, 3, V3_1])
def test_debt_at_a_stable_rate_counts_until_3_1(revision: int) -> None:
    debt = json.dumps({"principal": "1000", "rate": str(RAY // 10), "updated_at": 1_000 - SECONDS_PER_YEAR})

    found = numbers(revision, supplied={ONE: 10_000}, owed=500, stable=debt)

    assert found["totalDebtBase"] == 1_605  # 500 + 1,000 · (1 + 0.1 + 0.1²/2 + 0.1³/6) = 1,105.17
    assert numbers(V3_2, supplied={ONE: 10_000}, owed=500, stable=debt)["totalDebtBase"] == 500


def test_the_patch_of_3_2_computes_as_3_2() -> None:
    terms = {OTHER: (7_000, 7_501)}
    first, patched = (
        numbers(revision, supplied={ONE: 1_000, OTHER: 2_000}, owed=2_000, terms=terms) for revision in (V3_2, V3_2 + 1)
    )

    assert patched == first
    assert name_of(V3_2 + 1) == "aave-3.2"


@pytest.mark.parametrize("revision", [V3_0, V3_3, V3_4])
def test_a_debt_worth_nothing_in_the_base_currency_has_the_health_factor_that_the_pool_says(revision: int) -> None:
    """Down to 0 until 3.4: five of what has ten more decimals than a dollar."""
    found = market(revision, {}, {})
    small = {**json.loads(found.markets[OWED, "reserve"]), "decimals": 18}
    unit = account(replace(found, markets={**found.markets, (OWED, "reserve"): json.dumps(small)}), {ONE: 10**8}, 5, 0)

    assert unit.native is not None
    assert unit.native["totalDebtBase"] == 0
    assert (unit.has_debt, unit.health_factor_wad, unit.liquidatable) == (True, 2**256 - 1, False)


@pytest.mark.parametrize(
    "aspect",
    [
        {(WHOLE_VENUE, "engine"): '{"engine": "aave-revision-99", "revision": 99, "supported": false}'},
        {(OTHER, "rounding"): '{"variable_debt_token": null}'},
    ],
    ids=["of the pool", "of a token"],
)
def test_of_code_that_is_not_known_whoever_has_anything_may_owe_anything(aspect: dict[tuple[bytes, str], str]) -> None:
    """Its debts are not followed: nothing may be concluded from none that is stored."""
    found = market(V3_6, {}, {})
    unknown = replace(found, markets={**found.markets, **aspect})

    units = [account(unknown, supplied, 0, 0) for supplied in ({ONE: 1_000}, {})]

    assert [(unit.native, unit.has_debt, unit.health_factor_wad) for unit in units] == [
        (None, True, None),
        (None, False, None),
    ]
    assert not account(found, {ONE: 1_000}, 0, 0).has_debt


def test_what_older_programs_noted_of_debt_at_a_stable_rate_is_unknown() -> None:
    unit = account(market(V3_1, {}, {}), {ONE: 1_000}, 0, 0, "true")

    assert (unit.native, unit.has_debt) == (None, True)
    assert [reason.code for reason in unit.reasons] == ["stable_debt"]


@pytest.mark.parametrize("revision, lent", [(V3_1, 7_500), (V3_2, 9_000)])
def test_a_category_names_its_assets_since_3_2(revision: int, lent: int) -> None:
    assets = {"collateral": [IDS[ONE]]}

    assert numbers(revision, supplied={ONE: 1_000}, category=1, assets=assets)["ltv"] == lent


def test_debt_compounds_by_the_binomial_until_3_3_and_by_the_series_since_3_4() -> None:
    rate, seconds = RAY // 5, 30 * 86_400
    binomial, series = (ENGINES[revision].compounded(rate, seconds) for revision in (V3_3, V3_4))

    assert ENGINES[V3_2].compounded(rate, seconds) == ENGINES[V3_1].compounded(rate, seconds) == binomial
    assert ENGINES[V3_5].compounded(rate, seconds) == series
    # 1 + x + x²/2 + x³/6 with x = 0.2 · 30 / 365, where the older one has (n − 1)(n − 2) for n² and cuts the rate of a second first
    assert series == 1_016_574_206_268_620_651_539_649_938
    assert 0 < series - binomial < 10**19


def test_amounts_round_half_up_in_3_4_too() -> None:
    found = numbers(V3_4, supplied={ONE: 3_002}, owed=1_001, index=RAY // 10 * 13)

    assert (found["totalCollateralBase"], found["totalDebtBase"]) == (3_903, 1_301)


def test_collateral_without_a_threshold_counts_since_3_6() -> None:
    terms = {OTHER: (0, 0)}
    before = numbers(V3_5, supplied={ONE: 1_000, OTHER: 1_000}, owed=100, terms=terms)
    since = numbers(V3_6, supplied={ONE: 1_000, OTHER: 1_000}, owed=100, terms=terms)

    assert (before["totalCollateralBase"], before["currentLiquidationThreshold"]) == (1_000, 8_000)
    assert (since["totalCollateralBase"], since["currentLiquidationThreshold"]) == (2_000, 4_000)
    assert before["healthFactor"] == since["healthFactor"] == 8 * 10**18


def test_a_reserve_that_lends_nothing_lends_in_a_category_since_3_6() -> None:
    terms = {ONE: (0, 8_000)}
    inside = {"collateral": [IDS[ONE]]}

    assert numbers(V3_5, supplied={ONE: 1_000}, terms=terms, category=1, assets=inside)["ltv"] == 0
    assert numbers(V3_6, supplied={ONE: 1_000}, terms=terms, category=1, assets=inside)["ltv"] == 9_000


def test_a_category_raises_the_threshold_of_its_own_assets_only() -> None:
    found = numbers(V3_3, supplied={ONE: 1_000, OTHER: 1_000}, category=1, assets={"collateral": [IDS[ONE]]})

    assert found["currentLiquidationThreshold"] == 8_750  # of 9,500 and 8,000
    assert found["ltv"] == 8_250  # of 9,000 and 7,500


def test_an_asset_that_a_category_lends_nothing_against_keeps_its_threshold() -> None:
    assets = {"collateral": [IDS[ONE]], "ltvzero": [IDS[ONE]]}

    found = numbers(V3_6, supplied={ONE: 1_000}, category=1, assets=assets)

    assert (found["ltv"], found["currentLiquidationThreshold"]) == (0, 9_500)


def test_an_isolated_category_lends_nothing_against_other_assets() -> None:
    assets = {"collateral": [IDS[ONE]], "isolated": True}

    found = numbers(V3_7, supplied={ONE: 1_000, OTHER: 1_000}, category=1, assets=assets)

    assert found["ltv"] == 4_500  # of 9,000 and nothing
    assert found["currentLiquidationThreshold"] == 8_750


@pytest.mark.parametrize("token", ["a_token", "variable_debt_token"])
def test_a_market_with_a_token_that_nobody_knows_is_not_valued(token: str) -> None:
    snapshot = market(V3_5, {}, {})
    snapshot = VenueSnapshot(
        venue=snapshot.venue,
        at=snapshot.at,
        markets={**snapshot.markets, (OTHER, "rounding"): json.dumps({token: None})},
        feeds=snapshot.feeds,
        answers=snapshot.answers,
    )

    unit = account(snapshot, {ONE: 1_000}, 0, 0)

    assert unit.native is None
    assert [(reason.code, reason.subject) for reason in unit.reasons] == [("unsupported_version", "0x" + OTHER.hex())]


def test_who_is_no_customer_is_marked() -> None:
    snapshot = market(V3_5, {}, {})
    treasury, token, wrapper = (bytes([i]) * 20 for i in (0x21, 0x22, 0x23))
    venue = replace(snapshot.venue, options={"wrappers": ["0x" + wrapper.hex().upper()]})
    aspects = {
        (ONE, "treasury"): json.dumps({"address": "0x" + treasury.hex()}),
        (WHOLE_VENUE, "followed"): json.dumps({"0x" + token.hex(): 1}),
    }
    value = open_book(replace(snapshot, venue=venue, markets={**snapshot.markets, **aspects}))
    owners = (treasury, token, snapshot.venue.address, wrapper, OWNER)
    units = [value(UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})) for owner in owners]

    assert [unit.roles for unit in units] == [("treasury",), ("contract",), ("contract",), ("wrapper",), ()]


def test_what_may_be_done_is_unknown_where_limits_were_not_followed() -> None:
    unit = account(market(V3_5, {}, {}), {ONE: 1_000}, 0, 0)

    assert unit.permits is not None
    permits = unit.permits()
    assert {reason.code for reason in permits.reasons} == {"limits_unknown"}
    assert permits.borrowable == permits.withdrawable == ()


@pytest.mark.parametrize("told, codes", [({}, {"sentinel_unknown"}), ({"sentinel": None}, set())])
def test_nothing_is_lent_where_nobody_asked_whether_there_is_a_sentinel(told: dict[str, None], codes: set[str]) -> None:
    snapshot = market(V3_5, {}, {})
    wiring = {(WHOLE_VENUE, "wiring"): json.dumps({"base_unit": "100000000", **told})}
    limits = {(asset, "limits"): json.dumps({**UNLIMITED, "borrowing": True}) for asset in IDS}
    unit = account(replace(snapshot, markets={**snapshot.markets, **wiring, **limits}), {ONE: 10_000}, 10, 0)

    assert unit.permits is not None
    borrowable = unit.permits().borrowable
    assert len(borrowable) == len(IDS)
    assert all({reason.code for reason in each.blocked} == codes for each in borrowable)
    assert all((each.most == 0) is bool(codes) for each in borrowable)


def loan_of(
    revision: int, index: int, cap: int, owed: Mapping[str, Mapping[str, object] | None], supplied: int = 10**30
) -> Allowance:
    """What an account with much collateral may borrow of `ONE` under a cap of whole tokens."""
    snapshot = market(revision, {}, {}, index)
    told = {(WHOLE_VENUE, "wiring"): {"base_unit": "100000000", "sentinel": None}}
    limits = {(asset, "limits"): {**UNLIMITED, "borrowing": True, "borrow_cap": cap} for asset in IDS}
    more = {key: json.dumps(each) for key, each in (told | limits).items()}
    aspects = {(ONE, aspect): json.dumps(each) for aspect, each in owed.items()}
    unit = account(replace(snapshot, markets={**snapshot.markets, **more, **aspects}), {OTHER: supplied}, 0, 0)
    assert unit.permits is not None
    return next(each for each in unit.permits().borrowable if each.market == ONE)


@run_with(max_examples=60)
@given(index=st.integers(RAY, 3 * RAY), below=st.integers(0, 50), lacking=st.integers(-5, 10**8))
def test_a_loan_goes_up_to_what_the_cap_leaves_by_the_pools_own_rounding(index: int, below: int, lacking: int) -> None:
    cap = (below + 1) * 10**8
    scaled = max((cap - lacking) * RAY // index, 1)

    before = loan_of(V3_3, index, below + 1, {"variable_debt": {"scaled": str(scaled)}}).cap_left
    since = loan_of(V3_5, index, below + 1, {"variable_debt": {"scaled": str(scaled)}}).cap_left

    assert before is not None
    assert since is not None
    assert before == max(cap - ray_mul(scaled, index), 0)
    assert since == 0 or ray_mul_up(scaled + ray_div_up(since, index), index) <= cap
    assert ray_mul_up(scaled + ray_div_up(since + 1, index), index) > cap


@run_with(max_examples=60)
@given(index=st.integers(RAY, 3 * RAY), virtual=st.integers(1, 10**9), supplied=st.integers(1, 10**9))
def test_a_loan_goes_up_to_what_the_reserve_has_left_and_to_all_supplies(
    index: int, virtual: int, supplied: int
) -> None:
    liquidity = {"liquidity": {"virtual": str(virtual), "supplied": str(supplied)}}

    before, since = (loan_of(revision, index, 0, liquidity) for revision in (V3_3, V3_5))

    assert before.unknown == since.unknown == ()
    assert before.most == min(virtual, ray_mul(supplied, index))
    lent_from = ray_mul_down(supplied, index)
    assert since.most <= virtual
    assert ray_mul_up(ray_div_up(since.most, index), index) <= lent_from
    assert since.most == virtual or ray_mul_up(ray_div_up(since.most + 1, index), index) > lent_from


def test_what_a_reserve_has_left_is_known_by_the_rule_of_its_version() -> None:
    counted = {"liquidity": {"virtual": "7", "supplied": "900"}}
    held = {"held": {"outcome": "returned", "output": "0x" + (8).to_bytes(32).hex(), "silent": 0}}
    lost = {"liquidity": None}
    made = {"held": {"outcome": "makes_tokens", "output": "0x", "silent": 0}}

    def said(revision: int, told: Mapping[str, Mapping[str, object] | None]) -> tuple[int, list[str], list[str]]:
        loan = loan_of(revision, RAY, 0, told)
        return loan.most, [reason.code for reason in loan.blocked], [reason.code for reason in loan.unknown]

    assert said(V3_5, counted) == said(V3_1, counted) == (7, [], [])
    assert said(V3_0, held) == (8, [], [])
    assert said(V3_5, {"liquidity": {"virtual": "0", "supplied": "900"}}) == (0, ["no_liquidity"], [])
    for revision, told in ((V3_5, held), (V3_0, counted), (V3_5, lost), (V3_0, made), (V3_1, {})):
        assert said(revision, told)[1:] == ([], ["liquidity_unknown"])


def test_how_much_of_a_cap_is_used_is_unknown_where_debt_was_not_followed() -> None:
    variable, stable = {"scaled": "100000000"}, {"principal": "100000000", "rate": "0", "updated_at": 1_000}
    discounted: Mapping[str, Mapping[str, object]] = {"variable_debt": variable, "discount": {"since": 1}}
    unknown = ["liquidity_unknown", "cap_use_unknown"]

    def said(revision: int, owed: Mapping[str, Mapping[str, object]]) -> tuple[int | None, list[str]]:
        loan = loan_of(revision, RAY, 5, owed)
        return loan.cap_left, [reason.code for reason in loan.unknown]

    assert said(V3_5, {}) == said(V3_1, {"variable_debt": variable}) == said(V3_1, discounted) == (None, unknown)
    assert said(V3_5, {"variable_debt": variable}) == (4 * 10**8, unknown[:1])
    assert said(V3_1, {"variable_debt": variable, "stable_total": stable}) == (3 * 10**8, unknown[:1])


def test_debt_that_was_discounted_is_unknown_while_there_is_any() -> None:
    positions = {(ONE, Side.SUPPLY): 1_000, (OWED, Side.BORROW): 10}
    settings = {(ONE, "collateral"): "true", (OWED, "discount"): "true"}
    value = open_book(market(V3_3, {}, {}))
    owing = value(UnitSnapshot(unit_id=OWNER, owner=OWNER, positions=positions, settings=settings))
    positions[OWED, Side.BORROW] = 0
    paid = value(UnitSnapshot(unit_id=OWNER, owner=OWNER, positions=positions, settings=settings))

    assert (owing.native, owing.has_debt) == (None, True)
    assert [(reason.code, reason.subject) for reason in owing.reasons] == [("discounted_debt", "0x" + OWED.hex())]
    assert paid.native is not None
