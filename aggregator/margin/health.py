"""Health inputs in, health document out: a pure function, the same for a live answer, a replay and an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from aggregator.margin import margin_views, numbers, views
from aggregator.margin.account import Assessment, assess
from aggregator.margin.canonical import digest
from aggregator.margin.document import (
    AsOf,
    ChainView,
    Collateral,
    Completeness,
    Debt,
    HealthDocument,
    Interval,
    MembershipView,
    PolicyView,
)
from aggregator.margin.equity import LARGEST_RATIO
from aggregator.margin.house import Bound, value
from aggregator.margin.inputs import METHODOLOGY_VERSION, Cut, HealthInputs, OtherMethodology, VenueInputs
from aggregator.margin.lookthrough import looked_through, shares_of
from aggregator.margin.margin_document import MarginSums
from aggregator.margin.member import Membership
from aggregator.margin.once import Once
from aggregator.margin.policy import Policy
from aggregator.margin.requirements import LIABILITIES_UNKNOWN
from aggregator.margin.stamp import PolicyStamp, policy_digest
from aggregator.margin.valuation import Context, OpenUnit, make_context
from aggregator.oracle.mark import Unpriced
from chains.identifiers import format_hash, parse_account
from chains.model import UnitSnapshot, VenueSnapshot, VenueUnit
from chains.registry import open_book

BREACH, BANDS = "breach_probability_24h", "bands"
"""What a score may say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseNumbers:
    """The house's sums and ratios, rounded to the safe side; `None` where debt is none, unknown or unpriced."""

    health_factor: Decimal | None
    low: Decimal | None
    high: Decimal | None
    collateral: Decimal
    debt: Decimal | None
    headroom: Decimal | None
    ltv: Decimal | None
    risk_adjusted_ltv: Decimal | None


def evaluate(inputs: HealthInputs) -> HealthDocument:
    """Compute the whole answer about an account; raises `OtherMethodology` and `chains.errors.Unsupported`."""
    if inputs.methodology_version != METHODOLOGY_VERSION:
        raise OtherMethodology(inputs.methodology_version)
    context = context_of(inputs)
    units = looked_through(
        (unit for venue in inputs.venues for unit in open_units(venue, inputs.as_of)),
        shares_of(venue.snapshot for venue in inputs.venues),
    )
    chains = {parse_account(member).chain_id for member in inputs.account.members}
    assessment = assess(context, units, chains=chains, gaps=inputs.gaps)
    return _document(inputs, context, assessment)


def context_of(inputs: HealthInputs) -> Context:
    """Combine what the configured feeds say into marks."""
    return make_context(
        as_of=inputs.as_of,
        assets=inputs.assets,
        policy=inputs.policy,
        feeds=inputs.feeds,
        observations=inputs.observations,
        stale_chains=inputs.stale_chains,
        shortfalls=inputs.shortfalls,
        risk=inputs.risk,
    )


def open_units(venue: VenueInputs, cuts: Mapping[str, Cut] | None = None) -> Iterator[OpenUnit]:
    """Run a protocol's own arithmetic over the units of a venue; ages count up to what `cuts` say, else to its block."""
    snapshot = venue.snapshot
    cut = (cuts or {}).get(snapshot.venue.chain_id)
    until = None if cut is None else cut.until
    book = _BOOK(snapshot)
    for unit in venue.units:
        said = venue.liabilities.get(unit.unit_id)
        yield OpenUnit(venue=snapshot.venue, at=snapshot.at, unit=book(unit), liabilities=said, until=until)


def _book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    return open_book(snapshot.venue.protocol)(snapshot)


_BOOK = Once(_book, most=16)


def house_numbers(assessment: Assessment) -> HouseNumbers:
    """Round the house's numbers, and leave out those that rest on debt that is not known."""
    low, mid, high = assessment.margins.low, assessment.margins.mid, assessment.margins.high
    measurable, debt_known = assessment.measurable, assessment.debt_known
    bounded = measurable and assessment.collateral_known
    return HouseNumbers(
        health_factor=numbers.ratio_down(mid.health_factor) if measurable else None,
        low=numbers.ratio_down(low.health_factor) if measurable else None,
        high=numbers.ratio_down(high.health_factor) if bounded else None,
        collateral=numbers.usd_down(mid.collateral),
        debt=numbers.usd_up(mid.debt) if debt_known else None,
        headroom=numbers.usd_down(low.headroom) if debt_known else None,
        ltv=_loan_to_value(mid.debt, mid.collateral) if debt_known else None,
        risk_adjusted_ltv=_up(mid.maintenance.loan_to_value) if debt_known else None,
    )


def _up(ratio: float | None) -> Decimal | None:
    return None if ratio is None else numbers.ratio_up(ratio)


def _loan_to_value(debt: float, collateral: float) -> Decimal | None:
    """Divide upward; `None` for a debt against nothing."""
    if debt == 0:
        return numbers.ratio_up(0.0)
    return numbers.ratio_up(min(debt / collateral, LARGEST_RATIO)) if collateral > 0 else None


