"""Accounts of the main cluster, with what others stated of them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Side
from chains.solana.kamino import Kamino, open_book
from chains.solana.kamino.journal import liquidity_of, liquidity_state, reserve_of, reserve_state, text_of
from chains.solana.kamino.layout import OBLIGATION, PROGRAM, RESERVE
from chains.solana.kamino.maths import ONE
from chains.solana.layouts import Table, read
from tests.support.kamino_accounts import UNIT, market
from tests.support.kamino_runs import FIXTURES, Journals, venue

FOLDER = FIXTURES / "kamino"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the dumps are not in ../shared/fixtures/solana")

STORED: Table = {
    "slot": (16, "u64"),
    "stale": (24, "u8"),
    "deposited_value_sf": (1192, "u128"),
    "allowed_borrow_value_sf": (2240, "u128"),
    "unhealthy_borrow_value_sf": (2256, "u128"),
    "borrows": (1208, (5, 200, {"market_value_sf": (104, "u128")})),
}
"""What the obligation's last refresh wrote, which nothing is computed from."""


@dataclass(frozen=True)
class Dump:
    data: bytes
    expected: dict[str, Any]


def dump(name: str) -> Dump:
    said = json.loads((FOLDER / name).read_text())
    expected = json.loads((FOLDER / "expected.json").read_text())[name]
    return Dump(base64.b64decode(said["account"]["data"][0]), expected)


def test_the_obligation_holds_and_owes_what_was_stated() -> None:
    found = dump("raw_obligation_b64.json")
    stated = found.expected

    assert OBLIGATION.problem(found.data) is None
    fields, stored = read(OBLIGATION.fields, found.data), read(STORED, found.data)
    assert base58(fields["owner"]) == stated["owner"]
    assert base58(fields["lending_market"]) == stated["upstream_asserted"]["lending_market"]
    assert [
        {"reserve": base58(slot["deposit_reserve"]), "deposited_amount": slot["deposited_amount"]}
        for slot in fields["deposits"]
        if any(slot["deposit_reserve"])
    ] == stated["upstream_asserted"]["deposits"]
    ((owed, worth),) = [
        (slot, other["market_value_sf"])
        for slot, other in zip(fields["borrows"], stored["borrows"], strict=True)
        if any(slot["borrow_reserve"])
    ]
    (borrow,) = stated["borrows"]
    assert base58(owed["borrow_reserve"]) == borrow["reserve"]
    assert owed["borrowed_amount_sf"] / ONE == borrow["borrowed_amount"]
    assert worth / ONE == borrow["market_value_usd"]
    assert (stored["slot"], stored["stale"]) == (stated["slot"], stated["stale"])
    assert stored["deposited_value_sf"] / ONE == stated["deposited_value_usd"]
    assert stored["allowed_borrow_value_sf"] / ONE == stated["allowed_borrow_value_usd"]
    assert stored["unhealthy_borrow_value_sf"] / ONE == stated["unhealthy_borrow_value_usd"]


def test_the_reserve_is_what_was_stated() -> None:
    found = dump("raw_sol_reserve_b64.json")
    stated, upstream = found.expected, found.expected["upstream_asserted"]

    assert RESERVE.problem(found.data) is None
    liquidity = liquidity_of(text_of(liquidity_state(found.data)))
    terms = reserve_of(from_base58("d4A2prbA2whesmvHaL88BH6Ewn5N4bTSU2Ze8P6Bc4Q"), text_of(reserve_state(found.data)))
    assert (liquidity.slot, read({"stale": (24, "u8")}, found.data)["stale"]) == (stated["slot"], stated["stale"])
    assert base58(terms.mint) == upstream["liquidity_mint"]
    assert liquidity.total_available_amount == upstream["available_amount"]
    assert liquidity.mint_total_supply == upstream["collateral_mint_total_supply"]
    for name in (
        "borrowed_amount_sf",
        "accumulated_protocol_fees_sf",
        "accumulated_referrer_fees_sf",
        "pending_referrer_fees_sf",
    ):
        assert getattr(liquidity, name) == int(upstream[name]), name
    keys = read({"farm_collateral": (64, "key"), "collateral_mint": (2560, "key")}, found.data)
    assert base58(keys["farm_collateral"]) == upstream["farm_collateral"]
    assert base58(keys["collateral_mint"]) == upstream["collateral_mint"]
    assert liquidity.market_price_sf / ONE == pytest.approx(stated["market_price"], abs=1e-9)
    rate = liquidity.total_supply / ONE / liquidity.mint_total_supply
    assert rate == pytest.approx(stated["ctoken_exchange_rate"], rel=1e-12)
    assert terms.loan_to_value_pct == stated["loan_to_value_pct"]
    assert terms.liquidation_threshold_pct == stated["liquidation_threshold_pct"]
    assert (terms.symbol, terms.decimals) == ("SOL", 9)
    assert (terms.min_liquidation_bonus_bps, terms.max_liquidation_bonus_bps) == (250, 1000)
    assert (terms.bad_debt_liquidation_bonus_bps, terms.protocol_liquidation_fee_pct) == (99, 50)


def test_the_limits_that_the_obligation_stores_are_the_reserve_s_shares_of_its_collateral() -> None:
    stored = read(STORED, dump("raw_obligation_b64.json").data)
    terms = reserve_of(bytes(32), text_of(reserve_state(dump("raw_sol_reserve_b64.json").data)))

    assert (
        stored["allowed_borrow_value_sf"]
        == stored["deposited_value_sf"] * (terms.loan_to_value_pct * ONE // 100) // ONE
    )
    assert (
        stored["unhealthy_borrow_value_sf"]
        == stored["deposited_value_sf"] * (terms.liquidation_threshold_pct * ONE // 100) // ONE
    )


def test_the_collateral_is_valued_at_the_reserve_s_own_price_and_the_debt_waits_for_its_reserve() -> None:
    holder, reserve = dump("raw_obligation_b64.json"), dump("raw_sol_reserve_b64.json")
    slot = reserve.expected["slot"]
    liquidity = liquidity_of(text_of(liquidity_state(reserve.data)))
    address = from_base58(holder.expected["upstream_asserted"]["lending_market"])
    spec = venue(address, "1.22")
    seen = [
        (address, market(slot, price_refresh_trigger_to_max_age_pct=100)),
        (from_base58(holder.expected["upstream_asserted"]["deposits"][0]["reserve"]), told(slot, reserve.data)),
        (UNIT, told(slot, holder.data)),
    ]
    journals = Journals()
    journals.store(Kamino(spec).fold(journals, seen), seen)
    (snapshot,) = journals.unit_snapshots()

    unit = open_book(journals.venue_snapshot(spec, slot, liquidity.market_price_last_updated_ts))(snapshot)

    assert [reason.code for reason in unit.reasons] == ["no_reserve"]
    (collateral,) = unit.positions
    assert collateral.side is Side.SUPPLY
    assert collateral.protocol_raw == 32_990_512_301
    assert collateral.amount_raw == 32_990_512_301 * liquidity.total_supply // liquidity.mint_total_supply // ONE
    assert collateral.amount_raw == pytest.approx(32_990_512_301 * reserve.expected["ctoken_exchange_rate"], abs=1)
    assert collateral.price is not None
    assert collateral.price.answer_raw == liquidity.market_price_sf


def told(slot: int, data: bytes) -> AccountBytes:
    return AccountBytes(slot, PROGRAM, 1, data, closed=False)
