"""The positions of an account by pool: those of cross pools stand for each other, those of an isolated one for their own unit alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from aggregator.margin.equity import Exposure, Sums, add_up
from aggregator.margin.house import NOTHING, Bound, Margin, Margins, Measure, Required, in_order, measure, value
from aggregator.margin.layers import Purpose
from aggregator.margin.pool_policy import Pool, said_of
from aggregator.margin.requirements import requirements
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition
from aggregator.margin.weights import Weighed, exposure, weigh
from aggregator.oracle.mark import Mark


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of an account is in one pool; of an isolated one, each unit is a part of its own.

    `required`: what other systems require of its deposits; `charge_usd`: what its debts require besides.
    """

    pool: Pool
    units: tuple[OpenUnit, ...]
    weighed: tuple[Weighed, ...]
    required: Required
    charge_usd: float

    @cached_property
    def held(self) -> list[Weighed]:
        """What counts and has a price."""
        return [each for each in self.weighed if each.item.matters and isinstance(each.item.mark, Mark)]

    @property
    def positions(self) -> list[ValuedPosition]:
        return [each.item for each in self.weighed]

    def repriced(self, change: Callable[[Sequence[ValuedPosition]], Sequence[ValuedPosition]]) -> Part:
        """Return the same with other marks, and every weight as it is; itself where none is another."""
        positions = self.positions
        changed = change(positions)
        if changed is positions:
            return self
        return replace(
            self,
            weighed=tuple(replace(each, item=item) for each, item in zip(self.weighed, changed, strict=True)),
        )

    @property
    def keys(self) -> set[tuple[str, bytes]]:
        """(venue, unit) of all units."""
        return {(held_in.venue.id, held_in.unit.unit_id) for held_in in self.units}

    @property
    def lends(self) -> bool:
        """Whether what it has left counts for the account."""
        return self.pool.isolated and self.pool.count_excess

    @property
    def owes(self) -> bool:
        """Whether there is a debt with a price, or a requirement."""
        return any(each.item.is_debt for each in self.held) or self.required.maintenance_debt > 0


def admitted(context: Context, positions: Iterable[ValuedPosition]) -> tuple[ValuedPosition, ...]:
    """Let supplies that are no collateral in their pool not count."""
    if not any(pool.eligible for pool in context.policy.pools):
        return tuple(positions)
    return tuple(
        item if item.is_debt or _eligible(context, item) else replace(item, accepted=False) for item in positions
    )


def _eligible(context: Context, item: ValuedPosition) -> bool:
    wanted = context.policy.pool_of(item.held_in.venue.id).eligible
    return not wanted or not {item.asset_class, item.identity, item.asset_id}.isdisjoint(wanted)


def parts_of(context: Context, units: Sequence[OpenUnit], positions: Sequence[ValuedPosition]) -> tuple[Part, ...]:
    """Split an account; the pools in the order of its units. One that has nothing is in no pool."""
    groups: dict[tuple[str, int | None], list[OpenUnit]] = {}
    for held_in in units:
        pool = context.policy.pool_of(held_in.venue.id)
        groups.setdefault((pool.id, id(held_in) if pool.isolated else None), []).append(held_in)
    by_unit: dict[int, list[ValuedPosition]] = {}
    for item in positions:
        by_unit.setdefault(id(item.held_in), []).append(item)
    return tuple(_part(context, own, by_unit) for own in groups.values())


