"""The house's own numbers over all positions of an account: margins, health factor, liquidation prices (float64).

Sums are `math.fsum`, exact before one rounding, so that they depend on no order and never fall when a part rises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aggregator.margin.valuation import ValuedPosition
from aggregator.oracle.mark import Mark

LARGEST_RATIO = 1e12
"""A health factor beyond this is shown as this: debt that is nothing beside its collateral."""


class Bound(StrEnum):
    """From which side an account is seen; low: collateral at the low of its mark and debt at the high."""

    LOW = "low"
    MID = "mid"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """The sums of one bound in USD: `value` as it is, `initial` and `maintenance` as it counts."""

    collateral: float
    initial_collateral: float
    maintenance_collateral: float
    debt: float
    initial_debt: float
    maintenance_debt: float

    @property
    def health_factor(self) -> float:
        """Maintenance collateral over maintenance debt, at most `LARGEST_RATIO`; of an account with debt."""
        return ratio(self.maintenance_collateral, self.maintenance_debt)

    @property
    def headroom(self) -> float:
        """What could still be borrowed at a factor of 1; negative when nothing could."""
        return self.initial_collateral - self.initial_debt


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrice:
    """The price of one identity, all others unchanged, at which the house health factor is 1."""

    identity: str
    mid: float
    price: float

    @property
    def distance(self) -> float:
        """How far that is, as a fraction of today's price; negative where the price must fall."""
        return (self.price - self.mid) / self.mid


NOTHING = Margin(
    collateral=0.0,
    initial_collateral=0.0,
    maintenance_collateral=0.0,
    debt=0.0,
    initial_debt=0.0,
    maintenance_debt=0.0,
)


def margin(positions: Iterable[ValuedPosition], bound: Bound, required: Margin = NOTHING) -> Margin:
    """Sum what is counted and priced; what has no price adds nothing, on either side.

    `required`: what other systems say in USD, the same from every side.
    """
    held = [item for item in positions if item.matters and isinstance(item.mark, Mark)]
    supplies = [item for item in held if not item.is_debt]
    debts = [item for item in held if item.is_debt]
    return Margin(
        collateral=_sum(required.collateral, supplies, bound, lambda _: 1.0),
        initial_collateral=_sum(required.initial_collateral, supplies, bound, lambda item: 1 - item.factors.haircut),
        maintenance_collateral=_sum(
            required.maintenance_collateral, supplies, bound, lambda item: item.factors.liquidation_threshold
        ),
        debt=_sum(required.debt, debts, bound, lambda _: 1.0),
        initial_debt=_sum(required.initial_debt, debts, bound, lambda item: item.factors.initial_factor),
        maintenance_debt=_sum(required.maintenance_debt, debts, bound, lambda item: item.factors.maintenance_factor),
    )


def value(item: ValuedPosition, bound: Bound) -> float:
    """Return what a position is worth in USD, seen from a bound; 0 without a price."""
    return item.amount * unit_price(item, bound)


def unit_price(item: ValuedPosition, bound: Bound) -> float:
    """Return the price that a bound takes: its own side for collateral, the opposite side for debt."""
    if not isinstance(item.mark, Mark):
        return 0.0
    match bound:
        case Bound.MID:
            return item.mark.mid
        case Bound.LOW:
            return item.mark.high if item.is_debt else item.mark.low
        case Bound.HIGH:
            return item.mark.low if item.is_debt else item.mark.high


def ratio(part: float, whole: float) -> float:
    """Divide, at most `LARGEST_RATIO`; nothing over nothing is as good as it gets."""
    return min(part / whole, LARGEST_RATIO) if whole > 0 else LARGEST_RATIO


def liquidation_prices(positions: Sequence[ValuedPosition], required: Margin = NOTHING) -> tuple[LiquidationPrice, ...]:
    """Find each identity's price at which the account would be liquidated; none for an account that is below 1."""
    held = [item for item in positions if item.matters and isinstance(item.mark, Mark)]
    if not any(item.is_debt for item in held) and required.maintenance_debt == 0:
        return ()
    identities = sorted({item.identity for item in held})
    fixed = required.maintenance_collateral - required.maintenance_debt
    found = (_liquidation_price(identity, held, fixed) for identity in identities)
    return tuple(price for price in found if price is not None)


def _liquidation_price(identity: str, held: Sequence[ValuedPosition], fixed: float) -> LiquidationPrice | None:
    """Solve `rest + slope · price = 0`: `rest` is what the others and `fixed` leave, `slope` the tokens that count."""
    own = [item for item in held if item.identity == identity]
    others = [item for item in held if item.identity != identity]
    rest = math.fsum((fixed, *(_weight(item) * value(item, Bound.MID) for item in others)))
    slope = math.fsum(_weight(item) * item.amount for item in own)
    mid = unit_price(own[0], Bound.MID)
    if slope == 0 or rest + slope * mid < 0:
        return None
    price = -rest / slope
    falls = slope > 0
    reachable = 0 < price <= mid if falls else mid <= price < math.inf
    return LiquidationPrice(identity=identity, mid=mid, price=price) if reachable else None


def _weight(item: ValuedPosition) -> float:
    """How much of its value a position adds to the maintenance margin; negative for debt."""
    return -item.factors.maintenance_factor if item.is_debt else item.factors.liquidation_threshold


def _sum(
    first: float, positions: Iterable[ValuedPosition], bound: Bound, factor: Callable[[ValuedPosition], float]
) -> float:
    return math.fsum((first, *(value(item, bound) * factor(item) for item in positions)))
