"""How likely each account of a book is to be liquidatable within an hour, a day and a week: by paths of all prices, worst first.

What has to be gone is what the score asks about (`aggregator.margin.scoring`): the house's equity, with its haircuts as they are now, or
that of any unit at its venue. Amounts, debts and haircuts stay; nobody acts meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from aggregator.book import AssessedAccount, Book
from aggregator.margin import numbers
from aggregator.margin.account import endangered
from aggregator.margin.scoring import Unscored, calm_of, stands, unscored
from aggregator.margin.status import Status
from aggregator.risk.breach import Stand
from aggregator.risk.breaches import ENDS, breaches
from aggregator.risk.exposures import Exposures
from aggregator.risk.paths import PATHS, Paths, paths
from aggregator.risk.series import Series
from chains.model import Reason

HORIZONS = ("1h", "24h", "7d")
"""What the three chances are of."""

Row = tuple[float, Sequence[tuple[int, float]]]
"""Equity now, and what it gains per identity (its place) when that gains all of its price, USD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The chances of an account to breach at some moment within each of `HORIZONS`; never 0, but less than one path in all.

    `debt_usd`: what it owes in all pools, isolated ones too; of whose debt anything is unknown has none (`Forecasts.unknown`).
    """

    account: str
    status: Status
    chances: tuple[float, ...]
    debt_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """Of every account with debt: what is announced, the likeliest within a day first, or why nothing can be.

    `simulated`: identities without a history long enough, which go with the market by a copula.
    """

    paths: int
    seed: int
    identities: tuple[str, ...]
    simulated: tuple[str, ...]
    forecasts: tuple[Forecast, ...]
    unknown: Mapping[str, Reason]


def forecast(book: Book, series: Mapping[str, Series], *, count: int = PATHS, seed: int = 0) -> Forecasts:
    """Announce breaches of every account with debt; `series`: price histories by identity, up to the day before the cut."""
    drawn = paths(book.context.risk, series, count=count, seed=seed)
    places = {name: place for place, name in enumerate(drawn.identities)}
    known: list[tuple[AssessedAccount, list[Row]]] = []
    unknown: dict[str, Reason] = {}
    for each in book.accounts:
        if not each.assessment.has_debt:
            continue
        rows = _rows(book, each, places)
        if isinstance(rows, Reason):
            unknown[each.account.id] = rows
        else:
            known.append((each, rows))
    return Forecasts(
        paths=count,
        seed=seed,
        identities=drawn.identities,
        simulated=drawn.simulated,
        forecasts=tuple(sorted(_announced(known, drawn), key=_likeliest)),
        unknown=unknown,
    )


def _likeliest(found: Forecast) -> tuple[float, float, float, str]:
    hour, day, week = found.chances
    return -day, -week, -hour, found.account


def _rows(book: Book, each: AssessedAccount, places: Mapping[str, int]) -> list[Row] | Reason:
    assessment, context = each.assessment, book.context
    if assessment.status is Status.UNKNOWN:
        return assessment.reasons[0]
    if not places:
        return Reason("nothing_estimated", each.account.id, "no price history tells how anything moves")
    found = stands(context, endangered(assessment.pools), assessment.units, assessment.positions)
    if isinstance(found, Unscored):
        return found.reason
    calm = calm_of(context, assessment.positions)
    rows = [_row(stand, places, calm) for stand in found]
    missing = sorted({name for row in rows if isinstance(row, set) for name in row})
    return unscored(missing).reason if missing else [row for row in rows if not isinstance(row, set)]


def _row(stand: Stand, places: Mapping[str, int], calm: Collection[str]) -> Row | set[str]:
    """Lay an equity out; collateral of which nothing is estimated is left out, as if worthless, and what is owed so is returned."""
    base, legs = [stand.fixed], []
    unestimated = {leg.identity for leg in stand.legs if leg.identity not in places and leg.identity not in calm}
    missing = {leg.identity for leg in stand.legs if leg.identity in unestimated and leg.weight < 0}
    if missing:
        return missing
    for leg in stand.legs:
        if leg.identity not in unestimated:
            base.append(leg.weight)
        if leg.identity in places and leg.weight:
            legs.append((places[leg.identity], leg.weight))
    return math.fsum(base), legs


def _announced(known: Sequence[tuple[AssessedAccount, list[Row]]], drawn: Paths) -> list[Forecast]:
    if not known:
        return []
    rows = [row for _, own in known for row in own or [(math.inf, ())]]
    accounts = np.array([0, *accumulate(max(len(own), 1) for _, own in known)], np.int64)
    counts = breaches(accounts, _exposures(rows), drawn)
    counts[[_is_gone(each, own) for each, own in known]] = drawn.count
    return [
        Forecast(
            account=each.account.id,
            status=each.assessment.status,
            chances=tuple(max(int(one), 1) / drawn.count for one in counts[place]),
            debt_usd=float(numbers.usd_up(each.assessment.owes_usd)),
        )
        for place, (each, _) in enumerate(known)
    ]


def _is_gone(each: AssessedAccount, rows: Sequence[Row]) -> bool:
    return each.assessment.status is Status.LIQUIDATABLE or any(base <= 0 for base, _ in rows)


def _exposures(rows: Sequence[Row]) -> Exposures:
    return Exposures(
        starts=np.array([0, *accumulate(len(legs) for _, legs in rows)], np.int64),
        assets=np.array([place for _, legs in rows for place, _ in legs], np.int32),
        amounts=np.array([weight for _, legs in rows for _, weight in legs], np.float64),
        bases=np.array([math.copysign(1e300, base) if math.isinf(base) else base for base, _ in rows], np.float64),
        groups=np.zeros(len(rows), np.int32),
    )


assert len(HORIZONS) == len(ENDS)  # noqa: S101 - one chance for each
