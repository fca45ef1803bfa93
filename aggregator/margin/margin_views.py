"""From margins to what the document says of pools, layers and distances: each number rounded once, to the safe side."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from aggregator.margin import numbers
from aggregator.margin.account import Assessment, PoolStanding
from aggregator.margin.distances import common_fall, deviations, withdrawals
from aggregator.margin.house import Bound, Margin, Margins, Measure
from aggregator.margin.inputs import HealthInputs, InFlight
from aggregator.margin.layers import Layers, Purpose
from aggregator.margin.margin_document import (
    DistanceView,
    FreeCollateralView,
    InFlightView,
    LayersView,
    MarginSums,
    PoolView,
    WeightView,
)
from aggregator.margin.policy import StatusPolicy
from aggregator.margin.pools import House
from aggregator.margin.status import Status, house_status
from aggregator.margin.valuation import Context, identity_of
from aggregator.margin.weights import Weighed, Weight
from aggregator.oracle.mark import Mark, Unpriced
from chains.identifiers import format_address


def initial_margin(house: House, margins: Margins, *, debt_known: bool) -> MarginSums:
    """Write what new debt may rest on, at the low of the marks."""
    return _sums(margins.low.initial, initial_collateral(house, margins, debt_known=debt_known), debt_known=debt_known)


def maintenance_margin(house: House, margins: Margins, *, debt_known: bool) -> MarginSums:
    """Write what counts against liquidation, at the middle of the marks."""
    measure = margins.mid.maintenance
    counted = measure.collateral if debt_known else house.undiversified(Bound.MID, Purpose.MAINTENANCE)
    return _sums(measure, counted, debt_known=debt_known)


def initial_collateral(house: House, margins: Margins, *, debt_known: bool) -> float:
    """Return what collateral counts for new debt in USD: while debt is not known, what it counts beside whatever debt."""
    return margins.low.initial.collateral if debt_known else house.undiversified(Bound.LOW, Purpose.INITIAL)


def _sums(measure: Measure, collateral: float, *, debt_known: bool) -> MarginSums:
    return MarginSums(
        collateral=numbers.text(numbers.usd_down(collateral)),
        debt=numbers.text(numbers.usd_up(measure.debt)) if debt_known else None,
        excess=numbers.text(numbers.usd_down(measure.excess)) if debt_known else None,
    )


def pools(assessment: Assessment, policy: StatusPolicy) -> tuple[PoolView, ...]:
    return tuple(_pool(each, assessment, policy) for each in assessment.pools)


def _pool(standing: PoolStanding, assessment: Assessment, policy: StatusPolicy) -> PoolView:
    part, margins, known = standing.part, standing.margins, assessment.debt_known
    alone = House(parts=(part,))
    (unit,) = part.units if part.pool.isolated else (None,)
    return PoolView(
        pool=part.pool.id,
        kind=part.pool.kind,
        venue=None if unit is None else unit.venue.id,
        unit_id=None if unit is None else format_address(unit.venue.chain_id, unit.unit.unit_id),
        status=_status(standing, assessment, policy),
        health_factor=numbers.text(numbers.ratio_down(margins.mid.health_factor)) if known and standing.owes else None,
        collateral=numbers.text(numbers.usd_down(margins.mid.collateral)),
        debt=numbers.text(numbers.usd_up(margins.mid.debt)) if known else None,
        initial_margin=initial_margin(alone, margins, debt_known=known),
        maintenance_margin=maintenance_margin(alone, margins, debt_known=known),
        bad_debt_usd=numbers.text(numbers.usd_up(_bad_debt(margins.mid))) if known else None,
        excess_counts=not part.pool.isolated or part.pool.count_excess,
    )


def _status(standing: PoolStanding, assessment: Assessment, policy: StatusPolicy) -> Status:
    if assessment.status is Status.UNKNOWN:
        return Status.UNKNOWN
    return Status.NO_DEBT if standing.factors is None else house_status(standing.factors, policy)


def _bad_debt(margin: Margin) -> float:
    return max(margin.debt - margin.collateral, 0.0)


def weight(weighed: Weighed) -> WeightView:
    """Write how a position counts."""
    layers = weighed.maintenance.layers
    return WeightView(
        maintenance=_layers(weighed.maintenance, debt=weighed.item.is_debt),
        initial=_layers(weighed.initial, debt=weighed.item.is_debt),
        assumed=() if layers is None else layers.assumed,
    )


def _layers(weight: Weight, *, debt: bool) -> LayersView:
    """Of a debt only what the market adds; of static haircuts nothing but the floor."""
    layers = weight.layers
    return LayersView(
        market=_up(weight.market if debt else _of(layers, "market")),
        liquidity=_up(0.0 if debt else _of(layers, "liquidity")),
        peg=_up(0.0 if debt else _of(layers, "peg")),
        bridge=_up(0.0 if debt else _of(layers, "bridge")),
        chain=_up(0.0 if debt else _of(layers, "chain")),
        floor=_up(weight.floor),
        total=_up(max(weight.added if debt else weight.total, weight.floor)),
    )


def _of(layers: Layers | None, name: str) -> float:
    return 0.0 if layers is None else float(getattr(layers, name))


def _up(share: float) -> str:
    return numbers.text(numbers.ratio_up(share))


def distances(assessment: Assessment, context: Context) -> DistanceView:
    """Write how far an account is from its limits, rounded down; `null` where it cannot be measured."""
    fall = common_fall(assessment.house, context) if assessment.measurable else None
    spread = deviations(assessment.house, context) if assessment.measurable else None
    return DistanceView(
        common_fall_pct=None if fall is None else numbers.text(numbers.ratio_down(fall * 100)),
        deviations=None if spread is None else numbers.text(numbers.ratio_down(spread)),
    )


def free_collateral(assessment: Assessment, context: Context) -> tuple[FreeCollateralView, ...]:
    """Write what could be taken out; nothing while debt is not known."""
    if not assessment.debt_known:
        return ()
    return tuple(
        FreeCollateralView(
            identity=each.identity,
            usd=numbers.text(numbers.usd_down(each.value)),
            amount=numbers.text(numbers.amount_down(each.amount)),
        )
        for each in withdrawals(assessment.house, context)
    )


def in_flight(inputs: HealthInputs, context: Context, assessment: Assessment) -> tuple[InFlightView, ...]:
    """Write what is on its way, by message."""
    marks = dict(context.feed_marks) | {item.identity: item.mark for item in assessment.positions}
    return tuple(_in_flight(sent, context, marks) for sent in sorted(inputs.in_flight, key=lambda sent: sent.message))


def _in_flight(sent: InFlight, context: Context, marks: Mapping[str, Mark | Unpriced]) -> InFlightView:
    identity = identity_of(sent.asset, context.assets)
    mark = marks.get(identity)
    worth = sent.amount_raw / 10**sent.decimals * mark.mid if isinstance(mark, Mark) else None
    return InFlightView(
        message=sent.message,
        asset=sent.asset,
        identity=identity,
        amount=numbers.scaled(sent.amount_raw, sent.decimals),
        sender=sent.sender,
        recipient=sent.recipient,
        proven=sent.proven,
        evidence=sent.evidence,
        checked=sent.checked,
        sent_at=sent.sent_at,
        source_tx=sent.source_tx,
        source=sent.source,
        value_usd=None if worth is None else numbers.text(numbers.usd_down(worth)),
    )


def max_loan_to_value(assessment: Assessment) -> Decimal | None:
    """Return what may be borrowed at most over what the collateral is worth; `None` without any."""
    worth = assessment.margins.mid.collateral
    counted = initial_collateral(assessment.house, assessment.margins, debt_known=assessment.debt_known)
    return numbers.ratio_down(counted / worth) if worth > 0 else None
