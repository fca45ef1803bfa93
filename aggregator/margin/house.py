"""The house's own numbers over some positions of an account: margins and health factor, from three sides (float64).

Sums are `math.fsum`, exact before one rounding, so that they depend on no order and never fall when a part rises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from aggregator.margin.equity import LARGEST_RATIO, Model, Sums, debt_lines, equity, largest_multiple
from aggregator.margin.valuation import ValuedPosition
from aggregator.oracle.mark import Mark

JUST_BELOW_ONE = math.nextafter(1.0, 0.0)
LEAST_LOSS = -math.ulp(0.0)


class Bound(StrEnum):
    """From which side an account is seen; low: collateral at the low of its mark and debt at the high."""

    LOW = "low"
    MID = "mid"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """What other systems say of deposits in USD: profits count with the collateral, losses and requirements with the debt."""

    collateral: float = 0.0
    initial_collateral: float = 0.0
    maintenance_collateral: float = 0.0
    debt: float = 0.0
    initial_debt: float = 0.0
    maintenance_debt: float = 0.0


NOTHING = Required()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One margin from one side, in USD: what covers, what must be covered, and what is left.

    `health_factor`: the multiple of the debt that is still covered, at most `LARGEST_RATIO`; below 1 just where `excess` is negative.
    `loan_to_value`: its inverse, `None` where nothing covers a debt.
    """

    collateral: float
    debt: float
    excess: float
    health_factor: float
    loan_to_value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Both margins from one side; `collateral`, `debt`: as they are, in USD."""

    collateral: float
    debt: float
    initial: Measure
    maintenance: Measure

    @property
    def health_factor(self) -> float:
        """The maintenance margin's."""
        return self.maintenance.health_factor

    @property
    def headroom(self) -> float:
        """What could still be borrowed at a factor of 1; negative when nothing could."""
        return self.initial.excess

    @property
    def maintenance_debt(self) -> float:
        return self.maintenance.debt


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The margins of some positions, seen from below, from the middle and from above."""

    low: Margin
    mid: Margin
    high: Margin


def in_order(low: Margin, mid: Margin, high: Margin) -> Margins:
    """Put three sides together; where rounding alone turned their health factors round, the middle's stands for both."""
    return Margins(
        low=_at(low, min(low.health_factor, mid.health_factor)),
        mid=mid,
        high=_at(high, max(high.health_factor, mid.health_factor)),
    )


def _at(margin: Margin, health_factor: float) -> Margin:
    if margin.health_factor == health_factor:
        return margin
    return replace(margin, maintenance=replace(margin.maintenance, health_factor=health_factor))


def measure(sums: Sums, model: Model) -> Measure:
    """Return what some exposures come to; where rounding would have factor and excess disagree, the worse of them stands."""
    along = debt_lines(sums, model)
    excess, factor = equity(along), largest_multiple(along)
    if excess < 0:
        factor = min(factor, JUST_BELOW_ONE)
    elif factor < 1:
        excess = LEAST_LOSS
    plain = sums.risks.nothing
    collateral = sums.collateral if plain else max(excess + sums.debt, 0.0)
    return Measure(
        collateral=collateral,
        debt=sums.debt if plain or collateral > 0 else -excess,
        excess=excess,
        health_factor=factor,
        loan_to_value=_loan_to_value(sums, factor),
    )


def _loan_to_value(sums: Sums, factor: float) -> float | None:
    if sums.debt == 0:
        return 0.0
    if sums.risks.nothing:
        return min(sums.debt / sums.collateral, LARGEST_RATIO) if sums.collateral > 0 else None
    return min(1 / factor, LARGEST_RATIO) if factor > 0 else None


def value(item: ValuedPosition, bound: Bound) -> float:
    """Return what a position is worth in USD, seen from a bound; 0 without a price."""
    return item.amount * unit_price(item, bound)


def unit_price(item: ValuedPosition, bound: Bound) -> float:
    """Return the price that a bound takes: its own side for collateral, the opposite side for debt."""
    mark = item.mark
    if not isinstance(mark, Mark):
        return 0.0
    if bound is Bound.MID:
        return mark.mid
    return mark.high if item.is_debt is (bound is Bound.LOW) else mark.low
