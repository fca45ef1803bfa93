"""Liquidations along days that happened, while venues see prices late, as a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aggregator.book import Book
from aggregator.freezing import later
from aggregator.liquidating import stage_of
from aggregator.risk.liquidation import Outcome, Scene, Terms
from aggregator.risk.liquidation_run import simulate
from aggregator.risk.lived import Moment, lagging, worst
from aggregator.risk.scenarios import ScenarioError, Window
from aggregator.risk.series import Series
from aggregator.stressed_assets import held_of
from aggregator.told import Told, each_told, untold
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.liquidation_asked import Asked
from crossmargin.liquidation_documents import (
    RULES,
    by_lenders,
    flow,
    head,
    missing,
    stopped,
    terms_of,
    with_funds,
)
from crossmargin.liquidation_known import Known
from crossmargin.stress_documents import accrued_days, library, number, usd

LATE_RULES = (
    "each day is simulated by itself, from the book as it is, at that day's close",
    "venues see the prices of so many hours before, between two closes evenly in logs; liquidators sell at the close",
    "what sales do to prices venues see at once",
    *RULES[1:],
)


def late(book: Book, asked: Asked, known: Known, told: Told = untold) -> Document:
    """Liquidate a book at each day of a window, with venues that are late and with venues that are not; raises `UsageError`."""
    if asked.scenario is None or asked.shocks:
        raise UsageError("a lag needs days that happened: name a window of the library, or the worst days (worst-3d)")
    terms = terms_of(asked, 1.0 if asked.depth is None else asked.depth)
    try:
        held = held_of(book, library().mapping.market)
        window = _window(asked.scenario, known.series)
        moments = lagging(library(), window, held, known.series, asked.lag_h)
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    stage = stage_of(later(book, accrued_days(asked.accrue_days)), known.curves)
    scene = with_funds(stage.scene, None, asked, book)
    days = [_day(moment, scene, terms) for moment in each_told(told, "days", moments)]
    return {
        **head(book, None, terms, LATE_RULES),
        "accrued_days": asked.accrue_days,
        "window": {
            "id": window.id,
            "name": window.name,
            "first": window.first.isoformat(),
            "last": window.last.isoformat(),
            "source": window.source,
        },
        "lag_hours": number(asked.lag_h),
        "days": days,
        **missing(stage),
    }


def _window(name: str, series: Mapping[str, Series]) -> Window:
    for days in library().worst_days:
        if name.partition(":")[0] == f"worst-{days}d":
            return worst(series, library().mapping.market, days)
    return library().window(name.partition(":")[0])


def _day(moment: Moment, scene: Scene, terms: Terms) -> Document:
    moves = {each.asset: each.move for each in moment.market.moves}
    shown = {each.asset: each.move for each in moment.shown.moves}
    prompt = simulate(replace(scene, moves=moves), terms)
    lagged = simulate(replace(scene, moves=moves, shown=shown), terms)
    return {
        "day": moment.day.isoformat(),
        "moves": [
            {
                "asset": each.asset,
                "move": number(each.move),
                "shown": number(shown[each.asset]),
                "rule": each.rule.value,
            }
            for each in moment.market.moves
        ],
        "prompt": _told(prompt),
        "late": _told(lagged),
    }


def _told(outcome: Outcome) -> Document:
    return {
        "liquidated_units": len(outcome.liquidated),
        "accounts_lose_usd": usd(outcome.total("lost")),
        "liquidators_gain_usd": flow(outcome.total("gained")),
        "impact_usd": flow(outcome.total("impact")),
        "bad_debt_usd": usd(outcome.bad_debt),
        "lenders_lose_usd": usd(by_lenders(outcome)),
        **stopped(outcome),
    }
