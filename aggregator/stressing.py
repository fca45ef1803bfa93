"""A book through scenarios: who falls below one by the house's rules, which units venues may liquidate, and what is lacking then.

Amounts, haircuts, thresholds and debts stay as they are; prices alone move, those of venues as much as the house's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aggregator.book import Book
from aggregator.margin.risk import RiskInputs
from aggregator.risk.exposures import Floats, stressed
from aggregator.risk.extremes import smallest_multiple, together
from aggregator.risk.scenarios import LARGEST_RISE, NOTHING_LEFT, Held, Library, Scenario
from aggregator.risk.tallies import NOTHING, Key, Of, Tallies, Tally, added, exactly, of_kind
from aggregator.stressed_house import HouseBook
from aggregator.stressed_units import Units, debts_of, equities, moves_of, units_of
from aggregator.told import Told, untold
from chains.model import Reason

MOST_FRAGILE = 20
"""Units that are named, of those that fall in some scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What a scenario does to some units: how many may be liquidated, how many of them could not before, USD."""

    liquidatable: int
    newly: int
    debt_usd: float
    shortfall_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Houses:
    """What a scenario does to accounts by the house: below a health factor of 1, those that were not before, and what they lack.

    `debt_usd`: of those below; `shortfall_usd`: by how much debt is more than all collateral, at the mid.
    """

    below: int
    newly: int
    debt_usd: float
    shortfall_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One scenario's outcome; `venues`: by id, every venue with a unit that was stressed; `multiple`: see `reverse`."""

    scenario: Scenario
    house: Houses
    venues: Mapping[str, Group]
    multiple: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragile:
    """A unit that falls in some scenario: in how many, and how much it then lacks of what must be covered, at most (USD)."""

    unit: str
    breaches: int
    worst_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is stressed: how many accounts, how many units of which venues; and which units are not, with why."""

    accounts: int
    units: int
    venues: tuple[str, ...]
    left_out: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    """All outcomes; `unmeasured`: accounts that no scenario judges by the house's rules, `left_out`: units that none judges by a venue's.

    `fragile`: of the `fragile_units` that fall somewhere those that do most often, the most often first, `MOST_FRAGILE` at most.
    """

    accounts: int
    units: int
    results: tuple[Result, ...]
    fragile: tuple[Fragile, ...] = field(repr=False)
    fragile_units: int
    unmeasured: tuple[str, ...]
    left_out: tuple[Reason, ...]


def stress(
    book: Book, scenarios: Sequence[Scenario], fund_usd: float | None = None, *, told: Told = untold
) -> Stressed:
    """Take a book through scenarios that were made for it; raises `ScenarioError` where one says nothing of a held asset.

    `fund_usd`: also find the multiple of each at which units lack more than that. `told`: who waits for it.
    """
    units = units_of(book)
    tallies = added([units_fallen(units, scenarios), HouseBook.of(book).fallen(scenarios, told)])
    found = stressed_of(tallies, scenarios, outline_of(book, units))
    if fund_usd is None:
        return found
    multiples = [reverse(units, scenario, fund_usd) for scenario in scenarios]
    pairs = zip(found.results, multiples, strict=True)
    return replace(found, results=tuple(replace(result, multiple=multiple) for result, multiple in pairs))


def outline_of(book: Book, units: Units) -> Outline:
    """Say what of a book is stressed."""
    return Outline(accounts=len(book.accounts), units=len(units.names), venues=units.venues, left_out=units.left_out)


def units_fallen(units: Units, scenarios: Sequence[Scenario]) -> dict[Key, Tally]:
    """Count who of some units falls in which scenario; raises `ScenarioError` where one says nothing of a held asset."""
    moves = moves_of(units.assets, scenarios)
    outcome, found = stressed(units.counted, moves), dict[Key, Tally]()
    for place in range(len(scenarios)):
        for venue, tally in _by_venue(units, moves[:, place]).items():
            found[Key(Of.VENUE, place, venue)] = tally
    fell = np.flatnonzero(outcome.breaches)
    fragile = [(int(outcome.breaches[row]), float(outcome.worst[row]), units.names[row]) for row in fell]
    found[Key(Of.FRAGILE_UNITS, 0)] = Tally(count=len(fragile))
    for breaches, worst, name in sorted(fragile, key=_by_fragility)[:MOST_FRAGILE]:
        found[Key(Of.FRAGILE, 0, name)] = Tally(count=breaches, lacking=(worst,))
    return found


def _by_fragility(each: tuple[int, float, str]) -> tuple[int, float, str]:
    breaches, worst, name = each
    return -breaches, worst, name


def stressed_of(tallies: Tallies, scenarios: Sequence[Scenario], outline: Outline) -> Stressed:
    """Read what became of a whole book out of the tallies of all its parts."""
    fragile = [(tally.count, tally.shortfall_usd, name) for name, tally in of_kind(tallies, Of.FRAGILE).items()]
    return Stressed(
        accounts=outline.accounts,
        units=outline.units,
        results=tuple(
            Result(
                scenario=scenario,
                house=_house(tallies.get(Key(Of.HOUSE, place), NOTHING)),
                venues={name: _group(tallies.get(Key(Of.VENUE, place, name), NOTHING)) for name in outline.venues},
            )
            for place, scenario in enumerate(scenarios)
        ),
        fragile=tuple(
            Fragile(unit=name, breaches=breaches, worst_usd=worst)
            for breaches, worst, name in sorted(fragile, key=_by_fragility)[:MOST_FRAGILE]
        ),
        fragile_units=tallies.get(Key(Of.FRAGILE_UNITS, 0), NOTHING).count,
        unmeasured=tuple(of_kind(tallies, Of.UNMEASURED)),
        left_out=outline.left_out,
    )


def _house(tally: Tally) -> Houses:
    return Houses(below=tally.count, newly=tally.newly, debt_usd=tally.debt_usd, shortfall_usd=tally.shortfall_usd)


def _group(tally: Tally) -> Group:
    return Group(
        liquidatable=tally.count, newly=tally.newly, debt_usd=tally.debt_usd, shortfall_usd=tally.shortfall_usd
    )


def all_at_once(risk: RiskInputs, library: Library, held: Sequence[Held]) -> Scenario:
    """Let everything fall at once, by what is estimated at the cut; raises `ScenarioError` where too little is."""
    return together(library, held, {each.identity: each.swing for each in risk.assets}, risk.minima)


def reverse(units: Units, scenario: Scenario, fund_usd: float) -> float | None:
    """Return the smallest multiple of a scenario's moves at which units lack more than a fund has; `None`: none up to 64."""
    moves = moves_of(units.assets, [scenario])[:, 0]

    def lacking(multiple: float) -> float:
        after = equities(units.whole, np.clip(moves * multiple, NOTHING_LEFT, LARGEST_RISE))
        return math.fsum(np.maximum(-after, 0.0))

    return smallest_multiple(lacking, fund_usd)


def _by_venue(units: Units, moves: Floats) -> dict[str, Tally]:
    before, after, owed = units.counted.bases < 0, equities(units.counted, moves) < 0, debts_of(units, moves)
    lacking = np.maximum(-equities(units.whole, moves), 0.0)
    return {
        venue: Tally(
            count=int(np.sum(fallen := after & (mine := units.counted.groups == place))),
            newly=int(np.sum(fallen & ~before)),
            owed=exactly(owed[fallen].tolist()),
            lacking=exactly(lacking[mine].tolist()),
        )
        for place, venue in enumerate(units.venues)
    }
