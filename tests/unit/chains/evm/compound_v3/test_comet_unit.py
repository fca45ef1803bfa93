"""What a Comet says of an account: the view at the last accrual, the verdict at the block, and when neither is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.evm.compound_v3 import open_book
from chains.model import (
    WHOLE_VENUE,
    Block,
    PriceAnswer,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
    VenueUnit,
)

ANN, BASE, WETH, DROPPED = (bytes([i]) * 20 for i in (1, 0xBA, 0xE1, 0xDD))
FEED = {BASE: b"\xf0" * 20, WETH: b"\xf1" * 20}
WAD, UNIT = 10**18, 10**8
ETH, USD = 10**18, 10**6
DAY = 86_400
VENUE = VenueSpec(id="comet", protocol="compound-v3", chain_id="eip155:1", address=b"\xc0" * 20, start_block=1)


def hexed(address: bytes) -> str:
    return "0x" + address.hex()


def terms(**change: Any) -> dict[str, Any]:
    flat = {"kink": str(8 * 10**17), "low": "0", "high": "0", "base": "0"}
    weth = {
        "offset": 0, "asset": hexed(WETH), "feed": hexed(FEED[WETH]), "scale": str(ETH),
        "borrow_factor": str(8 * 10**17), "liquidate_factor": str(9 * 10**17), "liquidation_factor": str(95 * 10**16),
        "supply_cap": "1", "symbol": "WETH",
    }  # fmt: skip
    return {
        "problem": None, "base": hexed(BASE), "symbol": "USDC", "feed": hexed(FEED[BASE]), "feed_description": "USDC / USD",
        "base_scale": str(USD), "supply": flat, "borrow": flat | {"base": str(10**9)}, "assets": [weth], **change,
    }  # fmt: skip


def totals(**change: Any) -> dict[str, Any]:
    return {
        "outcome": "returned", "supply_index": str(10**15), "borrow_index": str(10**15), "total_supply": str(10**12),
        "total_borrow": str(10**11), "accrued_at": "1000", "followed": True, **change,
    }  # fmt: skip


def snapshot(
    *, time: int = 1_000, prices: Mapping[bytes, int] | None = None, comet: dict[str, Any] | None = None, **change: Any
) -> VenueSnapshot:
    answers = {BASE: UNIT, WETH: 2_000 * UNIT} | dict(prices or {})
    aspects = {"terms": terms(**change), "totals": comet or totals()}
    phases = {feed: {"aggregator": hexed(token), "problem": None, "fault": ""} for token, feed in FEED.items()}
    return VenueSnapshot(
        venue=VENUE,
        at=Block(number=9, hash=b"", parent_hash=b"", time=time),
        markets={(WHOLE_VENUE, aspect): json.dumps(state) for aspect, state in aspects.items()},
        feeds={feed: json.dumps(phase) for feed, phase in phases.items()},
        answers={token: PriceAnswer(answer, 1, 990, 8) for token, answer in answers.items()},
    )


def ann(collateral: int = 0, owed: int = 0, supplied: int = 0, **settings: str) -> UnitSnapshot:
    held = {(WETH, Side.SUPPLY): collateral, (BASE, Side.BORROW): owed, (BASE, Side.SUPPLY): supplied}
    return UnitSnapshot(
        unit_id=ANN, owner=ANN, positions={key: amount for key, amount in held.items() if amount},
        settings={(WHOLE_VENUE, name): value for name, value in settings.items()},
    )  # fmt: skip


def valued(unit: UnitSnapshot, **of: Any) -> VenueUnit:
    return open_book(snapshot(**of))(unit)


def codes(unit: VenueUnit) -> set[str]:
    return {reason.code for reason in unit.reasons}


def test_an_account_is_liquidatable_below_the_value_that_its_collateral_covers() -> None:
    # one ETH of 2000 USD covers 1800
    exactly = valued(ann(ETH, 1_800 * USD))
    above = valued(ann(ETH, 1_800 * USD + 1))

    assert (exactly.health_factor_wad, exactly.liquidatable) == (WAD, False)
    assert above.health_factor_wad is not None
    assert (above.health_factor_wad < WAD, above.liquidatable) == (True, True)


def test_the_view_looks_at_the_last_accrual_and_the_verdict_at_the_block() -> None:
    # a day at 1e-9 a second adds 86.4e-6: 1799.9 becomes 1800.0555
    unit = valued(ann(ETH, 1_799_900_000), time=1_000 + DAY)

    assert unit.native is not None
    assert (unit.native["liquidatable_view"], unit.native["liquidatable_now"]) == (0, 1)
    assert (unit.native["borrowBalanceOf"], unit.liquidatable) == (1_800_055_511, True)


def test_who_may_not_borrow_more_is_not_yet_liquidatable() -> None:
    unit = valued(ann(ETH, 1_700 * USD))

    assert unit.native is not None
    assert (unit.native["isBorrowCollateralized"], unit.native["liquidatable_now"]) == (0, 0)


def test_a_view_that_reverts_over_deactivated_collateral_has_no_answer_and_liquidation_goes_on() -> None:
    owing, free = (valued(ann(ETH, owed), deactivated=[0]) for owed in (1_900 * USD, 0))

    assert owing.native is not None
    assert free.native is not None
    assert ("isBorrowCollateralized" in owing.native, owing.liquidatable) == (False, True)
    assert free.native["isBorrowCollateralized"] == 1


def test_supplied_base_is_listed_and_backs_nothing() -> None:
    unit = valued(ann(supplied=5 * USD))

    assert unit.native is not None
    assert (unit.native["principal"], unit.native["balanceOf"], unit.has_debt) == (5 * USD, 5 * USD, False)
    assert [(p.side, p.amount_raw, p.counts) for p in unit.positions] == [(Side.SUPPLY, 5 * USD, False)]


def test_thresholds_are_cut_to_basis_points() -> None:
    asset = terms()["assets"][0] | {"liquidate_factor": str(899_999_999_999_999_999)}

    (position,) = valued(ann(ETH), assets=[asset]).positions

    assert position.liquidation_threshold == 8_999


@pytest.mark.parametrize("answer", [0, -1])
def test_a_price_that_the_comet_refuses_makes_a_debtor_unknown(answer: int) -> None:
    unit = valued(ann(ETH, USD), prices={WETH: answer})

    assert (unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None)
    assert codes(unit) == {"price_not_positive"}


def test_without_debt_no_price_is_needed() -> None:
    unit = valued(ann(ETH, supplied=USD), prices={WETH: 0})

    assert unit.native is not None
    assert (unit.liquidatable, unit.collateral_base, codes(unit)) == (False, None, {"price_not_positive"})


def test_an_account_whose_principal_could_not_be_read_may_owe_anything() -> None:
    unit = valued(ann(ETH, principal="unread"))

    assert (unit.native, unit.has_debt, codes(unit)) == (None, True, {"state_unavailable"})
    assert [(p.asset, p.amount_raw) for p in unit.positions] == [(WETH, ETH)]


def test_a_comet_whose_state_could_not_be_read_leaves_everybody_unknown() -> None:
    gone = {"outcome": "unavailable", "output": "", "followed": False}

    assert valued(ann(ETH), comet=gone).has_debt
    assert (valued(ann(ETH), comet=gone).native, codes(valued(ann(ETH), comet=gone))) == (None, {"state_unavailable"})


def test_an_implementation_that_is_not_known_is_named_and_not_valued() -> None:
    unit = open_book(
        VenueSnapshot(
            venue=VENUE, at=Block(number=9, hash=b"", parent_hash=b"", time=1_000), feeds={}, answers={},
            markets={(WHOLE_VENUE, "terms"): '{"problem":"supplyKink() gives no answer","assets":[]}'},
        )
    )(ann(ETH))  # fmt: skip

    assert (unit.native, codes(unit)) == (None, {"unsupported_version"})


def test_collateral_that_is_listed_no_more_counts_nothing_and_is_named() -> None:
    held = ann(ETH, USD)
    unit = valued(
        UnitSnapshot(unit_id=ANN, owner=ANN, positions={**held.positions, (DROPPED, Side.SUPPLY): 5}, settings={})
    )

    assert unit.native is not None
    assert codes(unit) == {"asset_not_listed"}


def test_prices_of_another_currency_than_usd_are_no_prices_of_the_house() -> None:
    assert valued(ann(ETH)).base_unit == UNIT
    assert valued(ann(ETH), feed_description="Constant price feed").base_unit is None


@given(
    st.integers(0, 10**24), st.integers(1, 10**16), st.integers(1, 10**14), st.integers(1, 10**10), st.integers(0, DAY)
)
def test_the_health_factor_is_below_one_just_where_the_comet_would_absorb(
    collateral: int, owed: int, eth: int, usd: int, seconds: int
) -> None:
    unit = valued(ann(collateral, owed), prices={WETH: eth, BASE: usd}, time=1_000 + seconds)

    assert unit.native is not None
    assert unit.health_factor_wad is not None
    assert (unit.health_factor_wad < WAD) == unit.liquidatable == bool(unit.native["liquidatable_now"])
    assert unit.native["liquidatable_now"] >= unit.native["liquidatable_view"]
