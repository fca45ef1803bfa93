"""A reserve as the program brings it up to date: interest by the slot, the exchange rate of its collateral token, values and price bounds.

Source: solendprotocol/solana-program-library `token-lending/sdk/src/state/reserve.rs`. Every division is down; amounts are wads of raw
token units, prices and values wads of USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from chains.identifiers import hexed, unhexed
from chains.solana.save import maths
from chains.solana.save.layout import ISOLATED, NO_ORACLE, NOBODY
from chains.solana.save.maths import BASIS_POINT, PERCENT, SLOTS_PER_YEAR, WAD, MathOverflow

UNLIMITED = 2**64 - 1
BASIS_POINTS = 100
"""In one percent."""

DECA_BASIS_POINT = 10 * BASIS_POINT
MOST_FEE = 50


class Liquidation(NamedTuple):
    """What is taken of a reserve's collateral beyond what is paid: `usual` to `most`, and the protocol's `fee` on top, wads."""

    usual: int
    most: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What governs a reserve: utilisations and rates in percent, `ltv` and thresholds in basis points, oracles (`None`: none).

    `symbol`: none, a reserve does not tell it; `price_offset`: basis points.
    `added_weight`: what a debt weighs more than its value, in basis points; `close_limit`: whole USD of attributed debt above which
    obligations stay closeable. `liquidation`: `None` where it was not stored.
    """

    asset: bytes
    symbol: str | None
    decimals: int
    pyth: bytes | None
    switchboard: bytes | None
    extra: bytes | None
    ltv: int
    liquidation_threshold: int
    max_liquidation_threshold: int
    optimal_utilization: int
    max_utilization: int
    min_rate: int
    optimal_rate: int
    max_rate: int
    super_max_rate: int
    take_rate: int
    added_weight: int
    isolated: bool
    price_offset: int
    close_limit: int
    liquidation: Liquidation | None = None


