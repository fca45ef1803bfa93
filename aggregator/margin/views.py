"""From what is known of an account to what its document says: each part is written here, each number rounded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from aggregator.margin import numbers
from aggregator.margin.account import Assessment, priced_value
from aggregator.margin.canonical import SAFE_INTEGER
from aggregator.margin.distances import LiquidationPrice, identities, liquidation_prices
from aggregator.margin.document import (
    ComponentView,
    FeedView,
    LiabilitiesView,
    LiquidationPriceView,
    LookThroughView,
    NativeAsOf,
    PositionView,
    PriceView,
    UnitView,
    VenuePriceView,
    VenueView,
)
from aggregator.margin.liabilities import Standing, max_age_s
from aggregator.margin.margin_views import weight
from aggregator.margin.permits_document import (
    AllowanceView,
    CollateralTermsView,
    LiquidationView,
    PermitsView,
    ReasonView,
)
from aggregator.margin.policy import StatusPolicy
from aggregator.margin.status import unit_status
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition
from aggregator.margin.weights import Weighed
from aggregator.oracle.mark import MAX_CONFIDENCE, Discarded, Mark, Unpriced, Used
from chains.identifiers import format_address, format_hash, token
from chains.model import Allowance, Claim, Liquidation, Permits, Reason, VenuePrice
from chains.registry import ESCROWS

BASIS_POINTS, BASIS_POINT_PLACES = 10_000, 4


def reasons(items: Iterable[Reason]) -> tuple[ReasonView, ...]:
    return tuple(ReasonView(**item._asdict()) for item in items)


def venues(assessment: Assessment, policy: StatusPolicy) -> tuple[VenueView, ...]:
    """Write every venue with its units, in the order of the inputs."""
    by_venue: dict[str, list[OpenUnit]] = {}
    for held_in in assessment.units:
        by_venue.setdefault(held_in.venue.id, []).append(held_in)
    return tuple(_venue(units, assessment, policy) for units in by_venue.values())


def _venue(units: Sequence[OpenUnit], assessment: Assessment, policy: StatusPolicy) -> VenueView:
    venue, weights = units[0].venue, assessment.weights
    return VenueView(
        venue=venue.id,
        protocol=venue.protocol,
        chain=venue.chain_id,
        address=format_address(venue.chain_id, venue.address),
        units=tuple(
            _unit(
                held_in,
                [
                    _position(item, weights[id(item.position)])
                    for item in assessment.positions
                    if item.held_in is held_in
                ],
                policy,
            )
            for held_in in units
        ),
    )


def _unit(held_in: OpenUnit, positions: Sequence[PositionView], policy: StatusPolicy) -> UnitView:
    unit, chain_id = held_in.unit, held_in.venue.chain_id
    return UnitView(
        unit_id=format_address(chain_id, unit.unit_id),
        owner=format_address(chain_id, unit.owner),
        native_as_of=NativeAsOf(
            block=held_in.at.number,
            hash=format_hash(chain_id, held_in.at.hash),
            time=numbers.rfc3339(held_in.at.time),
        ),
        status=unit_status(held_in, policy),
        health_factor=wad(unit.health_factor_wad if unit.has_debt else None),
        liquidatable=unit.liquidatable,
        collateral=_base(unit.collateral_base, unit.base_unit),
        debt=_base(unit.debt_base, unit.base_unit, owed=True),
        positions=tuple(positions),
        native=None if unit.native is None else {name: str(number) for name, number in unit.native.items()},
        engine=unit.engine_version,
        roles=unit.roles,
        permits=None if unit.permits is None else permits_view(unit.permits(), chain_id),
        liabilities=liabilities(held_in),
        reasons=reasons(unit.reasons),
    )


def permits_view(permits: Permits, chain_id: str) -> PermitsView:
    """Write what a venue lets be done to a unit and with it."""
    return PermitsView(
        collaterals=tuple(
            CollateralTermsView(
                market=format_address(chain_id, terms.market),
                bonus=numbers.scaled(terms.bonus - BASIS_POINTS, BASIS_POINT_PLACES),
                protocol_fee=numbers.scaled(terms.protocol_fee, BASIS_POINT_PLACES),
            )
            for terms in permits.collaterals
        ),
        liquidations=tuple(_liquidation_of(each, chain_id) for each in permits.liquidations),
        borrowable=tuple(_allowance(each, chain_id) for each in permits.borrowable),
        withdrawable=tuple(_allowance(each, chain_id) for each in permits.withdrawable),
        reasons=reasons(permits.reasons),
    )


def _liquidation_of(permitted: Liquidation, chain_id: str) -> LiquidationView:
    return LiquidationView(
        collateral=format_address(chain_id, permitted.collateral),
        debt=format_address(chain_id, permitted.debt),
        close_factor=numbers.scaled(permitted.close_factor, BASIS_POINT_PLACES),
        covered_raw=str(permitted.covered),
        seized_raw=str(permitted.seized),
        fee_raw=str(permitted.fee),
        blocked=reasons(permitted.blocked),
    )


def _allowance(allowance: Allowance, chain_id: str) -> AllowanceView:
    return AllowanceView(
        market=format_address(chain_id, allowance.market),
        most_raw=str(allowance.most),
        cap_raw=None if allowance.cap is None else str(allowance.cap),
        cap_left_raw=None if allowance.cap_left is None else str(allowance.cap_left),
        blocked=reasons(allowance.blocked),
        unknown=reasons(allowance.unknown),
    )


def liabilities(held_in: OpenUnit) -> LiabilitiesView | None:
    """Write what is known of other systems' claims on a unit; `None` where it is no collateral for others."""
    if held_in.venue.protocol not in ESCROWS:
        return None
    said, state = held_in.liabilities, held_in.standing
    return LiabilitiesView(
        state=state.value,
        as_of=None if said is None else numbers.rfc3339(said.as_of),
        age_s=None if said is None else _age(held_in.now - said.as_of),
        max_age_s=None if state is Standing.NONE else max_age_s(held_in.venue),
        initial_requirement_usd=None if said is None else numbers.text(said.initial_requirement_usd),
        maintenance_requirement_usd=None if said is None else numbers.text(said.maintenance_requirement_usd),
        pnl_usd=None if said is None else numbers.text(said.pnl_usd),
        key=None if said is None else said.key.hex(),
        document=None if said is None else said.document,
    )


