"""One margin account over all of its members: the house view, the venues' units beside it, and what is in doubt."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from aggregator.margin.house import Bound, Margin, Margins, Required, value
from aggregator.margin.numbers import WAD
from aggregator.margin.pools import NO_SURPLUS, House, Part, admitted, maintenance_of, margins_of, parts_of, surplus_of
from aggregator.margin.requirements import doubtful_units, judged, unreported
from aggregator.margin.scoring import Unscored, breach_probability
from aggregator.margin.status import HealthFactors, Status, house_status, may_be_held, score, unit_status, worst
from aggregator.margin.validity import at_worst, doubted, unconfirmed
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition, last_value, value_positions
from aggregator.margin.venue import answers, needed_prices, unanswered
from aggregator.margin.weights import Weighed
from aggregator.oracle.mark import Mark, Unpriced
from chains.model import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStanding:
    """One part of an account in its pool, and what it comes to by itself; `factors`: `None` where none of its units has debt."""

    part: Part
    margins: Margins
    factors: HealthFactors | None

    @property
    def owes(self) -> bool:
        return self.factors is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is known of one account.

    `debt_known`: all debt is known and priced; without it no number that rests on debt may be shown.
    `collateral_known`: all counted collateral is priced; without it the high bound is open.
    `min_unit_wad`: the lowest health factor of the venues, `None` without debt or when one is unknown.
    `house`: what stands together, all cross pools, and `margins` what it comes to; `pools`: each part by itself.
    `cross_debt`: whether anything is owed in cross pools. `breach_probability`: of being liquidatable within a day, `None` where that is
    not known; the score is then that of bands.
    """

    units: tuple[OpenUnit, ...]
    positions: tuple[ValuedPosition, ...]
    house: House
    margins: Margins
    pools: tuple[PoolStanding, ...]
    cross_debt: bool
    has_debt: bool
    debt_known: bool
    collateral_known: bool
    min_unit_wad: int | None
    status: Status
    score: int | None
    breach_probability: float | None
    reasons: tuple[Reason, ...]

    @property
    def measurable(self) -> bool:
        """Whether there is a house health factor."""
        return self.cross_debt and self.debt_known

    @property
    def has_usd(self) -> float:
        """What all pools have, isolated ones too, at the middle; without what has no price."""
        return math.fsum(each.collateral for each in self._apart)

    @property
    def owes_usd(self) -> float:
        """What all pools owe, isolated ones too, at the middle; too little unless `debt_known`."""
        return math.fsum(each.debt for each in self._apart)

    @property
    def _apart(self) -> list[Margin]:
        """The cross pools together, and each isolated part."""
        isolated = (each.margins.mid for each in self.pools if each.part.pool.isolated)
        return [self.margins.mid, *isolated]

    @property
    def weights(self) -> dict[int, Weighed]:
        """How each position counts, by the identity of the venue's own (`id`)."""
        return {id(each.item.position): each for standing in self.pools for each in standing.part.weighed}

    @property
    def required(self) -> Required:
        """What other systems require of collateral in escrows, as far as it is known; the margins have it too."""
        return self.house.required


