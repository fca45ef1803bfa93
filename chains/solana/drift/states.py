"""What the journals keep of the state, markets and price accounts: exact JSON texts, and what they mean.

Market aspects: `state` of the venue; `terms` (what changes by configuration) and `totals` (what changes by use) of a spot market's address,
`perp_terms` and `perp_totals` of a perp market's; `price` of a price account's (`oracles.py`). Numbers of 64 bits and more are text, keys
base58; in `terms`, `asset` is the mint as 0x and hex, and `ltv` and `liquidation_threshold` are the weights of deposits, in basis points.
An account that is gone or is something else has {"problem": text}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chains.identifiers import base58, from_base58
from chains.solana.derived import program_address
from chains.solana.drift.layout import PERP_MARKET, SPOT_MARKET, STATE
from chains.solana.layouts import read

STATE_ASPECT, TERMS, TOTALS, PERP_TERMS, PERP_TOTALS, PRICE = (
    "state", "terms", "totals", "perp_terms", "perp_totals", "price",
)  # fmt: skip
PROBLEM = "problem"

SETTLEMENT = 7
"""Status of a market whose positions are settled at its expiry price."""

PREDICTION = 2
"""Contract type of a market whose price is between 0 and 1 USD."""

COLLATERAL, PROTECTED, CROSS = 0, 1, 2
TIER_A, TIER_B, TIER_C, SPECULATIVE = 0, 1, 2, 3
INTEREST_PAUSED = 1
"""Bit of a spot market's paused operations: no interest accrues."""

LIQUIDATIONS_PAUSED = 16
"""Bit of the exchange's status, and of a spot market's paused operations."""

_STATE_WIDE = ("slots_before_stale_for_margin", "confidence_interval_max_size", "too_volatile_ratio")
_STATE_NARROW = ("liquidation_margin_buffer_ratio", "exchange_status")
_SPOT_NARROW = (
    "market_index", "decimals", "initial_asset_weight", "maintenance_asset_weight", "initial_liability_weight",
    "maintenance_liability_weight", "imf_factor", "optimal_utilization", "optimal_borrow_rate", "max_borrow_rate", "oracle_source",
    "status", "asset_tier", "paused_operations", "min_borrow_rate", "pool_id", "total_factor",
)  # fmt: skip
_SPOT_LIQUIDATION = ("liquidator_fee", "if_liquidation_fee")
"""What a spot market says of liquidations, which older journals do not hold."""

_SPOT_WIDE = ("scale_initial_asset_weight_start",)
_SPOT_TOTALS = (
    "last_oracle_price_twap", "last_oracle_price_twap_5min", "deposit_balance", "borrow_balance", "cumulative_deposit_interest",
    "cumulative_borrow_interest", "last_interest_ts",
)  # fmt: skip
_PERP_NARROW = (
    "market_index", "imf_factor", "unrealized_pnl_imf_factor", "margin_ratio_initial", "margin_ratio_maintenance",
    "unrealized_pnl_initial_asset_weight", "unrealized_pnl_maintenance_asset_weight", "oracle_source", "status", "contract_type",
    "contract_tier", "paused_operations", "quote_spot_market_index", "pool_id", "high_leverage_margin_ratio_initial",
    "high_leverage_margin_ratio_maintenance",
)  # fmt: skip
_PERP_WIDE = ("unrealized_pnl_max_imbalance", "expiry_price")
_PERP_TOTALS = (
    "last_oracle_price", "last_oracle_price_twap", "base_asset_amount_with_amm", "base_asset_amount_with_unsettled_lp",
    "quote_asset_amount", "quote_asset_amount_with_unsettled_lp", "net_unsettled_funding_pnl", "cumulative_funding_rate_long",
    "cumulative_funding_rate_short",
)  # fmt: skip


@lru_cache(maxsize=1024)
def spot_address(program: bytes, index: int) -> bytes:
    """Return the address of a spot market by its number."""
    return program_address(program, b"spot_market", index.to_bytes(2, "little"))


@lru_cache(maxsize=1024)
def perp_address(program: bytes, index: int) -> bytes:
    """Return the address of a perp market by its number."""
    return program_address(program, b"perp_market", index.to_bytes(2, "little"))


def text_of(state: Mapping[str, object]) -> str:
    """Return a state as canonical JSON."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def problem_text(problem: str) -> str:
    """Return the state of something that is not what it should be."""
    return text_of({PROBLEM: problem})


def state_text(data: bytes) -> str:
    """Return what matters of the state's bytes."""
    return text_of(_picked(read(STATE.fields, data), _STATE_NARROW, _STATE_WIDE))


def spot_texts(data: bytes) -> tuple[str, str]:
    """Return what matters of a spot market's bytes: its configuration, and its totals."""
    told = read(SPOT_MARKET.fields, data)
    terms = _picked(told, (*_SPOT_NARROW, *_SPOT_LIQUIDATION), _SPOT_WIDE) | {
        "asset": "0x" + told["mint"].hex(),
        "symbol": _name(told["name"]),
        "ltv": told["initial_asset_weight"],
        "liquidation_threshold": told["maintenance_asset_weight"],
        "oracle": base58(told["oracle"]),
    }
    return text_of(terms), text_of(_picked(told, (), _SPOT_TOTALS))