def _position(item: ValuedPosition, weighed: Weighed) -> PositionView:
    position, chain_id = item.position, item.held_in.venue.chain_id
    worth = priced_value(item)
    threshold = position.liquidation_threshold
    return PositionView(
        market=format_address(chain_id, position.market),
        asset=item.asset_id,
        symbol=item.symbol,
        side=position.side.value,
        amount_raw=str(position.amount_raw),
        amount=numbers.scaled(position.amount_raw, position.decimals),
        protocol_raw=str(position.protocol_raw),
        counts=position.counts,
        counted=item.counted,
        venue_price=None if position.price is None else _venue_price(item.held_in, position.price),
        mark_usd=numbers.text(numbers.price(item.mark.mid)) if isinstance(item.mark, Mark) else None,
        value_usd=None if worth is None else text(numbers.usd_up(worth) if item.is_debt else numbers.usd_down(worth)),
        asset_class=item.asset_class,
        bridge=item.configured.bridge if item.configured else None,
        issuer=item.configured.issuer if item.configured else None,
        haircut=numbers.text(numbers.ratio_up(item.factors.haircut)),
        weight=weight(weighed),
        liquidation_threshold=None if threshold is None else numbers.scaled(threshold, BASIS_POINT_PLACES),
        look_through=None if position.claim is None else look_through_view(position.claim, chain_id),
    )


def look_through_view(claim: Claim, chain_id: str) -> LookThroughView:
    """Write what shares are a claim on."""
    return LookThroughView(
        asset=str(token(chain_id, claim.asset)) if claim.asset else None,
        assets_raw=_raw(claim.assets_raw),
        lost_raw=_raw(claim.lost_raw),
        redeemable_raw=_raw(claim.redeemable_raw),
        components=tuple(
            ComponentView(
                venue=part.venue_id,
                market=format_address(chain_id, part.market),
                asset=str(token(chain_id, part.asset)),
                symbol=part.symbol,
                amount_raw=str(part.amount_raw),
                amount=numbers.scaled(part.amount_raw, part.decimals),
                payable_raw=_raw(part.payable_raw),
                basis=part.basis.value,
            )
            for part in claim.components
        ),
        reasons=reasons(claim.reasons),
        told_at=claim.told_at,
        within=None if claim.within is None else look_through_view(claim.within, chain_id),
    )


