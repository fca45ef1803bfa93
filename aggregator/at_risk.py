"""What is liquidated at which price: of each identity by itself, and of all at once, by chain, venue and asset, and whose it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.book import Book
from aggregator.risk.exposures import Floats
from aggregator.risk.scenarios import Held, Library, Scenario, grid, shocked
from aggregator.risk.tallies import NOTHING, Key, Of, Tallies, Tally, added, exactly, of_kind
from aggregator.stressed_assets import held_of
from aggregator.stressed_units import Truths, Units, debts_of, equities, moves_of, units_of
from aggregator.stressing import Outline, outline_of
from chains.identifiers import parse_account
from chains.model import Reason

TOP = 10
"""Owners whose share of what is at risk is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """At one relative move of prices, USD: units that may be liquidated, what they owe, and what all lack that have less than they owe."""

    move: float
    units: int
    debt_usd: float
    shortfall_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(Point):
    """The same of everything at once; debt by chain and venue, collateral by asset (USD); `top_share`: of the debt, the `TOP` owners'."""

    by_chain: Mapping[str, float]
    by_venue: Mapping[str, float]
    by_asset: Mapping[str, float]
    top: Sequence[tuple[str, float]]
    top_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRisk:
    """`alone`: by identity, all others as they are, of those that make a difference; `jointly`: all that is not worth a dollar alike."""

    units: int
    alone: Mapping[str, tuple[Point, ...]]
    jointly: tuple[Spread, ...]
    left_out: tuple[Reason, ...]


def at_risk(book: Book, library: Library) -> AtRisk:
    """Move prices by the library's grid; raises `ScenarioError` where nobody has anything."""
    held, units = held_of(book, library.mapping.market), units_of(book)
    return at_risk_of(added([units_at_risk(units, library, held)]), library, outline_of(book, units))


def units_at_risk(units: Units, library: Library, held: Sequence[Held]) -> dict[Key, Tally]:
    """Count who of some units falls where prices move by the library's grid; an owner's units are all among them.

    Raises `ScenarioError` where nobody has anything.
    """
    found: dict[Key, Tally] = {}
    for place, moves in enumerate(moves_of(units.assets, [*grid(library, held)]).T):
        found |= _spread(units, place, moves)
    for identity in sorted({each.identity for each in held}):
        for place, moves in enumerate(moves_of(units.assets, _alone(library, held, identity)).T):
            found[Key(Of.ALONE, place, identity)] = _fallen(units, moves)
    return found


def at_risk_of(tallies: Tallies, library: Library, outline: Outline) -> AtRisk:
    """Read the curves of a whole book out of the tallies of all its parts."""
    identities = sorted({key.name for key in tallies if key.of == Of.ALONE})
    curves = {
        identity: tuple(
            _point(move, tallies.get(Key(Of.ALONE, place, identity), NOTHING))
            for place, move in enumerate(library.grid)
        )
        for identity in identities
    }
    return AtRisk(
        units=outline.units,
        alone={identity: points for identity, points in curves.items() if len({_told(each) for each in points}) > 1},
        jointly=tuple(_spread_of(tallies, place, move) for place, move in enumerate(library.grid)),
        left_out=outline.left_out,
    )


def _told(point: Point) -> tuple[int, float]:
    return point.units, point.shortfall_usd


def _alone(library: Library, held: Sequence[Held], identity: str) -> list[Scenario]:
    return [shocked(f"{identity}{move:+.0%}", {identity: move}, held) for move in library.grid]


def _fallen(units: Units, moves: Floats) -> Tally:
    falls = equities(units.counted, moves) < 0
    return Tally(
        count=int(falls.sum()),
        owed=exactly(debts_of(units, moves)[falls].tolist()),
        lacking=exactly(np.maximum(-equities(units.whole, moves), 0.0).tolist()),
    )


def _spread(units: Units, place: int, moves: Floats) -> dict[Key, Tally]:
    falls = equities(units.counted, moves) < 0
    owed = np.where(falls, debts_of(units, moves), 0.0)
    venues = [units.venues[group] for group in units.counted.groups]
    chains = [parse_account(owner).chain_id for owner in units.owners]
    owners = _largest(_sums(units.owners, owed))
    sums = {
        Of.JOINT_CHAIN: _sums(chains, owed),
        Of.JOINT_VENUE: _sums(venues, owed),
        Of.JOINT_ASSET: _collateral(units, moves, falls),
        Of.JOINT_OWNER: owners,
    }
    found = {Key(of, place, name): Tally(owed=parts) for of, each in sums.items() for name, parts in each.items()}
    return found | {Key(Of.JOINT, place): _fallen(units, moves)}


def _largest(owners: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    return dict(sorted(owners.items(), key=lambda each: (-math.fsum(each[1]), each[0]))[:TOP])


def _point(move: float, tally: Tally) -> Point:
    return Point(move=move, units=tally.count, debt_usd=tally.debt_usd, shortfall_usd=tally.shortfall_usd)


def _spread_of(tallies: Tallies, place: int, move: float) -> Spread:
    point = _point(move, tallies.get(Key(Of.JOINT, place), NOTHING))
    owners = _largest({name: tally.owed for name, tally in of_kind(tallies, Of.JOINT_OWNER, place).items()})
    top = [(name, math.fsum(parts)) for name, parts in owners.items()]
    return Spread(
        move=point.move,
        units=point.units,
        debt_usd=point.debt_usd,
        shortfall_usd=point.shortfall_usd,
        by_chain=_debts(tallies, Of.JOINT_CHAIN, place),
        by_venue=_debts(tallies, Of.JOINT_VENUE, place),
        by_asset=_debts(tallies, Of.JOINT_ASSET, place),
        top=top,
        top_share=math.fsum(share for _, share in top) / point.debt_usd if point.debt_usd else 0.0,
    )


def _debts(tallies: Tallies, of: Of, place: int) -> dict[str, float]:
    return {name: tally.debt_usd for name, tally in of_kind(tallies, of, place).items()}


def _collateral(units: Units, moves: Floats, falls: Truths) -> dict[str, tuple[float, ...]]:
    """Add up by asset what units that fall have, USD at the moved prices."""
    whole = units.whole
    owners = np.repeat(falls, np.diff(whole.starts))
    taken = owners & (whole.amounts > 0)
    worth = np.where(taken, whole.amounts * (1 + moves[whole.assets]), 0.0)
    return _sums((units.assets[place] for place in whole.assets), worth)


def _sums(names: Iterable[str], amounts: Floats) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, amount in zip(names, amounts.tolist(), strict=True):
        if amount:
            found[name].append(amount)
    return {name: exactly(parts) for name, parts in sorted(found.items())}