def _document(inputs: HealthInputs, context: Context, assessment: Assessment) -> HealthDocument:
    house, measured = house_numbers(assessment), (assessment.house, assessment.margins)
    initial = margin_views.initial_margin(*measured, debt_known=assessment.debt_known)
    maintenance = margin_views.maintenance_margin(*measured, debt_known=assessment.debt_known)
    return HealthDocument(
        account=inputs.account.id,
        members=inputs.account.members,
        membership={each.member: membership_view(each) for each in inputs.account.membership},
        as_of=_as_of(inputs),
        status=assessment.status,
        health_factor=views.text(house.health_factor),
        health_factor_interval=_interval(house),
        min_unit_health_factor=views.wad(assessment.min_unit_wad),
        score=assessment.score,
        score_basis=_score_basis(assessment),
        breach_probability_24h=views.text(_up(assessment.breach_probability)),
        collateral=_collateral(assessment, house, initial, maintenance),
        debt=Debt(raw=views.text(house.debt), initial=initial.debt, maintenance=maintenance.debt),
        initial_margin=initial,
        maintenance_margin=maintenance,
        headroom=views.text(house.headroom),
        ltv=views.text(house.ltv),
        max_ltv=views.text(margin_views.max_loan_to_value(assessment)),
        risk_adjusted_ltv=views.text(house.risk_adjusted_ltv),
        free_collateral=margin_views.free_collateral(assessment, context),
        distance=margin_views.distances(assessment, context),
        regime=inputs.risk.regime,
        regime_reasons=inputs.risk.regime_reasons,
        pools=margin_views.pools(assessment, context.policy.status),
        in_flight=margin_views.in_flight(inputs, context, assessment),
        venues=views.venues(assessment, context.policy.status),
        liquidation_prices=views.liquidation(assessment, context),
        prices=views.prices(assessment),
        completeness=_completeness(inputs, assessment),
        reasons=views.reasons(assessment.reasons),
        policy=policy_view(inputs.policy, inputs.policy_stamp),
        methodology_version=inputs.methodology_version,
        input_digest=digest(inputs),
    )


def _score_basis(assessment: Assessment) -> str | None:
    if assessment.score is None or not assessment.has_debt:
        return None
    return BANDS if assessment.breach_probability is None else BREACH


def membership_view(known: Membership) -> MembershipView:
    """Say by what a wallet is a member."""
    return MembershipView(
        kind=known.kind.value,
        declared=known.declared,
        since=None if known.since is None else numbers.rfc3339(known.since),
        expires=None if known.expires is None else numbers.rfc3339(known.expires),
        evidence=known.evidence,
        scheme=known.scheme,
    )


def policy_view(policy: Policy, stamp: PolicyStamp) -> PolicyView:
    """Name a policy; the digest is of the very numbers that were used."""
    since = None if stamp.effective_from is None else numbers.rfc3339(stamp.effective_from)
    return PolicyView(version=stamp.version, digest=policy_digest(policy), effective_from=since)


def _as_of(inputs: HealthInputs) -> dict[str, AsOf]:
    return {
        chain: AsOf(
            block=cut.block.number,
            hash=format_hash(chain, cut.block.hash),
            time=numbers.rfc3339(cut.block.time),
            finality=cut.finality.value,
        )
        for chain, cut in sorted(inputs.as_of.items())
    }


def _interval(house: HouseNumbers) -> Interval | None:
    if house.health_factor is None or house.low is None:
        return None
    return Interval(low=numbers.text(house.low), mid=numbers.text(house.health_factor), high=views.text(house.high))


def _collateral(
    assessment: Assessment, house: HouseNumbers, initial: MarginSums, maintenance: MarginSums
) -> Collateral:
    idle = sum(value(item, Bound.MID) for item in assessment.positions if not item.is_debt and not item.counted)
    return Collateral(
        raw=numbers.text(house.collateral),
        haircut=initial.collateral,
        maintenance=maintenance.collateral,
        not_counted=numbers.text(numbers.usd_down(idle)),
    )


def _completeness(inputs: HealthInputs, assessment: Assessment) -> Completeness:
    stale = {reason.subject for reason in inputs.stale_chains}
    unpriced = sorted(
        {item.asset_id for item in assessment.positions if item.matters and isinstance(item.mark, Unpriced)}
    )
    chains = sorted({parse_account(member).chain_id for member in inputs.account.members})
    missing = (*inputs.gaps, *(reason for reason in assessment.reasons if reason.code == LIABILITIES_UNKNOWN))
    return Completeness(
        complete=not (missing or stale.intersection(chains) or unpriced),
        chains={chain: _chain(chain, inputs.account.members, stale=chain in stale) for chain in chains},
        venues=inputs.consulted,
        missing=views.reasons(missing),
        unpriced=tuple(unpriced),
    )


def _chain(chain: str, members: Iterable[str], *, stale: bool) -> ChainView:
    return ChainView(
        stale=stale, members=tuple(member for member in members if parse_account(member).chain_id == chain)
    )