def terms_state(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the aspect `terms` of a reserve's fields; what older versions left empty is filled as the program does when it reads."""
    threshold, optimal = fields["liquidation_threshold"], fields["optimal_utilization_rate"]
    return {
        "asset": hexed(fields["liquidity_mint"]),
        "symbol": None,
        "decimals": fields["liquidity_mint_decimals"],
        "pyth": _oracle(fields["pyth_oracle"]),
        "switchboard": _oracle(fields["switchboard_oracle"]),
        "extra": None if fields["extra_oracle"] == NOBODY else hexed(fields["extra_oracle"]),
        "ltv": fields["loan_to_value_ratio"] * BASIS_POINTS,
        "liquidation_threshold": threshold * BASIS_POINTS,
        "max_liquidation_threshold": max(threshold, fields["max_liquidation_threshold"]) * BASIS_POINTS,
        "optimal_utilization": optimal,
        "max_utilization": max(optimal, fields["max_utilization_rate"]),
        "min_rate": fields["min_borrow_rate"],
        "optimal_rate": fields["optimal_borrow_rate"],
        "max_rate": fields["max_borrow_rate"],
        "super_max_rate": str(max(fields["max_borrow_rate"], fields["super_max_borrow_rate"])),
        "take_rate": fields["protocol_take_rate"],
        "added_weight": str(fields["added_borrow_weight_bps"]),
        "isolated": fields["asset_type"] == ISOLATED,
        "price_offset": str(fields["scaled_price_offset_bps"]),
        "close_limit": str(fields["attributed_borrow_limit_close"] or UNLIMITED),
    }


def liquidation_state(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the aspect `terms` says of liquidations: bonuses in percent, the fee in tenths of one, within the program's bounds."""
    usual = fields["liquidation_bonus"]
    return {
        "liquidation": [
            usual,
            max(usual, fields["max_liquidation_bonus"]),
            min(fields["protocol_liquidation_fee"], MOST_FEE),
        ]
    }


def _oracle(address: bytes) -> str | None:
    return None if address == NO_ORACLE else hexed(address)


def terms_of(state: Mapping[str, Any]) -> Terms:
    """Read the aspect `terms`."""
    oracles = {name: unhexed(state[name]) if state[name] else None for name in ("pyth", "switchboard", "extra")}
    numbers = {name: int(state[name]) for name in ("super_max_rate", "added_weight", "price_offset", "close_limit")}
    return Terms(
        **{**state, **oracles, **numbers, "asset": unhexed(state["asset"]), "liquidation": _liquidation(state)}
    )


def _liquidation(state: Mapping[str, Any]) -> Liquidation | None:
    if "liquidation" not in state:
        return None
    usual, most, fee = state["liquidation"]
    return Liquidation(usual * PERCENT, most * PERCENT, fee * DECA_BASIS_POINT)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What a reserve has stored as of `slot`.

    `available`: raw token units; `borrowed`, `fees`: raw token units as wads; `rate`: the cumulative borrow rate, a wad; `supply`: raw
    units of the collateral token; `smoothed`: the smoothed price; `attributed`: the debt attributed to its deposits, wad USD.
    """

    slot: int
    available: int
    borrowed: int
    rate: int
    supply: int
    fees: int
    smoothed: int
    attributed: int

    def at(self, slot: int, terms: Terms) -> Pool:
        """Return the pool with interest up to a slot; raises `MathOverflow` where the program fails."""
        elapsed = maths.fits_64(slot - self.slot)
        if elapsed == 0:
            return self
        growth = maths.rate_power(maths.rate(WAD + self._borrow_rate(terms) // SLOTS_PER_YEAR), elapsed)
        new_debt = maths.subtract(maths.mul_down(self.borrowed, growth), self.borrowed)
        fees = maths.add(maths.mul_down(new_debt, terms.take_rate * PERCENT), self.fees)
        return replace(
            self,
            slot=slot,
            borrowed=maths.stored(maths.add(self.borrowed, new_debt)),
            rate=maths.stored(maths.mul_down(self.rate, growth)),
            fees=maths.stored(fees),
        )

    @cached_property
    def exchange_rate(self) -> int:
        """Collateral tokens for one token, a wad; raises `MathOverflow`."""
        total = maths.subtract(maths.add(maths.whole(self.available), self.borrowed), self.fees)
        if self.supply == 0 or total == 0:
            return WAD
        return maths.rate(maths.div_down(maths.whole(self.supply), total))

    def redeemed(self, collateral: int) -> int:
        """Return what raw units of the collateral token stand for, raw token units as a wad; raises `MathOverflow`."""
        return maths.div_down(maths.whole(collateral), self.exchange_rate)

    def _borrow_rate(self, terms: Terms) -> int:
        """Return the yearly rate at the pool's utilisation: three straight lines."""
        used = self._utilization()
        optimal, most = terms.optimal_utilization * PERCENT, terms.max_utilization * PERCENT
        low, middle, high = terms.min_rate * PERCENT, terms.optimal_rate * PERCENT, terms.max_rate * PERCENT
        if used <= optimal:
            if optimal == 0:
                return low
            return maths.rate_mul_down(maths.rate_div_down(used, optimal), maths.rate(middle - low)) + low
        if used <= most:
            weight = maths.rate_div_down(used - optimal, most - optimal)
            return maths.rate_mul_down(weight, maths.rate(high - middle)) + middle
        weight = maths.rate_div_down(used - most, maths.rate(100 * PERCENT - most))
        return maths.rate(maths.mul_down(weight, maths.rate(terms.super_max_rate * PERCENT - high)) + high)

    def _utilization(self) -> int:
        total = maths.subtract(maths.add(maths.whole(self.available), self.borrowed), self.fees)
        if total == 0 or self.borrowed == 0:
            return 0
        return maths.rate(maths.div_down(self.borrowed, maths.add(self.borrowed, maths.whole(self.available))))


def pool_state(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the aspect `reserve` of a reserve's fields."""
    return {
        "slot": fields["last_update_slot"],
        "available": str(fields["available_amount"]),
        "borrowed": str(fields["borrowed_amount_wads"]),
        "rate": str(fields["cumulative_borrow_rate_wads"]),
        "supply": str(fields["collateral_mint_total_supply"]),
        "fees": str(fields["accumulated_protocol_fees_wads"]),
        "smoothed": str(fields["smoothed_market_price"]),
        "attributed": str(fields["attributed_borrow_value"]),
    }


def pool_of(state: Mapping[str, Any]) -> Pool:
    """Read the aspect `reserve`."""
    return Pool(**{name: int(value) for name, value in state.items()})


def accrued(amount: int, then: int, now: int) -> int:
    """Return a debt (wad) with interest from one cumulative rate to another; raises `MathOverflow`."""
    if now < then:
        raise MathOverflow("the reserve's cumulative rate is below the debt's")
    return amount if now == then else maths.mul_down(amount, maths.rate(maths.div_down(now, then)))


def borrow_weight(terms: Terms) -> int:
    """Return what one USD of debt weighs, a wad; raises `MathOverflow`."""
    return maths.add(WAD, maths.fits_64(terms.added_weight * BASIS_POINT))


def value(price: int, amount: int, decimals: int) -> int:
    """Return what raw token units (a wad) are worth at a price (wad USD for a whole token); raises `MathOverflow`."""
    return maths.div_down(maths.mul_down(price, amount), maths.whole(maths.ten_128(decimals)))
