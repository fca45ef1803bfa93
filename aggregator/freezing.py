"""A market that stands still: prices stay, nobody can be liquidated, interest accrues; then everybody comes at once.

Interest is what each venue's own arithmetic adds up to the later time, at the rates of the cut: nobody borrows or repays meanwhile.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aggregator.book import Book, BookInputs, judged
from aggregator.liquidating import NO_CURVES, Curves, Stage, stage, stage_of
from aggregator.margin.health import open_units
from aggregator.margin.inputs import VenueInputs
from aggregator.risk.liquidation import Outcome, Scene, Terms
from aggregator.risk.liquidation_run import simulate
from aggregator.told import Told, each_told, untold

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """What comes of so many days: `interest_usd` on debts, at the prices of the cut; `by_chain`: units that are liquidated."""

    days: int
    interest_usd: float
    outcome: Outcome
    by_chain: dict[str, int]
    stage: Stage


def frozen(book: Book, days: int, curves: Curves = NO_CURVES) -> Stage:
    """Lay out a book as it is after so many days; every source of a price answers then what it answered before."""
    if not days:
        return stage_of(book, curves)
    later = (_later(venue, days * DAY_S) for venue in book.inputs.venues)
    return stage((held_in for venue in later for held_in in open_units(venue)), book.context, curves)


def later(book: Book, days: int) -> Book:
    """Return the book as it is after so many days, at the prices and by the estimates of the cut; with none it is the book itself."""
    return judged(inputs_later(book.inputs, days)) if days else book


def inputs_later(inputs: BookInputs, days: int) -> BookInputs:
    """Return the inputs of the book as it is after so many days."""
    return replace(inputs, venues=tuple(_later(venue, days * DAY_S) for venue in inputs.venues)) if days else inputs


def reopened(
    book: Book, days: Sequence[int], terms: Terms, like: Scene, curves: Curves = NO_CURVES, *, told: Told = untold
) -> list[Reopened]:
    """Let a market stand still for each of some numbers of days, and then move as `like` does; its funds are those of `like`."""
    now = _owed(stage_of(book).scene)
    return [
        _reopened(frozen(book, each, curves), each, terms, like, now)
        for each in each_told(told, "lengths of a freeze", days)
    ]


def _reopened(found: Stage, days: int, terms: Terms, like: Scene, now: dict[str, float]) -> Reopened:
    scene = replace(found.scene, moves=like.moves, funds=like.funds, common_usd=like.common_usd)
    outcome, owed = simulate(scene, terms), _owed(scene)
    chains = {each.name: each.chain for each in scene.borrowers}
    return Reopened(
        days=days,
        interest_usd=math.fsum(amount - now[name] for name, amount in owed.items() if name in now),
        outcome=outcome,
        by_chain=dict(sorted(Counter(chains[name] for name in outcome.liquidated).items())),
        stage=found,
    )


def _owed(scene: Scene) -> dict[str, float]:
    return {
        each.name: math.fsum(lot.amount_raw * lot.each * each.base_usd for lot in each.exposed.debts)
        for each in scene.borrowers
    }


def _later(venue: VenueInputs, seconds: int) -> VenueInputs:
    snapshot = venue.snapshot
    answers = {
        source: answer._replace(updated_at=answer.updated_at + seconds) for source, answer in snapshot.answers.items()
    }
    at = replace(snapshot.at, time=snapshot.at.time + seconds)
    return replace(venue, snapshot=replace(snapshot, at=at, answers=answers))
