"""An account as a Comet takes it: `absorb` takes all collateral at its liquidation factors and all debt, `buyCollateral` sells it on.

What the collateral is credited for beyond the debt becomes a supply of the base token; what it lacks, reserves lose. The store front sells
below the price by `storeFrontPriceFactor` of what the liquidation factor leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from chains.evm.compound_v3.maths import FACTOR, mul_factor, value
from chains.liquidating import WAD, Lot, Portion, Taken, Times


class Factors(NamedTuple):
    """Of 1e18: what a collateral counts for against liquidation, and what it is credited for when it is absorbed."""

    liquidate: int
    liquidation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbable:
    """One borrower of a Comet; `loan`: the base token that it owes."""

    lots: tuple[Lot, ...]
    loan: Lot
    factors: Mapping[bytes, Factors]
    store_front: int
    times: Times | None = None

    rule = "compound-v3"
    owed_limit = None
    base_asset: bytes | None = None

    @property
    def collaterals(self) -> tuple[Lot, ...]:
        return self.lots

    @property
    def debts(self) -> tuple[Lot, ...]:
        return (self.loan,) if self.loan.amount_raw else ()

    @property
    def health_factor_wad(self) -> int:
        owed = self._value(self.loan)
        return WAD * WAD if not owed else self._covered * WAD // owed

    @property
    def _covered(self) -> int:
        return sum(mul_factor(self._value(lot), self.factors[lot.market].liquidate) for lot in self.lots)

    def moved(self, times: Times) -> Self:
        return replace(self, times=times)

    def incentive(self, collateral: bytes) -> float:
        return FACTOR / max(FACTOR - self._discount(collateral), 1)

    def most(self, collateral: bytes, debt: bytes, cap: int | None = None) -> int:
        """Return all that is owed, whatever the cap: an account is absorbed whole."""
        del collateral, debt, cap
        return self.loan.amount_raw if self._covered < self._value(self.loan) else 0

    def taken(self, collateral: bytes, debt: bytes, cover: int) -> tuple[Self, Taken]:
        del collateral, cover
        price, scale = self.loan.at(self._times), 10**self.loan.decimals
        credit = sum(mul_factor(self._value(lot), self.factors[lot.market].liquidation) for lot in self.lots)
        paid = sum(mul_factor(self._value(lot), FACTOR - self._discount(lot.market)) for lot in self.lots)
        credited = credit * scale // price
        owed = self.loan.amount_raw
        done = Taken(
            paid=Portion(debt, paid * scale // price),
            seized=tuple(Portion(lot.market, lot.amount_raw) for lot in self.lots),
            relieved=(Portion(debt, min(credited, owed)),),
            returned=(Portion(debt, credited - owed),) if credited > owed else (),
            forgiven=(Portion(debt, owed - credited),) if credited < owed else (),
        )
        return replace(self, lots=(), loan=self.loan._replace(amount_raw=0)), done

    @property
    def _times(self) -> Times:
        return self.times or {}

    def _discount(self, collateral: bytes) -> int:
        return mul_factor(self.store_front, FACTOR - self.factors[collateral].liquidation)

    def _value(self, lot: Lot) -> int:
        return int(value(lot.amount_raw, lot.at(self._times), 10**lot.decimals))