def _raw(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _venue_price(held_in: OpenUnit, price: VenuePrice) -> VenuePriceView:
    return VenuePriceView(
        price=numbers.text(numbers.price(price.answer_raw / price.unit_raw)),
        answer_raw=str(price.answer_raw),
        unit_raw=str(price.unit_raw),
        source=format_address(held_in.venue.chain_id, price.source),
        updated_at=numbers.rfc3339(price.updated_at),
        age_s=_age(held_in.now - price.updated_at),
        block=price.block,
        basis=price.basis.value,
    )


def prices(assessment: Assessment) -> tuple[PriceView, ...]:
    """Write the mark of every identity that the account holds or owes, with every feed used or left out."""
    marks = {item.identity: item.mark for item in assessment.positions}
    return tuple(price_view(marks[identity]) for identity in sorted(marks))


def price_view(mark: Mark | Unpriced) -> PriceView:
    """Write one mark with its provenance."""
    match mark:
        case Mark():
            return PriceView(
                identity=mark.identity,
                low=_price(mark.low),
                mid=_price(mark.mid),
                high=_price(mark.high),
                state=mark.state.value,
                reasons=mark.reasons,
                operators=mark.operators,
                confidence=_price(mark.confidence),
                age_s=_age(mark.age_s),
                twap_5m=_price(mark.twap_5m),
                twap_1h=_price(mark.twap_1h),
                lowest=_price(mark.lowest),
                highest=_price(mark.highest),
                basis=mark.basis,
                feeds=(*map(_feed, mark.used), *map(_feed, mark.discarded)),
            )
        case Unpriced():
            return _unpriced(mark)


def _unpriced(mark: Unpriced) -> PriceView:
    nothing: dict[str, None] = dict.fromkeys(
        ("low", "mid", "high", "confidence", "age_s", "twap_5m", "twap_1h", "lowest", "highest", "basis")
    )
    return PriceView(
        identity=mark.identity,
        state=mark.state.value,
        reasons=mark.reasons,
        operators=(),
        feeds=tuple(map(_feed, mark.discarded)),
        **nothing,
    )


def _price(value: float | None) -> str | None:
    return None if value is None else numbers.text(numbers.price(value))


def _feed(judged: Used | Discarded) -> FeedView:
    observation = judged.observation
    reading = observation.reading
    confidence = None if reading is None else reading.confidence
    limit = MAX_CONFIDENCE if observation.max_confidence is None else observation.max_confidence
    return FeedView(
        asset=observation.asset,
        kind=observation.kind,
        chain=observation.chain_id,
        feed=format_address(observation.chain_id, observation.feed),
        answer_raw=None if reading is None else str(reading.answer_raw),
        unit_raw=None if reading is None else str(reading.unit_raw),
        price_usd=numbers.text(numbers.price(judged.price)) if isinstance(judged, Used) else None,
        confidence_usd=None if confidence is None else numbers.text(numbers.price(confidence)),
        updated_at=None if reading is None else numbers.rfc3339(reading.updated_at),
        age_s=_age(judged.age_s),
        heartbeat_s=observation.heartbeat_s,
        deviation=numbers.text(numbers.ratio_up(observation.deviation)),
        max_confidence=None if confidence is None else numbers.text(numbers.ratio_down(limit)),
        block=None if reading is None else reading.block,
        used=isinstance(judged, Used),
        reason=judged.refusal.value if isinstance(judged, Discarded) else None,
        fault=observation.fault,
        operator=observation.operator,
        past=len(observation.past),
        caveat=observation.caveat,
        of=price_view(judged.base) if isinstance(judged, Used) and judged.base else None,
    )


def liquidation(assessment: Assessment, context: Context) -> tuple[LiquidationPriceView, ...]:
    """Write, for every identity that counts, the price that would liquidate the account, or that none does."""
    prices = liquidation_prices(assessment.house, context) if assessment.measurable else ()
    found = {item.identity: item for item in prices}
    mids = identities(assessment.house) if assessment.cross_debt else {}
    return tuple(_liquidation(identity, mids[identity], found.get(identity)) for identity in sorted(mids))


def _liquidation(identity: str, mid: float, found: LiquidationPrice | None) -> LiquidationPriceView:
    return LiquidationPriceView(
        identity=identity,
        price_usd=numbers.text(numbers.price(mid)),
        liquidation_price_usd=None if found is None else numbers.text(numbers.price(found.price)),
        distance_pct=None if found is None else numbers.text(_toward_zero(found.distance * 100)),
    )


def _toward_zero(value: float) -> Decimal:
    return numbers.ratio_down(value) if value > 0 else numbers.ratio_up(value)


def text(value: Decimal | None) -> str | None:
    return None if value is None else numbers.text(value)


def wad(value: int | None) -> str | None:
    return None if value is None else numbers.text(numbers.wad_down(value))


def _base(raw: int | None, unit: int | None, *, owed: bool = False) -> str | None:
    return None if raw is None or unit is None else numbers.base_amount(raw, unit, owed=owed)


def _age(age_s: int | None) -> int | None:
    """Return an age that JSON readers can hold."""
    return age_s if age_s is not None and abs(age_s) <= SAFE_INTEGER else None
