"""Liquidations after every scenario that happened, as rows that a run keeps: in the usual liquidity, and in the library's thin one.

Each is what `liquidations simulate` says of the scenario at the same cut, with the same policy, library, imports and seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from aggregator.book import Book
from aggregator.margin.stamp import policy_digest
from aggregator.risk.liquidation import Outcome, Scene, Step, Terms
from aggregator.risk.liquidation_run import simulate
from aggregator.risk.scenarios import Scenario
from aggregator.told import Told, each_told, untold
from crossmargin.liquidation_documents import by_lenders, flow
from crossmargin.liquidation_known import Known
from crossmargin.stress_documents import happened, library, usd

COLUMNS = (
    "scenario",
    "venue_id",
    "sale_order",
    "depth",
    "impact_cap",
    "seed",
    "policy_digest",
    "ended",
    "liquidated",
    "sold_usd",
    "impact_usd",
    "accounts_lose_usd",
    "bad_debt_usd",
    "lenders_lose_usd",
)

Row = dict[str, Any]


def liquidations(book: Book, scene: Scene, known: Known, seed: int, told: Told = untold) -> Iterator[Row]:
    """Yield what each scenario comes to, in all and by venue; nothing of a book whose venues' rules are not known."""
    policy = policy_digest(book.context.policy)
    scenarios = list(happened(book, known.series)) if scene.borrowers else []
    for scenario in each_told(told, "liquidations", scenarios):
        moves = {each.asset: each.move for each in scenario.moves}
        for depth in (1.0, library().thin):
            outcome = simulate(replace(scene, moves=moves), Terms(depth=depth, seed=seed))
            for row in _rows(outcome, scenario):
                yield row | {"policy_digest": policy}


def _rows(outcome: Outcome, scenario: Scenario) -> Iterator[Row]:
    terms = outcome.terms
    head = {
        "scenario": scenario.id,
        "sale_order": terms.order.value,
        "depth": terms.depth,
        "impact_cap": terms.impact_cap,
        "seed": terms.seed,
        "ended": outcome.ended,
    }
    yield head | {"venue_id": None} | _told(outcome.steps, outcome.bad_debt, by_lenders(outcome))
    venues = {step.venue for step in outcome.steps} | {loss.pool.venue for loss in outcome.losses}
    for venue in sorted(venues):
        losses = [loss for loss in outcome.losses if loss.pool.venue == venue]
        bad, lost = math.fsum(loss.bad_debt for loss in losses), math.fsum(loss.by_lenders for loss in losses)
        steps = [step for step in outcome.steps if step.venue == venue]
        yield head | {"venue_id": venue} | _told(steps, bad, lost)


def _told(steps: Sequence[Step], bad_debt: float, by_lenders: float) -> Row:
    return {
        "liquidated": len({step.unit for step in steps}),
        "sold_usd": _sum(step.seized for step in steps),
        "impact_usd": _sum(step.impact for step in steps),
        "accounts_lose_usd": float(usd(math.fsum(step.lost for step in steps))),
        "bad_debt_usd": float(usd(bad_debt)),
        "lenders_lose_usd": float(usd(by_lenders)),
    }


def _sum(amounts: Iterator[float]) -> float:
    return float(flow(math.fsum(amounts)))
