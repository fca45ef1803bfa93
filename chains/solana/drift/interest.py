"""A spot market's interest up to a moment, as its next touch would store it.

Source: drift-labs protocol-v2, `controller/spot_balance.rs` (`update_spot_market_cumulative_interest`), `math/spot_balance.rs`.
"""

from __future__ import annotations

from dataclasses import replace

from chains.solana.drift.integers import PRICE, Refused, unsigned
from chains.solana.drift.states import INTEREST_PAUSED, SpotMarket

UTILIZATION = 10**6
_YEAR_S = 31_536_000
_RATE = 10**6
_FACTOR = 10**6
_LEAST_RATE_STEP = PRICE // 200
_SEGMENTS = ((850_000, 5), (900_000, 10), (950_000, 15), (990_000, 20), (995_000, 25), (1_000_000, 25))
"""Up to which utilisation how many hundredths of the rate above the optimal one are added."""

_SCALE = 19
"""Decimals of scaled balance times cumulative interest."""


def scale_of(market: SpotMarket) -> int:
    """Return by what a scaled balance times the cumulative interest is divided; raises `Refused`."""
    if market.decimals > _SCALE:
        raise Refused(f"a token of {market.decimals} decimals")
    return int(10 ** (_SCALE - market.decimals))


def deposited_down(market: SpotMarket, balance: int) -> int:
    """Return the raw token units of a scaled deposit."""
    return unsigned(balance * market.cumulative_deposit_interest) // scale_of(market)


def borrowed_up(market: SpotMarket, balance: int) -> int:
    """Return the raw token units of a scaled loan."""
    return -(-unsigned(balance * market.cumulative_borrow_interest) // scale_of(market))


def with_interest(market: SpotMarket, now: int) -> SpotMarket:
    """Return a market with interest up to Unix seconds `now`; raises `Refused`."""
    if market.paused_operations & INTEREST_PAUSED or now <= market.last_interest_ts:
        return market
    utilization = _utilization(market)
    if utilization == 0:
        return market
    borrow_rate = unsigned(borrow_rate_of(market, utilization) * (now - market.last_interest_ts))
    deposit_rate = unsigned(borrow_rate * utilization) // UTILIZATION
    borrowed = unsigned(market.cumulative_borrow_interest * borrow_rate) // _YEAR_S // _RATE + 1
    deposited = unsigned(market.cumulative_deposit_interest * deposit_rate) // _YEAR_S // _RATE
    insured = unsigned(deposited * market.total_factor) // _FACTOR
    lent = unsigned(deposited - insured)
    if borrowed <= 1 or lent == 0:
        return market
    grown = replace(
        market,
        cumulative_deposit_interest=unsigned(market.cumulative_deposit_interest + lent),
        cumulative_borrow_interest=unsigned(market.cumulative_borrow_interest + borrowed),
        last_interest_ts=now,
    )
    return replace(grown, deposit_balance=grown.deposit_balance + _pooled(grown, insured))


def _pooled(market: SpotMarket, insured: int) -> int:
    """Return the scaled balance that the revenue pool gets."""
    scale = scale_of(market)
    tokens = unsigned(market.deposit_balance * insured) // scale
    return unsigned(tokens * scale) // market.cumulative_deposit_interest


def _utilization(market: SpotMarket) -> int:
    deposits = deposited_down(market, market.deposit_balance)
    borrows = borrowed_up(market, market.borrow_balance)
    if deposits == 0:
        return UTILIZATION if borrows else 0
    return unsigned(borrows * UTILIZATION) // deposits


def borrow_rate_of(market: SpotMarket, utilization: int) -> int:
    """Return the yearly rate of loans, 10^6 = 100 %; raises `Refused`."""
    least = market.min_borrow_rate * _LEAST_RATE_STEP
    optimal, rate = market.optimal_utilization, market.optimal_borrow_rate
    if utilization <= optimal:
        if optimal == 0:
            raise Refused("a market without an optimal utilisation")
        return max(utilization * (rate * UTILIZATION // optimal) // UTILIZATION, least)
    extra = unsigned(market.max_borrow_rate - rate)
    if optimal >= UTILIZATION:
        raise Refused("an optimal utilisation of 100 % is exceeded")
    reached = optimal
    for end, weight in _SEGMENTS:
        width = unsigned(end - reached)
        if utilization <= end:
            if width == 0:
                raise Refused("a division by zero")
            return max(rate + extra * weight // 100 * (utilization - reached) // width, least)
        rate += extra * weight // 100
        reached = end
    return max(rate, least)
