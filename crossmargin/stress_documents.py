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

from aggregator.at_risk import TOP, Point, Spread, at_risk
from aggregator.book import Book
from aggregator.margin.numbers import rfc3339, text
from aggregator.risk.extremes import TOGETHER
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
from aggregator.stressing import Group, Houses, all_at_once, held_of, stress
from chains.identifiers import format_hash
from chains.model import Reason
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.packaged import config

FRAGILE = 20
"""Units that are named, of those that fall in some scenario."""

CENT = Decimal("0.01")
PLACES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which scenarios: `names` of the library, none: all; `shocks`: identity or asset → move, one scenario of all of them together.

    `fund_usd`: what there is for what is lacking; each scenario then tells how many times itself is too much for it.
    """

    severity: str = Severity.LOW
    names: tuple[str, ...] = ()
    shocks: Mapping[str, float] | None = None
    fund_usd: float | None = None


def wanted_of(severity: str, scenarios: Sequence[str], shocks: Sequence[str], fund_usd: float | None) -> Wanted:
    """Read what was asked for, shocks as `ETH=-0.3`; raises `UsageError`."""
    if severity not in set(Severity):
        raise UsageError(f'severity must be {", ".join(Severity)}, not "{severity}"')
    if fund_usd is not None and not 0 <= fund_usd < math.inf:
        raise UsageError(f"a fund has 0 USD or more, not {fund_usd}")
    return Wanted(severity=severity, names=tuple(scenarios), shocks=shocks_of(shocks) or None, fund_usd=fund_usd)


def shocks_of(said: Sequence[str]) -> dict[str, float]:
    """Read shocks such as `ETH=-0.3`; raises `UsageError`."""
    return dict(map(_shock, said))


def _shock(said: str) -> tuple[str, float]:
    subject, _, move = said.rpartition("=")
    try:
        return subject, float(move)
    except ValueError:
        raise UsageError(f'"{said}" is no shock; write an identity or asset and its relative move: ETH=-0.3') from None


@cache
def library() -> Library:
    """Return the scenarios that ship."""
    return parse_library(tomllib.loads(config("scenarios.toml").read_text(encoding="utf-8")))


def stressed(book: Book, wanted: Wanted) -> Document:
    """Take a book through scenarios; raises `UsageError` for what is not known or cannot be meant."""
    try:
        held = held_of(book, library().mapping.market)
        at_once = _at_once(book, held)
        found = stress(book, list(_chosen(wanted, held, at_once)), wanted.fund_usd)
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    return {
        "as_of": as_of(book),
        "library": library().version,
        "severity": wanted.severity,
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
        "not_made": {TOGETHER: str(at_once)} if isinstance(at_once, ScenarioError) else {},
        "fragile": [
            {"unit": each.unit, "scenarios": each.breaches, "worst_usd": usd(each.worst_usd)}
            for each in found.fragile[:FRAGILE]
        ],
        "fragile_units": len(found.fragile),
        "unmeasured": list(found.unmeasured),
        "left_out": reasons(found.left_out),
    }


def risked(book: Book) -> Document:
    """Say what is liquidated at which price; raises `UsageError` where nobody has anything."""
    try:
        found = at_risk(book, library())
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    return {
        "as_of": as_of(book),
        "library": library().version,
        "units": found.units,
        "jointly": [_spread(point) for point in found.jointly],
        "alone": [
            {"identity": identity, "points": [_point(point) for point in points]}
            for identity, points in found.alone.items()
        ],
        "left_out": reasons(found.left_out),
    }


def _at_once(book: Book, held: Sequence[Held]) -> Scenario | ScenarioError:
    try:
        return all_at_once(book, library(), held)
    except ScenarioError as error:
        return error


def _chosen(wanted: Wanted, held: Sequence[Held], at_once: Scenario | ScenarioError) -> Iterator[Scenario]:
    if wanted.shocks:
        yield shocked("asked", wanted.shocks, held)
        if not wanted.names:
            return
    if isinstance(at_once, ScenarioError) and TOGETHER in wanted.names:
        raise at_once
    made = [*_all(Severity(wanted.severity), held), *([at_once] if isinstance(at_once, Scenario) else [])]
    known = {scenario.id: scenario for scenario in made}
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


def one_scenario(book: Book, name: str | None, severity: Severity, shocks: Mapping[str, float]) -> Scenario | None:
    """Return one scenario by its name, or of shocks, `None` for prices as they are; raises `ScenarioError`, `UsageError`."""
    if name is None and not shocks:
        return None
    held = held_of(book, library().mapping.market)
    wanted = Wanted(severity=severity, names=() if name is None else (name,), shocks=shocks or None)
    return next(_chosen(wanted, held, _at_once(book, held)))


def as_of(book: Book) -> dict[str, Any]:
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
        "owners_share": number(point.top_share),
    }


def reasons(found: Iterable[Reason]) -> list[dict[str, str]]:
    """Say why something was left out."""
    return [{"code": each.code, "subject": each.subject, "detail": each.detail} for each in found]


def usd(value: float) -> str:
    """Write USD, rounded up to a cent."""
    return text(Decimal(repr(value)).quantize(CENT, ROUND_CEILING))


def number(value: float) -> str:
    """Write a ratio to six places."""
    return text(Decimal(repr(round(value, PLACES))))