def _part(context: Context, units: Sequence[OpenUnit], by_unit: Mapping[int, list[ValuedPosition]]) -> Part:
    pool = context.policy.pool_of(units[0].venue.id)
    positions = [item for held_in in units for item in by_unit.get(id(held_in), ())]
    return Part(
        pool=pool,
        units=tuple(units),
        weighed=weigh(positions, context),
        required=requirements(units, context.policy.liabilities),
        charge_usd=math.fsum(
            pool.charge_usd(item.held_in.venue.chain_id) for item in positions if item.is_debt and item.matters
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """What isolated parts have left that counts for the account, from each side and for either margin, in USD."""

    of: Mapping[tuple[Bound, Purpose], float]


NO_SURPLUS = Surplus(of={})


def surplus_of(isolated: Iterable[tuple[Part, Margins]]) -> Surplus:
    """Add up what is left where its pool says that it counts; a deficit never does."""
    counted = [margins for part, margins in isolated if part.lends]
    return Surplus(
        of={
            (bound, purpose): math.fsum(
                max(0.0, (margin.initial if purpose is Purpose.INITIAL else margin.maintenance).excess)
                for margins in counted
                for margin in (getattr(margins, bound.value),)
            )
            for bound in Bound
            for purpose in Purpose
            if counted
        }
    )


def left_of(parts: Sequence[Part], context: Context) -> Surplus:
    """Measure what some parts have left, each by itself."""
    return surplus_of((part, margins_of(House(parts=(part,)), context)) for part in parts)


@dataclass(frozen=True, kw_only=True)
class House:
    """Parts that are measured together, and what counts for them of others: `surplus`, which the isolated parts `lending` have left."""

    parts: tuple[Part, ...]
    surplus: Surplus = NO_SURPLUS
    lending: tuple[Part, ...] = ()

    @property
    def owes(self) -> bool:
        return any(part.owes for part in self.parts)

    @cached_property
    def held(self) -> list[ValuedPosition]:
        """What counts and has a price."""
        return [each.item for part in self.parts for each in part.held]

    @cached_property
    def required(self) -> Required:
        own = [part.required for part in self.parts if part.required != NOTHING]
        if not own:
            return NOTHING
        return Required(
            **{name: math.fsum(getattr(each, name) for each in own) for name in Required.__dataclass_fields__}
        )

    def repriced(
        self, change: Callable[[Sequence[ValuedPosition]], Sequence[ValuedPosition]], context: Context
    ) -> House:
        """Return the same with other marks, and what is left by them; itself where none is another."""
        parts = tuple(part.repriced(change) for part in self.parts)
        lending = tuple(part.repriced(change) for part in self.lending)
        pairs = zip((*self.parts, *self.lending), (*parts, *lending), strict=True)
        if all(before is after for before, after in pairs):
            return self
        return replace(self, parts=parts, lending=lending, surplus=left_of(lending, context))

    def exposures(self, bound: Bound, purpose: Purpose) -> list[Exposure]:
        return [each for part in self.parts for each in exposures(part, bound, purpose)]

    def gains(self, bound: Bound, purpose: Purpose) -> float:
        """Return what covers besides positions, in USD."""
        said, left = self.required, self.surplus.of.get((bound, purpose), 0.0)
        return left + (said.initial_collateral if purpose is Purpose.INITIAL else said.maintenance_collateral)

    def requirements(self, purpose: Purpose) -> float:
        """Return what must be covered besides debts, in USD."""
        said, charges = self.required, math.fsum(part.charge_usd for part in self.parts)
        return charges + (said.initial_debt if purpose is Purpose.INITIAL else said.maintenance_debt)

    def undiversified(self, bound: Bound, purpose: Purpose) -> float:
        """Return what collateral counts beside whatever debt, in USD: nothing makes up for what the market may take of it."""
        sums = self.sums(bound, purpose)
        falls, _ = sums.at_risk
        return max(sums.collateral - falls, 0.0)

    def sums(self, bound: Bound, purpose: Purpose) -> Sums:
        """Add everything up as one margin counts it from one side."""
        return add_up(
            self.exposures(bound, purpose), gains=self.gains(bound, purpose), requirements=self.requirements(purpose)
        )


def margins_of(house: House, context: Context) -> Margins:
    """Measure what stands together, from all sides."""
    low, mid, high = (_margin(house, context, bound) for bound in Bound)
    return in_order(low, mid, high)


def maintenance_of(house: House, context: Context) -> Measure:
    """Measure the maintenance margin at the middle of the marks."""
    return measure(house.sums(Bound.MID, Purpose.MAINTENANCE), context.model)


def _margin(house: House, context: Context, bound: Bound) -> Margin:
    return Margin(
        collateral=_worth(house.held, bound, house.required.collateral, debt=False),
        debt=_worth(house.held, bound, house.required.debt, debt=True),
        initial=measure(house.sums(bound, Purpose.INITIAL), context.model),
        maintenance=measure(house.sums(bound, Purpose.MAINTENANCE), context.model),
    )


def _worth(held: Iterable[ValuedPosition], bound: Bound, said: float, *, debt: bool) -> float:
    return math.fsum((said, *(value(item, bound) for item in held if item.is_debt is debt)))


def exposures(part: Part, bound: Bound, purpose: Purpose) -> list[Exposure]:
    """Return the positions of a part; what new debt may rest on is limited by the pool, what keeps old debt is not."""
    held = part.held
    shares = _shares(part.pool, held, bound) if purpose is Purpose.INITIAL and part.pool.limited else {}
    return [
        exposure(each, bound, purpose, 1.0 if each.item.is_debt else shares.get(each.item.identity, 1.0))
        for each in held
    ]


def _shares(pool: Pool, held: Sequence[Weighed], bound: Bound) -> dict[str, float]:
    """Return the share of each identity that is within the pool's limits."""
    supplies = [each.item for each in held if not each.item.is_debt]
    everything = math.fsum(value(item, bound) for item in supplies)
    found = {}
    for identity in sorted({item.identity for item in supplies}):
        own = [item for item in supplies if item.identity == identity]
        worth = math.fsum(value(item, bound) for item in own)
        most = min(_most(pool, item, everything) for item in own)
        found[identity] = min(1.0, most / worth) if worth > 0 else 1.0
    return found


def _most(pool: Pool, item: ValuedPosition, everything: float) -> float:
    cap = said_of(pool.cap_usd, item.identity, item.asset_class)
    share = said_of(pool.max_share, item.identity, item.asset_class)
    return min(math.inf if cap is None else cap, math.inf if share is None else share * everything)