def assess(
    context: Context, units: Sequence[OpenUnit], *, chains: Collection[str], gaps: Sequence[Reason]
) -> Assessment:
    """Value an account's units and judge it; the rules and formulas are those of `docs/methodology.md`.

    `chains`: where its members are; `gaps`: what is known to be missing from its data.
    """
    valued, dust_share = admitted(context, value_positions(context, units)), context.policy.status.dust_share
    house, margins, pools = _measured(context, units, valued)
    standing = [(units, margins.mid), *((each.part.units, each.margins.mid) for each in pools if _owes_together(each))]
    doubtful = doubtful_units(units, valued, dust_share=dust_share, standing=standing)
    unheard = unreported(units, doubtful)
    units, positions = judged(units, valued, doubtful, context.policy)
    owing = {(held_in.venue.id, held_in.unit.unit_id) for held_in in units if held_in.unit.has_debt}
    has_debt = bool(owing)
    in_debt: list[HealthFactors] = []
    if has_debt:
        factors = _factors(context, house, margins)
        pools = tuple(
            each if owing.isdisjoint(each.part.keys) else _judged_alone(context, each, house, factors) for each in pools
        )
        in_debt = [factors, *(each.factors for each in pools if each.factors is not None)]
    silent, needed = unanswered(units), needed_prices(context, positions)
    unpriced_debt = _unpriced(positions, debt=True)
    unpriced_supply = _unpriced(positions, debt=False)
    debt_known = not (gaps or unheard.blocking or silent.blocking or unpriced_debt)
    blocking = [*gaps, *unheard.blocking, *silent.blocking, *unpriced_debt, *needed.blocking]
    noted = [*unheard.noted, *silent.noted, *needed.noted, *unpriced_supply, *_unconfigured(positions)]
    noted += _short(context, positions)
    relied_on = _relied_on(positions, units) if has_debt else set()
    blocking += [reason for reason in context.stale_chains if reason.subject in relied_on]
    noted += [reason for reason in context.stale_chains if reason.subject in chains]
    verdict_open = has_debt and debt_known and not any(held_in.unit.liquidatable for held_in in units)
    if verdict_open and _low_in_doubt(context, house, margins, pools):
        blocking.append(LOW_BOUND_NOT_HEALTHY)
    min_unit_wad = _min_unit(units)
    status = _status(context, units, in_debt, has_debt=has_debt, blocked=bool(blocking))
    if any(each.mid < 1 <= each.favourable for each in in_debt):
        noted += unconfirmed(positions, context.policy.validity)
    estimated = has_debt and not blocking and context.risk.minima
    breach = _breach(context, pools, units, positions) if estimated else None
    if isinstance(breach, Unscored):
        noted.append(breach.reason)
    probability = breach if isinstance(breach, float) else None
    return Assessment(
        units=units,
        positions=positions,
        house=house,
        margins=margins,
        pools=pools,
        cross_debt=any(each.owes and not each.part.pool.isolated for each in pools),
        has_debt=has_debt,
        debt_known=debt_known,
        collateral_known=not any(_lacks_price(item) for item in positions if not item.is_debt),
        min_unit_wad=min_unit_wad,
        status=status,
        score=score(status, _lowest(in_debt, min_unit_wad) if has_debt else None, probability, context.policy.status),
        breach_probability=probability,
        reasons=tuple(dict.fromkeys([*blocking, *noted])),
    )


def endangered(pools: Iterable[PoolStanding]) -> list[Part]:
    """Return the parts whose equity can be gone."""
    return [each.part for each in pools if each.owes]


def _breach(
    context: Context, pools: Iterable[PoolStanding], units: Sequence[OpenUnit], positions: Sequence[ValuedPosition]
) -> float | Unscored:
    return breach_probability(context, endangered(pools), units, positions)


def _measured(
    context: Context, units: Sequence[OpenUnit], valued: Sequence[ValuedPosition]
) -> tuple[House, Margins, tuple[PoolStanding, ...]]:
    """Measure cross pools together, and each pool by itself; isolated ones first, since what they have left may count."""
    parts = parts_of(context, units, valued)
    cross = tuple(part for part in parts if not part.pool.isolated)
    alone = {
        id(part): margins_of(House(parts=(part,)), context) for part in parts if part.pool.isolated or len(cross) > 1
    }
    surplus = surplus_of((part, alone[id(part)]) for part in parts if part.pool.isolated)
    house = House(parts=cross, surplus=surplus, lending=tuple(part for part in parts if part.lends))
    margins = margins_of(house, context)
    if len(cross) == 1:
        alone[id(cross[0])] = margins if surplus == NO_SURPLUS else margins_of(House(parts=cross), context)
    return house, margins, tuple(PoolStanding(part=part, margins=alone[id(part)], factors=None) for part in parts)


def _owes_together(standing: PoolStanding) -> bool:
    """Whether a pool has a debt for which all that it has stands."""
    part = standing.part
    return not part.pool.isolated and (part.owes or any(each.unit.has_debt for each in part.units))


def _low_in_doubt(context: Context, house: House, margins: Margins, pools: Iterable[PoolStanding]) -> bool:
    """Whether collateral without a price, and more than dust, decides about the house or one of its pools."""
    together = [item for part in (*house.parts, *house.lending) for item in part.positions]
    measured = [(together, margins), *((each.part.positions, each.margins) for each in pools)]
    return any(each.low.health_factor < 1 and _doubtful(context, own, each.mid) for own, each in measured)


LOW_BOUND_NOT_HEALTHY = Reason(
    "low_bound_not_healthy", "collateral", "without its unpriced collateral the account has a health factor below 1"
)


def _judged_alone(context: Context, standing: PoolStanding, house: House, factors: HealthFactors) -> PoolStanding:
    """Give a part with debt its own health factors, which are the account's where it is all there is."""
    own = (
        factors
        if (house.parts, house.surplus) == ((standing.part,), NO_SURPLUS)
        else _factors(context, House(parts=(standing.part,)), standing.margins)
    )
    return replace(standing, factors=own)