def perp_texts(data: bytes) -> tuple[str, str]:
    """Return what matters of a perp market's bytes: its configuration, and its totals."""
    told = read(PERP_MARKET.fields, data)
    terms = _picked(told, _PERP_NARROW, _PERP_WIDE) | {"symbol": _name(told["name"]), "oracle": base58(told["oracle"])}
    return text_of(terms), text_of(_picked(told, (), _PERP_TOTALS))


def _picked(told: Mapping[str, Any], narrow: Sequence[str], wide: Sequence[str]) -> dict[str, object]:
    return {name: told[name] for name in narrow} | {name: str(told[name]) for name in wide}


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0 ").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """What the state says of oracles (`ValidityGuardRails`) and liquidations; the buffer is in basis points of what is owed."""

    slots_before_stale_for_margin: int
    confidence_interval_max_size: int
    too_volatile_ratio: int
    liquidation_margin_buffer_ratio: int
    exchange_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotMarket:
    """A spot market as stored, or with interest (`interest.py`); fees of liquidations are `None` where they were not stored."""

    address: bytes
    mint: bytes
    symbol: str
    market_index: int
    decimals: int
    initial_asset_weight: int
    maintenance_asset_weight: int
    initial_liability_weight: int
    maintenance_liability_weight: int
    imf_factor: int
    optimal_utilization: int
    optimal_borrow_rate: int
    max_borrow_rate: int
    min_borrow_rate: int
    oracle: bytes
    oracle_source: int
    status: int
    asset_tier: int
    paused_operations: int
    pool_id: int
    total_factor: int
    scale_initial_asset_weight_start: int
    last_oracle_price_twap: int
    last_oracle_price_twap_5min: int
    deposit_balance: int
    borrow_balance: int
    cumulative_deposit_interest: int
    cumulative_borrow_interest: int
    last_interest_ts: int
    liquidator_fee: int | None = None
    if_liquidation_fee: int | None = None

    @property
    def confidence_multiplier(self) -> int:
        """How many times wider an interval may be than the state allows (`get_max_confidence_interval_multiplier`)."""
        return {COLLATERAL: 1, PROTECTED: 1, CROSS: 5}.get(self.asset_tier, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpMarket:
    """A perp market as stored."""

    address: bytes
    symbol: str
    market_index: int
    imf_factor: int
    unrealized_pnl_imf_factor: int
    margin_ratio_initial: int
    margin_ratio_maintenance: int
    unrealized_pnl_initial_asset_weight: int
    unrealized_pnl_maintenance_asset_weight: int
    oracle: bytes
    oracle_source: int
    status: int
    contract_type: int
    contract_tier: int
    paused_operations: int
    quote_spot_market_index: int
    pool_id: int
    high_leverage_margin_ratio_initial: int
    high_leverage_margin_ratio_maintenance: int
    unrealized_pnl_max_imbalance: int
    expiry_price: int
    last_oracle_price: int
    last_oracle_price_twap: int
    base_asset_amount_with_amm: int
    base_asset_amount_with_unsettled_lp: int
    quote_asset_amount: int
    quote_asset_amount_with_unsettled_lp: int
    net_unsettled_funding_pnl: int
    cumulative_funding_rate_long: int
    cumulative_funding_rate_short: int

    @property
    def confidence_multiplier(self) -> int:
        """As of a spot market."""
        return {TIER_A: 1, TIER_B: 1, TIER_C: 2, SPECULATIVE: 10}.get(self.contract_tier, 50)


def rails_of(text: str) -> Rails | str:
    """Read the aspect `state`; says what is wrong where there is none."""
    told = json.loads(text)
    if PROBLEM in told:
        return str(told[PROBLEM])
    return Rails(**_numbers(told, (*_STATE_NARROW, *_STATE_WIDE)))


def spot_of(address: bytes, terms: str, totals: str | None) -> SpotMarket | str:
    """Read both aspects of a spot market; says what is wrong where there is none."""
    told = json.loads(terms)
    if PROBLEM in told:
        return str(told[PROBLEM])
    told |= json.loads(totals or "{}")
    fees = tuple(name for name in _SPOT_LIQUIDATION if name in told)
    numbers = _numbers(told, (*_SPOT_NARROW, *_SPOT_WIDE, *_SPOT_TOTALS, *fees))
    mint = bytes.fromhex(told["asset"][2:])
    return SpotMarket(address=address, mint=mint, symbol=told["symbol"], oracle=from_base58(told["oracle"]), **numbers)


def perp_of(address: bytes, terms: str, totals: str | None) -> PerpMarket | str:
    """Read both aspects of a perp market; says what is wrong where there is none."""
    told = json.loads(terms)
    if PROBLEM in told:
        return str(told[PROBLEM])
    told |= json.loads(totals or "{}")
    numbers = _numbers(told, (*_PERP_NARROW, *_PERP_WIDE, *_PERP_TOTALS))
    return PerpMarket(address=address, symbol=told["symbol"], oracle=from_base58(told["oracle"]), **numbers)


def _numbers(told: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    return {name: int(told[name]) for name in names}
