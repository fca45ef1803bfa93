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
from aggregator.stressing import Truths, Units, debts_of, equities, held_of, moves_of, units_of
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
    jointly = list(grid(library, held))
    alone = {identity: _alone(library, held, identity) for identity in sorted({each.identity for each in held})}
    curves = {identity: _points(units, library.grid, scenarios) for identity, scenarios in alone.items()}
    return AtRisk(
        units=len(units.names),
        alone={identity: points for identity, points in curves.items() if len({_told(each) for each in points}) > 1},
        jointly=tuple(
            _spread(units, move, moves)
            for move, moves in zip(library.grid, moves_of(units.assets, jointly).T, strict=True)
        ),
        left_out=units.left_out,
    )


def _told(point: Point) -> tuple[int, float]:
    return point.units, point.shortfall_usd


def _alone(library: Library, held: Sequence[Held], identity: str) -> list[Scenario]:
    return [shocked(f"{identity}{move:+.0%}", {identity: move}, held) for move in library.grid]


def _points(units: Units, moves: Sequence[float], scenarios: Sequence[Scenario]) -> tuple[Point, ...]:
    return tuple(
        _point(units, move, column) for move, column in zip(moves, moves_of(units.assets, scenarios).T, strict=True)
    )


def _point(units: Units, move: float, moves: Floats) -> Point:
    falls = equities(units.counted, moves) < 0
    return Point(
        move=move,
        units=int(falls.sum()),
        debt_usd=math.fsum(debts_of(units, moves)[falls]),
        shortfall_usd=math.fsum(np.maximum(-equities(units.whole, moves), 0.0)),
    )


def _spread(units: Units, move: float, moves: Floats) -> Spread:
    falls, point = equities(units.counted, moves) < 0, _point(units, move, moves)
    owed = np.where(falls, debts_of(units, moves), 0.0)
    venues = [units.venues[group] for group in units.counted.groups]
    chains = [parse_account(owner).chain_id for owner in units.owners]
    owners = sorted(_sums(units.owners, owed).items(), key=lambda each: (-each[1], each[0]))[:TOP]
    return Spread(
        move=point.move,
        units=point.units,
        debt_usd=point.debt_usd,
        shortfall_usd=point.shortfall_usd,
        by_chain=_sums(chains, owed),
        by_venue=_sums(venues, owed),
        by_asset=_collateral(units, moves, falls),
        top=owners,
        top_share=math.fsum(share for _, share in owners) / point.debt_usd if point.debt_usd else 0.0,
    )


def _collateral(units: Units, moves: Floats, falls: Truths) -> dict[str, float]:
    """Add up by asset what units that fall have, USD at the moved prices."""
    whole = units.whole
    owners = np.repeat(falls, np.diff(whole.starts))
    taken = owners & (whole.amounts > 0)
    worth = np.where(taken, whole.amounts * (1 + moves[whole.assets]), 0.0)
    return _sums((units.assets[place] for place in whole.assets), worth)


def _sums(names: Iterable[str], amounts: Floats) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, amount in zip(names, amounts.tolist(), strict=True):
        if amount:
            found[name].append(amount)
    return {name: math.fsum(parts) for name, parts in sorted(found.items())}