def _factors(context: Context, house: House, margins: Margins) -> HealthFactors:
    """Return the health factor of what stands together as prices may be, each taken where it does harm, or good."""

    def at(change: Callable[[Sequence[ValuedPosition]], Sequence[ValuedPosition]]) -> float:
        changed = house.repriced(change, context)
        return mid if changed is house else maintenance_of(changed, context).health_factor

    mid, validity = margins.mid.health_factor, context.policy.validity
    adverse = at(lambda held: doubted(held, validity, Bound.LOW))
    return HealthFactors(
        low=margins.low.health_factor,
        mid=mid,
        worst=at(at_worst) if may_be_held(adverse, context.policy.status) else adverse,
        adverse=adverse,
        favourable=at(lambda held: doubted(held, validity, Bound.HIGH)),
    )


def _status(
    context: Context, units: Sequence[OpenUnit], factors: Iterable[HealthFactors], *, has_debt: bool, blocked: bool
) -> Status:
    """Return the worst of the house, its pools and units; any blocking reason makes it unknown."""
    if blocked:
        return Status.UNKNOWN
    if not has_debt:
        return Status.NO_DEBT
    policy = context.policy.status
    house = (house_status(each, policy) for each in factors)
    return worst([*house, *(unit_status(held_in, policy) for held_in in units)])


def _min_unit(units: Iterable[OpenUnit]) -> int | None:
    indebted = [held_in.unit for held_in in units if held_in.unit.has_debt]
    if not all(map(answers, indebted)):
        return None
    return min((unit.health_factor_wad for unit in indebted if unit.health_factor_wad is not None), default=None)


def _lowest(factors: Iterable[HealthFactors], min_unit_wad: int | None) -> float:
    house = min(each.mid for each in factors)
    return house if min_unit_wad is None else min(house, min_unit_wad / WAD)


def _lacks_price(item: ValuedPosition) -> bool:
    return item.matters and isinstance(item.mark, Unpriced)


def _unpriced(positions: Iterable[ValuedPosition], *, debt: bool) -> list[Reason]:
    """List what counts and has no house price, once an asset."""
    kind = "debt" if debt else "collateral"
    return [
        Reason(f"{kind}_unpriced", item.asset_id, f"{item.symbol} has no usable house price: {item.mark.cause}")
        for item in positions
        if item.is_debt is debt and item.matters and isinstance(item.mark, Unpriced)
    ]


def _unconfigured(positions: Iterable[ValuedPosition]) -> list[Reason]:
    """List what a venue without liquidation thresholds holds of assets that take their venue's, once an asset."""
    return [
        Reason(
            "asset_not_configured",
            item.asset_id,
            f"{item.symbol or 'this token'} is of class {item.asset_class}, which takes the liquidation threshold of the venue, "
            f"and {item.held_in.venue.id} has none: it counts zero until an [[asset]] gives it a class of its own",
        )
        for item in positions
        if item.lacks_threshold and item.position.counts
    ]


def _short(context: Context, positions: Iterable[ValuedPosition]) -> list[Reason]:
    """List the supplies of which a venue has less than is claimed, once an asset and venue."""
    return [
        Reason(
            "venue_short",
            item.asset_id,
            f"at block {missing.block} {missing.venue_id} held and was owed {missing.there} raw units of {item.symbol}, "
            f"{missing.claims} were claimed: of each claim that part counts",
        )
        for item in positions
        for missing in context.shortfalls
        if missing.concerns(item.held_in.venue.id, item.position)
    ]


def _relied_on(positions: Iterable[ValuedPosition], units: Iterable[OpenUnit]) -> set[str]:
    """Return the chains of debt, of counted collateral, and of the feeds that price them."""
    indebted = {held_in.venue.chain_id for held_in in units if held_in.unit.has_debt}
    return indebted.union(*(item.chains for item in positions if item.matters))


def _doubtful(context: Context, positions: Sequence[ValuedPosition], mid: Margin) -> bool:
    """Whether counted collateral without a price could be more than dust, by the last that was known of its price."""
    unpriced = [item for item in positions if not item.is_debt and _lacks_price(item)]
    known = [last for item in unpriced if (last := last_value(item)) is not None]
    if len(known) < len(unpriced):
        return True
    return bool(unpriced) and sum(known) >= context.policy.status.dust_share * mid.collateral


def priced_value(item: ValuedPosition) -> float | None:
    """Return the middle value of a position in USD, `None` without a price."""
    return value(item, Bound.MID) if isinstance(item.mark, Mark) else None
