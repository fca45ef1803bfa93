"""Integer arithmetic of Compound III (`CometCore`, `CometWithExtendedAssetList`): factors of 1e18, indices of 1e15.

All divisions round down here: operands are magnitudes. Of a negative liquidity Solidity truncates toward zero, which is the same.
"""

from __future__ import annotations

from typing import NamedTuple

FACTOR = 10**18
INDEX = 10**15


class Curve(NamedTuple):
    """A rate by utilisation: per second, factors of 1e18; `kink` is a utilisation."""

    kink: int
    low: int
    high: int
    base: int

    def rate(self, utilisation: int) -> int:
        """Return the rate per second (`getSupplyRate`, `getBorrowRate`)."""
        if utilisation <= self.kink:
            return self.base + mul_factor(self.low, utilisation)
        return self.base + mul_factor(self.low, self.kink) + mul_factor(self.high, utilisation - self.kink)


class Totals(NamedTuple):
    """What the Comet keeps of itself (`totalsBasic`): indices of the last accrual, and principals of all accounts."""

    supply_index: int
    borrow_index: int
    total_supply: int
    total_borrow: int
    accrued_at: int


class Indices(NamedTuple):
    """What a principal of 1e15 is worth on each side."""

    supply: int
    borrow: int


def mul_factor(amount: int, factor: int) -> int:
    """Multiply by a factor, down (`mulFactor`)."""
    return amount * factor // FACTOR


def present(principal: int, index: int) -> int:
    """Return what a principal's magnitude is worth, down on both sides (`presentValueSupply`, `presentValueBorrow`)."""
    return principal * index // INDEX


def value(amount: int, price: int, scale: int) -> int:
    """Return the value of an amount at a price, down (`mulPrice`; the magnitude of `signedMulPrice`)."""
    return amount * price // scale


def utilisation(totals: Totals) -> int:
    """Return borrowed over supplied as a factor of 1e18 at the stored indices (`getUtilization`)."""
    supplied = present(totals.total_supply, totals.supply_index)
    return present(totals.total_borrow, totals.borrow_index) * FACTOR // supplied if supplied else 0


def accrued(totals: Totals, supply: Curve, borrow: Curve, seconds: int) -> Indices:
    """Return the indices some seconds after the last accrual (`accruedInterestIndices`): linear, and compounding with each accrual."""
    stored = Indices(totals.supply_index, totals.borrow_index)
    if seconds <= 0:
        return stored
    used = utilisation(totals)
    return Indices(
        stored.supply + mul_factor(stored.supply, supply.rate(used) * seconds),
        stored.borrow + mul_factor(stored.borrow, borrow.rate(used) * seconds),
    )
