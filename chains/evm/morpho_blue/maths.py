"""Morpho Blue's own integer arithmetic (sources: morpho-blue 1.0.0, `MathLib`, `SharesMathLib`, `_accrueInterest`, `liquidate`).

Shares carry a million virtual ones and assets a single virtual one, so that nobody can move their price alone.
"""

from __future__ import annotations

from typing import NamedTuple

WAD = 10**18
PRICE_SCALE = 10**36
MAX_UINT128 = 2**128 - 1
MAX_UINT256 = 2**256 - 1

_VIRTUAL_SHARES = 10**6
_VIRTUAL_ASSETS = 1
_LIQUIDATION_CURSOR = 3 * 10**17
_MOST_INCENTIVE = 115 * 10**16


class Totals(NamedTuple):
    """What a market stores: assets and shares of both sides, when interest was last added, and the fee as a wad of interest."""

    supply_assets: int
    supply_shares: int
    borrow_assets: int
    borrow_shares: int
    last_update: int
    fee: int


class Accrued(NamedTuple):
    """A market with interest up to a time: its totals then, the interest, and the shares of it that are the fee recipient's."""

    totals: Totals
    interest: int
    fee_shares: int


class TooLarge(Exception):
    """A number that the contract has no room for: it reverts."""


def mul_div_down(a: int, b: int, divisor: int) -> int:
    """Return a·b / divisor, never above the exact quotient."""
    return a * b // divisor


def mul_div_up(a: int, b: int, divisor: int) -> int:
    """Return a·b / divisor, never below the exact quotient."""
    return (a * b + divisor - 1) // divisor


def to_shares_down(assets: int, total_assets: int, total_shares: int) -> int:
    """Return how many shares assets are, rounded down."""
    return mul_div_down(assets, total_shares + _VIRTUAL_SHARES, total_assets + _VIRTUAL_ASSETS)


def to_shares_up(assets: int, total_assets: int, total_shares: int) -> int:
    """Return how many shares assets are, rounded up."""
    return mul_div_up(assets, total_shares + _VIRTUAL_SHARES, total_assets + _VIRTUAL_ASSETS)


def to_assets_down(shares: int, total_assets: int, total_shares: int) -> int:
    """Return what shares are worth in assets, rounded down: what a supplier has."""
    return mul_div_down(shares, total_assets + _VIRTUAL_ASSETS, total_shares + _VIRTUAL_SHARES)


def to_assets_up(shares: int, total_assets: int, total_shares: int) -> int:
    """Return what shares are worth in assets, rounded up: what a borrower owes."""
    return mul_div_up(shares, total_assets + _VIRTUAL_ASSETS, total_shares + _VIRTUAL_SHARES)


def compounded(rate: int, seconds: int) -> int:
    """Return the growth of a debt less one, a wad: the first three terms of a Taylor series, each rounded down."""
    first = rate * seconds
    second = mul_div_down(first, first, 2 * WAD)
    third = mul_div_down(second, first, 3 * WAD)
    return first + second + third


def accrued(totals: Totals, rate: int, now: int) -> Accrued:
    """Add interest at `rate`, a wad a second, up to `now`; raises `TooLarge` where the contract reverts."""
    interest = mul_div_down(totals.borrow_assets, compounded(rate, now - totals.last_update), WAD)
    supply_assets, borrow_assets = totals.supply_assets + interest, totals.borrow_assets + interest
    fee = mul_div_down(interest, totals.fee, WAD)
    fee_shares = to_shares_down(fee, supply_assets - fee, totals.supply_shares) if totals.fee else 0
    grown = totals._replace(
        supply_assets=supply_assets,
        supply_shares=totals.supply_shares + fee_shares,
        borrow_assets=borrow_assets,
        last_update=now,
    )
    if max(grown) > MAX_UINT128:
        raise TooLarge
    return Accrued(grown, interest, fee_shares)


def max_borrow_down(collateral: int, price: int, lltv: int) -> int:
    """Return the debt up to which a position is healthy; raises `TooLarge` where the contract reverts."""
    if collateral * price > MAX_UINT256:
        raise TooLarge
    return mul_div_down(mul_div_down(collateral, price, PRICE_SCALE), lltv, WAD)


def liquidation_incentive_factor(lltv: int) -> int:
    """Return what a liquidator receives for each unit repaid, a wad."""
    share = WAD - mul_div_down(_LIQUIDATION_CURSOR, WAD - lltv, WAD)
    return min(_MOST_INCENTIVE, mul_div_down(WAD, WAD, share))
