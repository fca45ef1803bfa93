"""What scenarios do to the book, and what is liquidated at which price, as documents.

USD are rounded up to a cent: what is at risk is never told too low.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import cache
from typing import Any

from aggregator.at_risk import TOP, AtRisk, Point, Spread, at_risk
from aggregator.book import Book
from aggregator.engines.laying import Laid
from aggregator.freezing import later
from aggregator.margin.numbers import ratio_up, rfc3339, rounded, text
from aggregator.margin.risk import RiskInputs
from aggregator.risk.extremes import TOGETHER
from aggregator.risk.lived import worst
from aggregator.risk.scenarios import (
    Held,
    Library,
    Scenario,
    ScenarioError,
    Severity,
    failures,
    grid,
    in_window,
    parse_library,
    shocked,
)
from aggregator.risk.series import Series
from aggregator.stressed_assets import held_of
from aggregator.stressing import Group, Houses, Stressed, all_at_once, stress
from aggregator.told import Told, untold
from chains.identifiers import format_hash
from chains.model import Reason
from crossmargin.documents import Document, harmless
from crossmargin.errors import UsageError
from crossmargin.packaged import config

CENT_PLACES = 2
PLACES = 6
MOST_ACCRUED = 365
"""Days of interest that are added at most."""

Made = Mapping[str, Scenario | ScenarioError]
"""Scenarios that rest on what is known of prices, by id; or why one cannot be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which scenarios: `names` of the library, none: all; `shocks`: identity or asset → move, one scenario of all of them together.

    `fund_usd`: what there is for what is lacking; each scenario then tells how many times itself is too much for it.
    `accrue_days`: for so many days interest accrues before.
    """

    severity: str = Severity.LOW
    names: tuple[str, ...] = ()
    shocks: Mapping[str, float] | None = None
    fund_usd: float | None = None
    accrue_days: int = 0


def wanted_of(
    severity: str, scenarios: Sequence[str], shocks: Sequence[str], fund_usd: float | None, accrue_days: int = 0
) -> Wanted:
    """Read what was asked for, shocks as `ETH=-0.3`; raises `UsageError`."""
    if severity not in set(Severity):
        raise UsageError(f'severity must be {", ".join(Severity)}, not "{severity}"')
    if fund_usd is not None and not 0 <= fund_usd < math.inf:
        raise UsageError(f"a fund has 0 USD or more, not {fund_usd}")
    return Wanted(
        severity=severity,
        names=tuple(scenarios),
        shocks=shocks_of(shocks) or None,
        fund_usd=fund_usd,
        accrue_days=accrued_days(accrue_days),
    )


def accrued_days(days: int) -> int:
    """Return for how many days interest accrues before prices move; raises `UsageError`."""
    if not 0 <= days <= MOST_ACCRUED:
        raise UsageError(f"interest accrues for 0 to {MOST_ACCRUED} days, not {days}")
    return days


def shocks_of(said: Sequence[str]) -> dict[str, float]:
    """Read shocks such as `ETH=-0.3`; raises `UsageError`."""
    return each_once(map(_shock, said), "moves")


def each_once(said: Iterable[tuple[str, float]], verb: str) -> dict[str, float]:
    """Return what was said of each name; raises `UsageError` for a name of which two things are said, neither of which is dropped."""
    found: dict[str, float] = {}
    for name, value in said:
        if name in found:
            raise UsageError(f'"{harmless(name, longest=80)}" {verb} twice; say it once')
        found[name] = value
    return found


def _shock(said: str) -> tuple[str, float]:
    subject, _, move = said.rpartition("=")
    try:
        return subject, float(move)
    except ValueError:
        raise UsageError(f'"{said}" is no shock; write an identity or asset and its relative move: ETH=-0.3') from None


def library_text() -> str:
    """Return the file of the scenarios that ship."""
    return config("scenarios.toml").read_text(encoding="utf-8")


@cache
def library() -> Library:
    """Return the scenarios that ship."""
    return parse_library(tomllib.loads(library_text()))


def stressed(book: Book, wanted: Wanted, series: Mapping[str, Series], told: Told = untold) -> Document:
    """Take a book through scenarios; `series`: what is known of prices before it, by identity.

    Raises `UsageError` for what is not known or cannot be meant.
    """
    try:
        scenarios, said = scenarios_of(book, _held(book), wanted, series)
        found = stress(later(book, wanted.accrue_days), scenarios, wanted.fund_usd, told=told)
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    return stress_document(said, found)


def _held(book: Book) -> tuple[Held, ...]:
    return held_of(book, library().mapping.market)


def scenarios_of(
    book: Book | Laid, held: Sequence[Held], wanted: Wanted, series: Mapping[str, Series]
) -> tuple[list[Scenario], Document]:
    """Make the scenarios that are wanted of a book that has `held`, and what their document says beside numbers.

    Raises `ScenarioError` and `UsageError`.
    """
    made = _made(book.context.risk, held, Severity(wanted.severity), series)
    said = {
        "as_of": as_of(book),
        "library": library().version,
        "severity": wanted.severity,
        "accrued_days": wanted.accrue_days,
        "not_made": {name: str(why) for name, why in made.items() if isinstance(why, ScenarioError)},
    }
    return list(_chosen(wanted, held, made)), said


def stress_document(said: Document, found: Stressed) -> Document:
    """Write what became of a book; `said`: see `scenarios_of`."""
    return {
        "as_of": said["as_of"],
        "library": said["library"],
        "severity": said["severity"],
        "accrued_days": said["accrued_days"],
        "accounts": found.accounts,
        "units": found.units,
        "scenarios": [
            {
                "id": result.scenario.id,
                "name": result.scenario.name,
                "frozen": list(result.scenario.frozen),
                "facts": dict(result.scenario.facts),
                "multiple": None
                if result.multiple is None
                else number(math.floor(result.multiple * 10**PLACES) / 10**PLACES),
                "house": _houses(result.house),
                "venues": {venue: _group(group) for venue, group in result.venues.items()},
                "moves": [
                    {"asset": each.asset, "move": number(each.move), "rule": each.rule.value}
                    for each in result.scenario.moves
                ],
            }
            for result in found.results
        ],
        "not_made": said["not_made"],
        "fragile": [
            {"unit": each.unit, "scenarios": each.breaches, "worst_usd": usd(each.worst_usd)} for each in found.fragile
        ],
        "fragile_units": found.fragile_units,
        "unmeasured": list(found.unmeasured),
        "left_out": reasons(found.left_out),
    }


def risked(book: Book) -> Document:
    """Say what is liquidated at which price; raises `UsageError` where nobody has anything."""
    try:
        found = at_risk(book, library())
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    return risk_document({"as_of": as_of(book), "library": library().version}, found)


def risk_document(said: Document, found: AtRisk) -> Document:
    """Write what is liquidated at which price; `said`: of what, by which library."""
    return {
        "as_of": said["as_of"],
        "library": said["library"],
        "units": found.units,
        "jointly": [_spread(point) for point in found.jointly],
        "alone": [
            {"identity": identity, "points": [_point(point) for point in points]}
            for identity, points in found.alone.items()
        ],
        "left_out": reasons(found.left_out),
    }


def _made(risk: RiskInputs, held: Sequence[Held], severity: Severity, series: Mapping[str, Series]) -> Made:
    """Make what rests on histories: everything at once, and the worst days that are known."""
    made: dict[str, Scenario | ScenarioError] = {}
    for days in library().worst_days:
        try:
            window = worst(series, library().mapping.market, days)
            scenario = in_window(library(), window, severity, held)
            made[scenario.id] = scenario
        except ScenarioError as error:
            made[f"worst-{days}d"] = error
    try:
        made[TOGETHER] = all_at_once(risk, library(), held)
    except ScenarioError as error:
        made[TOGETHER] = error
    return made


def _chosen(wanted: Wanted, held: Sequence[Held], made: Made) -> Iterator[Scenario]:
    if wanted.shocks:
        yield shocked("asked", wanted.shocks, held)
        if not wanted.names:
            return
    for name in wanted.names:
        if isinstance(why := made.get(name), ScenarioError):
            raise why
    there = [*_all(Severity(wanted.severity), held), *(each for each in made.values() if isinstance(each, Scenario))]
    known = {scenario.id: scenario for scenario in there}
    short = {name.partition(":")[0]: name for name in known}
    for name in wanted.names or known:
        full = name if name in known else short.get(name)
        if full is None:
            raise UsageError(f'there is no scenario "{name}"; there are: {", ".join(short)}')
        yield known[full]


def _all(severity: Severity, held: Sequence[Held]) -> Iterator[Scenario]:
    for window in library().windows:
        yield in_window(library(), window, severity, held)
    yield from grid(library(), held)
    yield from failures(library(), held)


def happened(book: Book, series: Mapping[str, Series]) -> Iterator[Scenario]:
    """Yield what happened, at its lows: the windows of the library, and what can be made of the worst days and of everything at once.

    Raises `ScenarioError` for a book that is empty.
    """
    held = _held(book)
    for window in library().windows:
        yield in_window(library(), window, Severity.LOW, held)
    made = _made(book.context.risk, held, Severity.LOW, series)
    yield from (each for each in made.values() if isinstance(each, Scenario))


def one_scenario(
    book: Book, name: str | None, severity: Severity, shocks: Mapping[str, float], series: Mapping[str, Series]
) -> Scenario | None:
    """Return one scenario by its name, or of shocks, `None` for prices as they are; raises `ScenarioError`, `UsageError`."""
    if name is None and not shocks:
        return None
    held = _held(book)
    wanted = Wanted(severity=severity, names=() if name is None else (name,), shocks=shocks or None)
    return next(_chosen(wanted, held, _made(book.context.risk, held, severity, series)))


def as_of(book: Book | Laid) -> dict[str, Any]:
    """Say which block of each chain a book is as of."""
    return {
        chain_id: {
            "block": cut.block.number,
            "hash": format_hash(chain_id, cut.block.hash),
            "time": rfc3339(cut.block.time),
            "finality": cut.finality.value,
        }
        for chain_id, cut in book.cuts.items()
    }


def _houses(found: Houses) -> dict[str, Any]:
    return {
        "below": found.below,
        "newly_below": found.newly,
        "debt_usd": usd(found.debt_usd),
        "shortfall_usd": usd(found.shortfall_usd),
    }


def _group(found: Group) -> dict[str, Any]:
    return {
        "liquidatable": found.liquidatable,
        "newly_liquidatable": found.newly,
        "debt_usd": usd(found.debt_usd),
        "shortfall_usd": usd(found.shortfall_usd),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "move": number(point.move),
        "units": point.units,
        "debt_usd": usd(point.debt_usd),
        "shortfall_usd": usd(point.shortfall_usd),
    }


def _spread(point: Spread) -> dict[str, Any]:
    return {
        **_point(point),
        "debt_by_chain_usd": {name: usd(amount) for name, amount in point.by_chain.items()},
        "debt_by_venue_usd": {name: usd(amount) for name, amount in point.by_venue.items()},
        "collateral_by_asset_usd": {name: usd(amount) for name, amount in point.by_asset.items()},
        "owners": [{"account": name, "debt_usd": usd(amount)} for name, amount in point.top],
        "owners_counted": TOP,
        "owners_share": text(ratio_up(point.top_share)),
    }


def reasons(found: Iterable[Reason]) -> list[dict[str, str]]:
    """Say why something was left out."""
    return [{"code": each.code, "subject": each.subject, "detail": each.detail} for each in found]


def usd(value: float) -> str:
    """Write USD, rounded up to a cent."""
    return text(rounded(value, CENT_PLACES, ROUND_CEILING))


def number(value: float) -> str:
    """Write a ratio to six places."""
    return text(Decimal(repr(round(value, PLACES))))
