"""A market with interest up to a time, from the aspects of its journals: what the contract would store if it were touched then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chains.evm.logs import unhex
from chains.evm.morpho_blue.curve import borrow_rate
from chains.evm.morpho_blue.maths import Accrued, TooLarge, Totals, accrued
from chains.evm.morpho_blue.oracle import NOWHERE
from chains.evm.morpho_blue.tips import totals_of
from chains.model import Reason
from chains.ports import MarketKey


def accrued_at(markets: Mapping[MarketKey, str], market_id: bytes, now: int) -> Accrued | Reason:
    """Return a market as the contract would store it at a time, or why that is not known."""
    stored = totals_of(markets[market_id, "totals"])
    irm = unhex(_state(markets, market_id, "params")["irm"])
    if now == stored.last_update or irm == NOWHERE or stored.borrow_assets == 0:
        return Accrued(stored, 0, 0)
    rate = _rate(markets, market_id, irm, stored, now)
    if isinstance(rate, Reason):
        return rate
    try:
        return accrued(stored, rate, now)
    except TooLarge:
        return Reason("interest_too_large", "0x" + market_id.hex(), "the market's interest has no room in the contract")


def _rate(markets: Mapping[MarketKey, str], market_id: bytes, irm: bytes, stored: Totals, now: int) -> int | Reason:
    subject = "0x" + irm.hex()
    model, rate = _state(markets, irm, "model"), _state(markets, market_id, "rate")
    if not rate or not (model.get("adaptive") or rate.get("fixed")):
        detail = "the interest rate model is no adaptive curve, nor a fixed rate; interest since the market's last event is not known"
        return Reason("unsupported_irm", subject, detail)
    if rate["fault"]:
        detail = f"what the market's interest rate model said is not what its arithmetic gives {rate['fault']}"
        return Reason("irm_in_doubt", subject, detail)
    if rate.get("fixed"):
        return int(rate["average"])
    return borrow_rate(int(rate["at_target"]), stored, now).average


def _state(markets: Mapping[MarketKey, str], market: bytes, aspect: str) -> dict[str, Any]:
    text = markets.get((market, aspect))
    return {} if text is None else dict(json.loads(text))
