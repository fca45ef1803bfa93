"""One margin account over all of its members: the house view, the venues' units beside it, and what is in doubt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from aggregator.margin.house import Bound, Margin, margin, value
from aggregator.margin.numbers import WAD
from aggregator.margin.requirements import doubtful_units, judged, requirements, unreported
from aggregator.margin.status import Status, house_status, score, unit_status, worst
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition, last_value, value_positions
from aggregator.margin.venue import answers, needed_prices, unanswered
from aggregator.oracle.mark import Mark, Unpriced
from chains.model import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The house margins of an account, seen from below, from the middle and from above."""

    low: Margin
    mid: Margin
    high: Margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is known of one account.

    `debt_known`: all debt is known and priced; without it no number that rests on debt may be shown.
    `collateral_known`: all counted collateral is priced; without it the high bound is open.
    `min_unit_wad`: the lowest health factor of the venues, `None` without debt or when one is unknown.
    `required`: what other systems require of collateral in escrows, as far as it is known; the margins have it too.
    """

    units: tuple[OpenUnit, ...]
    positions: tuple[ValuedPosition, ...]
    margins: Margins
    required: Margin
    has_debt: bool
    debt_known: bool
    collateral_known: bool
    min_unit_wad: int | None
    status: Status
    score: int | None
    reasons: tuple[Reason, ...]

    @property
    def measurable(self) -> bool:
        """Whether there is a house health factor."""
        return self.has_debt and self.debt_known


def assess(
    context: Context, units: Sequence[OpenUnit], *, chains: Collection[str], gaps: Sequence[Reason]
) -> Assessment:
    """Value an account's units and judge it; the rules and formulas are those of `docs/methodology.md`.

    `chains`: where its members are; `gaps`: what is known to be missing from its data.
    """
    valued, dust_share = value_positions(context, units), context.policy.status.dust_share
    required = requirements(units, context.policy.liabilities)
    margins = Margins(**{bound.value: margin(valued, bound, required) for bound in Bound})
    doubtful = doubtful_units(units, valued, dust_share=dust_share, mid=margins.mid)
    unheard = unreported(units, doubtful)
    units, positions = judged(units, valued, doubtful, dust_share=dust_share)
    has_debt = any(held_in.unit.has_debt for held_in in units)
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
    if verdict_open and margins.low.health_factor < 1 and _doubtful(context, positions, margins.mid):
        blocking.append(LOW_BOUND_NOT_HEALTHY)
    min_unit_wad = _min_unit(units)
    status = _status(context, units, margins, has_debt=has_debt, blocked=bool(blocking))
    return Assessment(
        units=units,
        positions=positions,
        margins=margins,
        required=required,
        has_debt=has_debt,
        debt_known=debt_known,
        collateral_known=not any(_lacks_price(item) for item in positions if not item.is_debt),
        min_unit_wad=min_unit_wad,
        status=status,
        score=score(status, _lowest(margins, min_unit_wad) if has_debt else None, context.policy.status),
        reasons=tuple(dict.fromkeys([*blocking, *noted])),
    )


LOW_BOUND_NOT_HEALTHY = Reason(
    "low_bound_not_healthy", "collateral", "without its unpriced collateral the account has a health factor below 1"
)


def _status(context: Context, units: Sequence[OpenUnit], margins: Margins, *, has_debt: bool, blocked: bool) -> Status:
    """Return the worst of house and units; any blocking reason makes it unknown."""
    if blocked:
        return Status.UNKNOWN
    if not has_debt:
        return Status.NO_DEBT
    policy = context.policy.status
    house = house_status(margins.low.health_factor, margins.mid.health_factor, policy)
    return worst([house, *(unit_status(held_in.unit, policy) for held_in in units)])


def _min_unit(units: Iterable[OpenUnit]) -> int | None:
    indebted = [held_in.unit for held_in in units if held_in.unit.has_debt]
    if not all(map(answers, indebted)):
        return None
    return min((unit.health_factor_wad for unit in indebted if unit.health_factor_wad is not None), default=None)


def _lowest(margins: Margins, min_unit_wad: int | None) -> float:
    house = margins.mid.health_factor
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
