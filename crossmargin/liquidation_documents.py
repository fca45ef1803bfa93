"""Simulated liquidations as documents, with the rules by which they came about.

Losses are rounded up to a cent, what funds pay and have left down; flows are told to a millionth, so that they add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from aggregator.book import Book
from aggregator.freezing import Reopened, later, reopened
from aggregator.liquidating import Stage, stage_of
from aggregator.margin.numbers import ratio_up, rounded, text
from aggregator.margin.stamp import policy_digest
from aggregator.risk.liquidation import Loss, Order, Outcome, Scene, Step, Terms
from aggregator.risk.liquidation_run import compared
from aggregator.risk.scenarios import Scenario, ScenarioError, Severity
from aggregator.risk.series import Series
from aggregator.told import Told, untold
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.liquidation_asked import Asked
from crossmargin.liquidation_known import Known
from crossmargin.stress_documents import (
    accrued_days,
    as_of,
    each_once,
    library,
    number,
    one_scenario,
    reasons,
    shocks_of,
    usd,
)

UNITS = 50
"""Units that are told, of those that were liquidated: those that lose the most."""

LONGEST_FREEZE = 365
MOST_FREEZES = 10
MOST_SEED = 2**63
LARGEST_USD = 1e15
NEXT_TO_NOTHING = 1e-6
"""USD; less is what is left of rounding."""

FLOW_PLACES = 6

RULES = (
    "a venue's prices follow the market at once, and each unit is liquidated by its venue's own rules",
    "half of what a sale loses stays in the price of the identity on every chain, the other half has recovered by the next round",
    "what a sale of any amount loses (spread, fee, the policy's word) stays half in the price as well, but once in all rounds",
    "what is paid for debts comes from elsewhere and moves no price",
    "in a round the lowest health factor comes first, equal ones in the order that the seed draws",
    "a sale loses what is told of its identity's depth, or the square root of its amount by volume and deviation",
    "where volume or moves of an identity are not known its sale loses what the policy says of its class, whatever the amount",
    "bad debt is what venues write off and what is owed beyond all collateral; it stays in the market that lent",
    "supplies are not reduced for what who lent loses",
    "who may still be liquidated after the last round stays as he is; where not all has ended, losses are at least what is told",
    "a unit of which its venue could not tell at some prices on the way is liquidated at none of these, and named as unknown",
)
FREEZE_RULES = (
    "prices stay as they are for so many days, and nobody acts or is liquidated on any chain",
    "interest accrues at the rates of the cut by each venue's own arithmetic",
    "at the end the scenario happens, every source answers anew, and everybody is liquidated into a part of the usual depth",
)


def terms_of(asked: Asked, depth: float) -> Terms:
    """Read how liquidators act; raises `UsageError`."""
    if asked.order not in set(Order):
        raise UsageError(f'order must be {", ".join(Order)}, not "{asked.order}"')
    if not 0 < asked.impact_cap <= 1:
        raise UsageError(
            f"an impact cap is above 0 and at most 1 (no cap), not {asked.impact_cap}: 0.05 is five percent"
        )
    if not 0 < depth <= 1:
        raise UsageError(f"a depth is above 0 and at most 1, not {depth}: 0.1 is a tenth of the usual liquidity")
    if asked.venue_limit_usd is not None and not 0 < asked.venue_limit_usd <= LARGEST_USD:
        raise UsageError(f"a venue's limit of a round is above 0 USD, not {asked.venue_limit_usd}")
    if not 0 <= asked.seed < MOST_SEED:
        raise UsageError(f"a seed is a whole number from 0, not {asked.seed}")
    return Terms(
        order=Order(asked.order),
        impact_cap=asked.impact_cap,
        venue_limit_usd=asked.venue_limit_usd,
        profitable_only=asked.profitable_only,
        depth=depth,
        seed=asked.seed,
    )


def simulated(book: Book, asked: Asked, known: Known, told: Told = untold) -> Document:
    """Liquidate a book after a scenario, in every order of sale; raises `UsageError`."""
    terms = terms_of(asked, 1.0 if asked.depth is None else asked.depth)
    scenario, stage = (
        _scenario(book, asked, known.series),
        stage_of(later(book, accrued_days(asked.accrue_days)), known.curves),
    )
    scene = with_funds(stage.scene, scenario, asked, book)
    outcomes = compared(scene, terms, told)
    return {
        **head(book, scenario, terms, RULES),
        "accrued_days": asked.accrue_days,
        "orders": [_order(order, outcome) for order, outcome in outcomes.items()],
        **_outcome(outcomes[terms.order], scene, stage),
        **missing(stage),
    }


def frozen(book: Book, asked: Asked, known: Known, told: Told = untold) -> Document:
    """Let the market stand still before a scenario, for several numbers of days; raises `UsageError`."""
    days = asked.days or (0, *library().freeze_days)
    if len(days) > MOST_FREEZES or not all(0 <= each <= LONGEST_FREEZE for each in days):
        raise UsageError(f"at most {MOST_FREEZES} numbers of days from 0 to {LONGEST_FREEZE}, not {list(days)}")
    terms = terms_of(asked, library().freeze_depth if asked.depth is None else asked.depth)
    scenario, stage = _scenario(book, asked, known.series), stage_of(book, known.curves)
    scene = with_funds(stage.scene, scenario, asked, book)
    found = reopened(book, sorted(set(days)), terms, scene, known.curves, told=told)
    funded = asked.fund_usd + math.fsum(scene.funds.values())
    exhausted = [each.days for each in found if funded and _is_exhausted(each.outcome)]
    return {
        **head(book, scenario, terms, (*FREEZE_RULES, *RULES)),
        "freezes": [_freeze(each) for each in found],
        "fund_exhausted_after_days": exhausted[0] if exhausted else None,
        **missing(found[-1].stage),
    }


def _scenario(book: Book, asked: Asked, series: Mapping[str, Series]) -> Scenario | None:
    if asked.severity not in set(Severity):
        raise UsageError(f'severity must be {", ".join(Severity)}, not "{asked.severity}"')
    if asked.scenario and asked.shocks:
        raise UsageError("one scenario is simulated at a time: name one of the library, or say shocks of your own")
    try:
        return one_scenario(book, asked.scenario, Severity(asked.severity), shocks_of(asked.shocks), series)
    except ScenarioError as error:
        raise UsageError(str(error)) from error


def with_funds(scene: Scene, scenario: Scenario | None, asked: Asked, book: Book) -> Scene:
    """Let a scenario happen to a scene, and put funds behind it; raises `UsageError`."""
    moves = {} if scenario is None else {each.asset: each.move for each in scenario.moves}
    funds = each_once(map(_fund, asked.funds), "is a fund")
    known = {held_in.venue.id for held_in in book.units}
    for venue in funds:
        if venue not in known:
            raise UsageError(f'nobody has anything at "{venue}"; there are: {", ".join(sorted(known))}')
    if not 0 <= asked.fund_usd <= LARGEST_USD:
        raise UsageError(f"a fund has 0 USD or more, not {asked.fund_usd}")
    return replace(scene, moves=moves, funds=funds, common_usd=asked.fund_usd)


def _fund(said: str) -> tuple[str, float]:
    venue, _, amount = said.rpartition("=")
    try:
        behind = float(amount)
    except ValueError:
        behind = math.nan
    if not venue or not 0 <= behind <= LARGEST_USD:
        raise UsageError(f'"{said}" is no fund of a venue; write VENUE=USD: aave-v3-base=250000')
    return venue, behind


def head(book: Book, scenario: Scenario | None, terms: Terms, rules: Sequence[str]) -> Document:
    """Say what a simulation is of: cuts, library, policy, scenario, terms and rules."""
    return {
        "as_of": as_of(book),
        "library": library().version,
        "policy": policy_digest(book.context.policy),
        "scenario": None
        if scenario is None
        else {
            "id": scenario.id,
            "name": scenario.name,
            "facts": dict(scenario.facts),
            "moves": [
                {"asset": each.asset, "move": number(each.move), "rule": each.rule.value} for each in scenario.moves
            ],
        },
        "terms": {
            name: text(Decimal(repr(value))) if isinstance(value, float) else value
            for name, value in asdict(terms).items()
        },
        "rules": list(rules),
    }


def _order(order: Order, outcome: Outcome) -> Document:
    return {
        "order": order.value,
        "liquidated_units": len(outcome.liquidated),
        "sold_usd": flow(outcome.total("seized")),
        "impact_usd": flow(outcome.total("impact")),
        "accounts_lose_usd": usd(outcome.total("lost")),
        "bad_debt_usd": usd(outcome.bad_debt),
        "lenders_lose_usd": usd(by_lenders(outcome)),
        **stopped(outcome),
    }


def _outcome(outcome: Outcome, scene: Scene, stage: Stage) -> Document:
    by_unit: dict[str, list[Step]] = {}
    for step in outcome.steps:
        by_unit.setdefault(step.unit, []).append(step)
    ranked = sorted(by_unit.items(), key=lambda each: (-math.fsum(step.lost for step in each[1]), each[0]))
    return {
        "flows": {
            "accounts_lose_usd": flow(outcome.total("lost")),
            "liquidators_gain_usd": flow(outcome.total("gained")),
            "venues_keep_usd": flow(outcome.total("kept")),
            "impact_usd": flow(outcome.total("impact")),
            "forgiven_usd": flow(outcome.total("forgiven")),
            "revalued_usd": flow(outcome.revalued),
            "equity_before_usd": flow(outcome.equity_before),
            "equity_after_usd": flow(outcome.equity_after),
        },
        "venues": _by_venue(outcome),
        "pools": [_loss(loss, stage) for loss in outcome.losses],
        "funds_left_usd": {venue: _funded(left) for venue, left in sorted(outcome.funds_left.items())},
        "fund_left_usd": _funded(outcome.common_left),
        "sold_usd": {identity: flow(amount) for identity, amount in outcome.sold.items()},
        "prices": [
            {"asset": asset, "identity": scene.identities[asset], "move": number(times - 1)}
            for asset, times in sorted(outcome.times.items())
        ],
        "units": [_unit(name, steps) for name, steps in ranked[:UNITS]],
        "standing": list(outcome.standing[:UNITS]),
        "unknown": list(outcome.unknown[:UNITS]),
    }


def _by_venue(outcome: Outcome) -> Document:
    venues = sorted({step.venue for step in outcome.steps})
    return {
        venue: {
            "units": len({step.unit for step in outcome.steps if step.venue == venue}),
            "paid_usd": flow(math.fsum(step.paid for step in outcome.steps if step.venue == venue)),
            "seized_usd": flow(math.fsum(step.seized for step in outcome.steps if step.venue == venue)),
            "keeps_usd": flow(math.fsum(step.kept for step in outcome.steps if step.venue == venue)),
        }
        for venue in venues
    }


def _loss(loss: Loss, stage: Stage) -> Document:
    return {
        "venue": loss.pool.venue,
        "market": loss.pool.market,
        "symbol": stage.symbols.get(loss.pool) or None,
        "bad_debt_usd": usd(loss.bad_debt),
        "by_venue_fund_usd": _funded(loss.by_fund),
        "by_fund_usd": _funded(loss.by_common),
        "lenders_lose_usd": usd(loss.by_lenders),
        "lenders_share": None if loss.share is None else text(ratio_up(loss.share)),
    }


def _unit(name: str, steps: Iterable[Step]) -> Document:
    found = list(steps)
    return {
        "unit": name,
        "loses_usd": usd(math.fsum(step.lost for step in found)),
        "steps": [
            {
                "round": step.round,
                "collateral": step.collateral,
                "debt": step.debt,
                "paid_raw": str(step.paid_raw),
                "seized_raw": str(step.seized_raw),
                "fee_raw": str(step.fee_raw),
                "paid_usd": flow(step.paid),
                "seized_usd": flow(step.seized),
                "impact_usd": flow(step.impact),
                "forgiven_usd": flow(step.forgiven),
            }
            for step in found
        ],
    }


def _freeze(found: Reopened) -> Document:
    outcome = found.outcome
    return {
        "days": found.days,
        "interest_usd": flow(found.interest_usd),
        "liquidated_units": len(outcome.liquidated),
        "liquidated_by_chain": found.by_chain,
        "accounts_lose_usd": usd(outcome.total("lost")),
        "impact_usd": flow(outcome.total("impact")),
        "bad_debt_usd": usd(outcome.bad_debt),
        "lenders_lose_usd": usd(by_lenders(outcome)),
        "funds_left_usd": _funded(_left(outcome)),
        **stopped(outcome),
        "pools": [_loss(loss, found.stage) for loss in outcome.losses],
    }


def stopped(outcome: Outcome) -> Document:
    """Say where a run stopped: `ended` or not after its last round.

    And how many units of which something is left to take may be liquidated still, and of how many that is not known.
    """
    return {
        "rounds": outcome.rounds,
        "ended": outcome.ended,
        "standing_units": len(outcome.standing),
        "unknown_units": len(outcome.unknown),
    }


def _is_exhausted(outcome: Outcome) -> bool:
    return by_lenders(outcome) > NEXT_TO_NOTHING and _left(outcome) <= NEXT_TO_NOTHING


def by_lenders(outcome: Outcome) -> float:
    """Return what is left of losses for who lent, USD."""
    return math.fsum(loss.by_lenders for loss in outcome.losses)


def _left(outcome: Outcome) -> float:
    return outcome.common_left + math.fsum(outcome.funds_left.values())


def missing(stage: Stage) -> Mapping[str, Any]:
    """Say what is left out, how many units of all with debt, and what is assumed."""
    left_out = sum(stage.units_left_out.values())
    return {
        "assumed": list(stage.assumed),
        "depth_curves": list(stage.curved),
        "units_with_debt": len(stage.scene.borrowers) + left_out,
        "units_left_out": left_out,
        "left_out_by_reason": [
            {"venue": venue, "detail": detail, "units": count}
            for (venue, detail), count in stage.units_left_out.items()
        ],
        "left_out": reasons(stage.left_out),
    }


def _funded(value: float) -> str:
    """Write what a fund pays or has left, USD down to a millionth."""
    return text(rounded(max(value, 0.0), FLOW_PLACES, ROUND_FLOOR))


def flow(value: float) -> str:
    """Write USD to a millionth."""
    return text(rounded(value, FLOW_PLACES, ROUND_HALF_EVEN))
