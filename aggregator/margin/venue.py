"""What a venue needs to decide about a unit: its own numbers, and fresh prices of everything that counts there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from aggregator.margin.liabilities import Standing
from aggregator.margin.numbers import WAD
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition, heartbeat_s
from aggregator.oracle.mark import Reading, Refusal, age_limit_s, refusal
from chains.identifiers import format_address
from chains.model import Reason, UnitPosition, VenueUnit

UNANSWERED = {
    Standing.NONE: "the venue's own numbers of this unit are not known",
    Standing.KNOWN: "a deposit that counts has no usable house price, so whether it covers the liabilities is not known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Reasons that make an account unknown, and reasons that are listed and change nothing."""

    blocking: tuple[Reason, ...] = ()
    noted: tuple[Reason, ...] = ()


def unit_name(held_in: OpenUnit) -> str:
    """Name a unit for a reason: its venue and its id there."""
    return f"{held_in.venue.id}/{format_address(held_in.venue.chain_id, held_in.unit.unit_id)}"


def unanswered(units: Iterable[OpenUnit]) -> Doubts:
    """A venue that has no numbers for a unit: fatal where the unit has debt, listed where it has none.

    Unknown liabilities have reasons of their own.
    """
    blocking: list[Reason] = []
    noted: list[Reason] = []
    for held_in in units:
        target = blocking if held_in.unit.has_debt and not answers(held_in.unit) else noted
        if not answers(held_in.unit) and held_in.standing is not Standing.UNKNOWN:
            target.append(Reason("unit_unknown", unit_name(held_in), UNANSWERED[held_in.standing]))
        target.extend(held_in.unit.reasons)
    return Doubts(blocking=tuple(blocking), noted=tuple(noted))


def answers(unit: VenueUnit) -> bool:
    """Whether the venue's own numbers are known, with a health factor if there is debt."""
    return unit.health_factor_wad is not None if unit.has_debt else unit.native is not None


def needed_prices(context: Context, positions: Sequence[ValuedPosition]) -> Doubts:
    """Prices that a venue decides with and that are missing, stale or from the future, over all units with debt.

    Where liabilities are imported, the venue has no prices: its units are judged by the house's marks.
    """
    blocking: list[Reason] = []
    noted: list[Reason] = []
    for held_in, held in _by_unit(positions):
        if not held_in.unit.has_debt or held_in.standing is not Standing.NONE:
            continue
        needed = [item for item in held if item.position.counts and item.position.amount_raw > 0]
        doubtful = [(item, fault) for item in needed if (fault := _fault(context, item))]
        stale_supplies = [item.position for item, fault in doubtful if fault == Refusal.STALE and not item.is_debt]
        ignored = _is_dust(context, held_in.unit, stale_supplies)
        for item, fault in doubtful:
            dust = ignored and item.position in stale_supplies
            (noted if dust else blocking).append(_reason(context, item, fault, dust=dust))
    return Doubts(blocking=tuple(blocking), noted=tuple(noted))


def _by_unit(positions: Sequence[ValuedPosition]) -> list[tuple[OpenUnit, list[ValuedPosition]]]:
    groups: dict[int, tuple[OpenUnit, list[ValuedPosition]]] = {}
    for item in positions:
        groups.setdefault(id(item.held_in), (item.held_in, []))[1].append(item)
    return list(groups.values())


def _fault(context: Context, item: ValuedPosition) -> str | None:
    """Say what is wrong with the venue's price of a position: `missing`, or why its answer may not be used."""
    price = item.position.price
    if price is None:
        return "missing"
    reading = Reading(price.answer_raw, price.unit_raw, price.updated_at, price.block)
    limit = heartbeat_s(context, item.held_in.venue, item.asset_id, price)
    return refusal(reading, now=item.held_in.now, heartbeat_s=limit)


def _is_dust(context: Context, unit: VenueUnit, stale: Sequence[UnitPosition]) -> bool:
    """Whether stale supplies are too small to matter: the venue's verdict is the same with and without them."""
    if unit.collateral_base is None or unit.debt_base is None or unit.base_unit is None:
        return False
    share = Fraction(context.policy.status.dust_share)
    small = sum(_base_value(unit, item) for item in stale) < share * unit.collateral_base
    return small and (_covered_without(unit, stale) or unit.liquidatable is True)


def _covered_without(unit: VenueUnit, left_out: Sequence[UnitPosition]) -> bool:
    """Whether the venue's health factor would still be at least 1 without some supplies.

    They are taken twice: what a venue counts besides positions, such as losses, makes their share of what covers larger.
    """
    share, factor_wad = share_of_covering(unit, left_out), unit.health_factor_wad
    return factor_wad is not None and share is not None and (1 - 2 * share) * factor_wad >= WAD


def share_of_covering(unit: VenueUnit, some: Sequence[UnitPosition]) -> Fraction | None:
    """Return how much of what covers a unit at its venue some supplies are; `None` where nothing does, or its venue has no prices."""
    counted = [item for item in unit.positions if item.counts]
    covering, own = (
        sum(_base_value(unit, item) * (item.liquidation_threshold or 0) for item in items) for items in (counted, some)
    )
    return Fraction(own, covering) if covering else None


def _base_value(unit: VenueUnit, position: UnitPosition) -> int:
    """Return what the venue takes a position for in its base currency, rounded down; 0 without a price."""
    price = position.price
    if price is None or unit.base_unit is None:
        return 0
    whole: int = 10**position.decimals * price.unit_raw
    return position.amount_raw * price.answer_raw * unit.base_unit // whole


def _reason(context: Context, item: ValuedPosition, fault: str, *, dust: bool) -> Reason:
    code = f"venue_price_{fault}_dust" if dust else f"venue_price_{fault}"
    what = f"{item.held_in.venue.id} needs the price of {item.symbol}"
    price = item.position.price
    if price is None:
        return Reason(code, item.asset_id, f"{what} and has none")
    source = format_address(item.held_in.venue.chain_id, price.source)
    age_s = item.held_in.now - price.updated_at
    limit_s = age_limit_s(heartbeat_s(context, item.held_in.venue, item.asset_id, price))
    consequence = "; without this supply the verdict would be the same" if dust else ""
    detail = f"{what}; source {source} answered {age_s} s before the block, the limit is {limit_s} s{consequence}"
    return Reason(code, item.asset_id, detail)
