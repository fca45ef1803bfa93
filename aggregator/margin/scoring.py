"""How likely an account is to be liquidatable within a day: by the house's equities, and by each venue's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aggregator.margin.distances import identities, slope_of
from aggregator.margin.equity import debt_lines, equity
from aggregator.margin.house import Bound, value
from aggregator.margin.layers import Purpose
from aggregator.margin.liabilities import Standing
from aggregator.margin.numbers import WAD
from aggregator.margin.pools import House, Part
from aggregator.margin.valuation import BASIS_POINTS, Context, OpenUnit, ValuedPosition
from aggregator.margin.venue import answers, share_of_covering
from aggregator.oracle.mark import Mark
from aggregator.risk.breach import Leg, Stand, Unestimated, breach_chance, either
from chains.model import Reason

UNSEEN = frozenset({"perp_exposure"})
"""Notes of units whose positions do not say how they move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """Nobody can say how likely it is; the reason says what is not known."""

    reason: Reason


def breach_probability(
    context: Context, parts: Iterable[Part], units: Sequence[OpenUnit], positions: Sequence[ValuedPosition]
) -> float | Unscored:
    """Return the chance that any of an account's equities is gone within a day; of an account whose debt is known and priced.

    `parts`: those with debt, each of which stands by itself. The estimates must tell how far days go (`minima`).
    """
    found = stands(context, parts, units, positions)
    if isinstance(found, Unscored):
        return found
    calm, chances = calm_of(context, positions), []
    for stand in found:
        chance = breach_chance(stand, context.risk, calm)
        if isinstance(chance, Unestimated):
            return unscored(chance.identities)
        chances.append(chance)
    return either(chances)


def stands(
    context: Context, parts: Iterable[Part], units: Sequence[OpenUnit], positions: Sequence[ValuedPosition]
) -> tuple[Stand, ...] | Unscored:
    """Return every equity whose end makes an account liquidatable: each part's, and each unit's own.

    That of all cross parts together, and of what counts beside them, is never gone before one of theirs is.
    """
    found = (*_houses(context, parts), *_venues(units, positions))
    return next((each for each in found if isinstance(each, Unscored)), None) or tuple(
        each for each in found if isinstance(each, Stand)
    )


def calm_of(context: Context, positions: Iterable[ValuedPosition]) -> set[str]:
    """Return the identities that are USD-like by their class."""
    layers = context.policy.layers
    return {item.identity for item in positions if layers.of_class(item.asset_class).usd_like}


def unscored(identities: Iterable[str]) -> Unscored:
    """Say of which identities, which are owed, nobody knows how they move."""
    names = ", ".join(identities)
    return Unscored(reason=Reason("breach_not_estimated", names, f"no price history tells how {names} moves"))


def _houses(context: Context, parts: Iterable[Part]) -> Iterator[Stand]:
    return (_house(House(parts=(part,)), context) for part in parts if part.owes)


def _house(house: House, context: Context) -> Stand:
    legs = tuple(Leg(identity=name, weight=slope_of(house, context, name)) for name in sorted(identities(house)))
    left = house_equity(house, context)
    return Stand(legs=legs, fixed=left - math.fsum(leg.weight for leg in legs))


def house_equity(house: House, context: Context) -> float:
    """Return what is left of the maintenance margin at the middle of the marks, in USD."""
    return equity(debt_lines(house.sums(Bound.MID, Purpose.MAINTENANCE), context.model))


def _venues(units: Iterable[OpenUnit], positions: Sequence[ValuedPosition]) -> Iterator[Stand | Unscored]:
    """Yield each indebted unit's own equity: its collateral at the house's marks, its debt so that the venue's health factor holds."""
    for held_in in units:
        unit = held_in.unit
        if not unit.has_debt or not answers(unit) or unit.health_factor_wad is None:
            continue
        own = [item for item in positions if item.held_in is held_in and item.position.counts]
        if UNSEEN & {reason.code for reason in unit.reasons}:
            yield Unscored(
                reason=Reason("breach_not_estimated", held_in.venue.id, "its positions do not say how they move")
            )
        else:
            yield _unit(own, held_in, unit.health_factor_wad)


def _unit(own: Sequence[ValuedPosition], held_in: OpenUnit, health_factor_wad: int) -> Stand | Unscored:
    """Return a unit's equity; what has no price is left out, where the rest is enough without it.

    Its venue requires as much as before. A unit that house marks judge has a health factor without it already.
    """
    unpriced = [item for item in own if not isinstance(item.mark, Mark)]
    if not unpriced:
        return _whole(own, health_factor_wad)
    by_house = held_in.standing is not Standing.NONE
    share = 0 if by_house else share_of_covering(held_in.unit, [item.position for item in unpriced])
    without_wad = math.floor((1 - share) * health_factor_wad) if share is not None else 0
    if any(item.is_debt for item in unpriced) or without_wad <= WAD:
        return unscored(sorted({item.identity for item in unpriced}))
    return _whole([item for item in own if item not in unpriced], without_wad)


def _whole(own: Sequence[ValuedPosition], health_factor_wad: int) -> Stand:
    supplies = [Leg(identity=item.identity, weight=_covering(item)) for item in own if not item.is_debt]
    debts = [(item.identity, value(item, Bound.MID)) for item in own if item.is_debt]
    covering = math.fsum(leg.weight for leg in supplies)
    required = covering * WAD / health_factor_wad if health_factor_wad else math.inf
    owed = math.fsum(worth for _, worth in debts)
    if not math.isfinite(required) or owed <= 0:
        return Stand(legs=tuple(supplies), fixed=-required if math.isfinite(required) else -math.inf)
    scaled = [Leg(identity=identity, weight=-worth * required / owed) for identity, worth in debts]
    return Stand(legs=(*supplies, *scaled))


def _covering(item: ValuedPosition) -> float:
    threshold = item.position.liquidation_threshold
    return value(item, Bound.MID) * (1.0 if threshold is None else threshold / BASIS_POINTS)
