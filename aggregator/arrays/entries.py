"""What was assessed, as entries of an array book: the same positions, weights, marks and estimates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from aggregator.arrays.book import Entry
from aggregator.arrays.columns import ALONE, CLAIMED, DEBT_UNKNOWN, HAS_DEBT
from aggregator.arrays.estimates import Case, Estimates
from aggregator.arrays.legs import NONE, Leg, Pair, Price, Weight
from aggregator.margin.account import Assessment
from aggregator.margin.correlation import Case as CorrelationCase
from aggregator.margin.correlation import as_it_is, higher, lower, together
from aggregator.margin.house import Bound
from aggregator.margin.layers import Purpose, sale_terms
from aggregator.margin.liabilities import Standing as Heard
from aggregator.margin.pools import House
from aggregator.margin.valuation import Context, ValuedPosition, valid
from aggregator.margin.weights import Weighed
from aggregator.oracle.mark import Mark, Unpriced

PARTS = {as_it_is: (0.0, 1.0, 0.0), higher: (0.5, 0.5, 0.0), lower: (0.0, 0.5, 0.5), together: (1.0, 0.0, 0.0)}
"""Of how much 1, c and c³ each case of correlation is made."""


def estimates_of(context: Context) -> Estimates:
    """Return κ, correlations and cases of a context."""
    correlations, risk = context.model.correlations, context.risk
    return Estimates(
        kappa=context.model.kappa,
        identities=tuple(sorted(correlations.order, key=correlations.order.__getitem__)),
        correlation=risk.correlation,
        cases=tuple(_case(case, risk.correlation) for case in correlations.cases),
    )


def _case(case: CorrelationCase, correlation: Iterable[Iterable[float]]) -> Case:
    """Find what a case is made of; raises `LookupError` for one that is made otherwise."""
    for made, (ones, first, third) in PARTS.items():
        if [[made(entry) for entry in row] for row in correlation] == [list(row) for row in case.correlation]:
            return Case(ones=ones, first=first, third=third, offset=case.offset)
    raise LookupError("a case of correlation is made in a way that the arrays do not know; add it to `PARTS`")


def entry_of(name: str, assessment: Assessment, context: Context) -> Entry:
    """Turn an assessed account into what arrays hold of it."""
    house = assessment.house
    heard = {unit.standing for unit in assessment.units}
    flags = {
        HAS_DEBT: assessment.cross_debt,
        DEBT_UNKNOWN: not assessment.debt_known,
        ALONE: Heard.UNKNOWN in heard or apart(house, context),
        CLAIMED: Heard.KNOWN in heard,
    }
    required = house.required
    return Entry(
        name=name,
        holdings=[(leg_of(each, context), amount) for each, amount in held(assessment)],
        besides=(
            required.collateral,
            house.gains(Bound.LOW, Purpose.INITIAL),
            house.gains(Bound.MID, Purpose.MAINTENANCE),
            required.debt,
            house.requirements(Purpose.INITIAL),
            house.requirements(Purpose.MAINTENANCE),
        ),
        said=sum(flag for flag, holds in flags.items() if holds),
    )


def sharing(entries: Iterable[Entry], legs: dict[Leg, Leg]) -> tuple[Entry, ...]:
    """Return the same entries, with equal legs one object: few are others, and each is larger than what an account has of it."""
    return tuple(
        replace(entry, holdings=[(legs.setdefault(leg, leg), amount) for leg, amount in entry.holdings])
        for entry in entries
    )


def held(assessment: Assessment) -> list[tuple[Weighed, float]]:
    """Return what counts, with its amount in tokens: what cross pools have, and nothing of what isolated ones have without a price.

    That adds to no sum; but while it has no price, no high bound is known, and no debt.
    """
    together = [each for part in assessment.house.parts for each in part.weighed if each.item.matters]
    alone = [each for pool in assessment.pools if pool.part.pool.isolated for each in pool.part.weighed]
    unpriced = [each for each in alone if each.item.matters and isinstance(each.item.mark, Unpriced)]
    return [*((each, each.item.amount) for each in together), *((each, 0.0) for each in unpriced)]


def apart(house: House, context: Context) -> bool:
    """Whether an account's numbers follow from more than what it has in all.

    So they do from limits of a pool, from what pools that stand alone have left, and from sales of one identity in several pools where
    the price of a sale depends on its size, since each pool sells by itself.
    """
    if house.surplus.of or any(part.pool.limited for part in house.parts):
        return True
    if len(house.parts) < 2:  # noqa: PLR2004 - one pool sells for itself
        return False
    sold = [
        {each.item.identity for each in part.held if not each.item.is_debt and _supply(each, context).sized}
        for part in house.parts
    ]
    return sum(map(len, sold)) > len(set().union(*sold))


def leg_of(weighed: Weighed, context: Context) -> Leg:
    """Return what a weighed position is a leg of."""
    item = weighed.item
    return Leg(
        is_debt=item.is_debt,
        identity=item.identity,
        mark=mark_name(item, context),
        weight=_debt(weighed) if item.is_debt else _supply(weighed, context),
    )


def _debt(weighed: Weighed) -> Weight:
    terms = weighed.item.factors
    return Weight(
        static=Pair(terms.maintenance_factor, terms.initial_factor),
        market=Pair(
            *(0.0 if each.layers is None else each.layers.rise for each in (weighed.maintenance, weighed.initial))
        ),
    )


def _supply(weighed: Weighed, context: Context) -> Weight:
    item, layers = weighed.item, weighed.maintenance.layers
    static = Pair(item.factors.liquidation_threshold, 1 - item.factors.haircut)
    if layers is None or weighed.initial.layers is None:
        return Weight(static=static, market=NONE)
    index, policy = context.risk_index, context.policy.layers
    fixed, slope = sale_terms(
        index.assets.get(item.identity), index.liquidity.get(item.identity), policy.of_class(item.asset_class), policy
    )
    sellable = math.isfinite(slope)
    return Weight(
        static=static,
        market=Pair(layers.market, weighed.initial.layers.market),
        others=math.prod(1 - layer for layer in (layers.peg, layers.bridge, layers.chain)),
        least=1 - layers.cap,
        sale=max(1 - fixed, 0.0) if sellable else 0.0,
        slope=slope if sellable else 0.0,
    )


def mark_name(item: ValuedPosition, context: Context) -> str:
    """Name what prices a position: its identity where feeds do, the same for all accounts.

    What venues alone price is priced by what of it the account has there: such a mark is named with its price, and an account that
    has it is changed (`ArrayBook.change`) when that moves.
    """
    if item.identity in context.feed_marks:
        return item.identity
    price = price_of(item.mark, context)
    return f"{item.identity} at {'no price' if price is None else ' '.join(map(repr, price))}"


def price_of(mark: Mark | Unpriced, context: Context) -> Price | None:
    """Return what the policy lets a mark be: none in some states, and in others none that new debt may rest on."""
    found, initial = valid(mark, context.policy), context.policy.validity.initial
    return Price(found.low, found.mid, found.high, found.state in initial) if isinstance(found, Mark) else None


def marks_of(assessments: Iterable[Assessment], context: Context) -> Mapping[str, Price | None]:
    """Return every mark that some account is valued at, by name."""
    return dict(_marks(assessments, context))


def _marks(assessments: Iterable[Assessment], context: Context) -> Iterator[tuple[str, Price | None]]:
    yield from ((identity, price_of(mark, context)) for identity, mark in context.feed_marks.items())
    for assessment in assessments:
        yield from ((mark_name(item, context), price_of(item.mark, context)) for item in assessment.positions)
