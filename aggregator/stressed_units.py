"""The units of a book with debt, in arrays, whose venues judge by `Σ value · threshold / Σ debt`: what each has and owes after moves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregator.book import Book
from aggregator.margin import numbers
from aggregator.margin.numbers import WAD
from aggregator.margin.valuation import BASIS_POINTS, OpenUnit, in_usd
from aggregator.margin.venue import unit_name
from aggregator.risk.exposures import Exposures, Floats
from aggregator.risk.scenarios import Scenario
from chains.identifiers import Account, token
from chains.model import Reason, Side, UnitPosition

AGREES = 1e-6
"""How near to the venue's own health factor Σ value·threshold / Σ debt must be for the rule to be taken for the venue's."""

Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units with debt whose venue's rule is known to be the one that scenarios move, and those left out, with why.

    `counted`: what counts against liquidation, `whole`: what there is less what is owed; groups are places of `venues`.
    """

    names: tuple[str, ...]
    owners: tuple[str, ...]
    venues: tuple[str, ...]
    assets: tuple[str, ...]
    counted: Exposures
    whole: Exposures
    left_out: tuple[Reason, ...]


Positions = tuple[tuple[str, float, float], ...]
"""Of each: asset, what counts against liquidation and what it is worth, USD, of a debt negative."""


class UnitLine(NamedTuple):
    """A unit with debt."""

    name: str
    owner: str
    venue: str
    positions: Positions


def moves_of(assets: Sequence[str], scenarios: Sequence[Scenario]) -> Floats:
    """Return moves, assets by scenarios."""
    by_asset = [{applied.asset: applied.move for applied in scenario.moves} for scenario in scenarios]
    moves = np.zeros((len(assets), len(scenarios)))
    for column, (scenario, known) in enumerate(zip(scenarios, by_asset, strict=True)):
        moves[:, column] = [known[asset] if asset in known else scenario.move(asset) for asset in assets]
    return moves


def equities(exposures: Exposures, moves: Floats) -> Floats:
    """Return the equity of each row in one scenario (`moves` by asset)."""
    rows = len(exposures.bases)
    owners = np.repeat(np.arange(rows), np.diff(exposures.starts))
    gained = np.bincount(owners, exposures.amounts * moves[exposures.assets], rows)
    return exposures.bases + gained.astype(np.float64)


def debts_of(units: Units, moves: Floats) -> Floats:
    """Return what each unit owes in a scenario, USD."""
    whole, rows = units.whole, len(units.names)
    owners = np.repeat(np.arange(rows), np.diff(whole.starts))
    owed = np.where(whole.amounts < 0, -whole.amounts * (1 + moves[whole.assets]), 0.0)
    return np.bincount(owners, owed, rows).astype(np.float64)


def units_of(book: Book) -> Units:
    """Lay out every unit with debt; left out is who has no numbers of the venue's, and whose venue judges by another rule."""
    return laid_out(*unit_lines(book))


def unit_lines(book: Book) -> tuple[list[UnitLine], list[Reason]]:
    """Return every unit with debt that scenarios can judge, and why others are left out."""
    lines, left_out = [], []
    for held_in in book.units:
        if not held_in.unit.has_debt:
            continue
        told = _told(held_in)
        if isinstance(told, Reason):
            left_out.append(told)
        else:
            owner = str(Account(held_in.venue.chain_id, held_in.unit.owner))
            lines.append(UnitLine(unit_name(held_in), owner, held_in.venue.id, told))
    return lines, left_out


def laid_out(lines: Sequence[UnitLine], left_out: Iterable[Reason]) -> Units:
    """Lay units out as arrays, those that were left out by their name."""
    assets = sorted({asset for line in lines for asset, _, _ in line.positions})
    venues = sorted({line.venue for line in lines})
    groups = np.array([venues.index(line.venue) for line in lines], np.int32)
    places = {asset: place for place, asset in enumerate(assets)}
    return Units(
        names=tuple(line.name for line in lines),
        owners=tuple(line.owner for line in lines),
        venues=tuple(venues),
        assets=tuple(assets),
        counted=_exposures(
            [[(places[asset], counts) for asset, counts, _ in line.positions] for line in lines], groups
        ),
        whole=_exposures([[(places[asset], worth) for asset, _, worth in line.positions] for line in lines], groups),
        left_out=tuple(sorted(left_out, key=lambda reason: (reason.subject, reason.code))),
    )


def _told(held_in: OpenUnit) -> Positions | Reason:
    """Return what a unit has and owes as the common rule counts it, or say why it cannot be moved by that.

    A venue that takes the average of thresholds down to a basis point is within the rule: what counts is less by as much as it is now.
    """
    unit, name = held_in.unit, unit_name(held_in)
    if unit.health_factor_wad is None:
        return Reason("venue_unknown", name, "its venue's own numbers are not known")
    if not in_usd(unit):
        return Reason("venue_not_in_usd", name, "its venue does not value it in USD")
    if any(each.price is None for each in unit.positions if each.counts and each.amount_raw):
        return Reason("venue_price_missing", name, "its venue has no price of something that it has")
    positions = tuple(_positions(held_in))
    covering = math.fsum(counted for _, counted, _ in positions if counted > 0)
    owed, collateral = (math.fsum(max(sign * worth, 0.0) for *_, worth in positions) for sign in (-1, 1))
    own = unit.health_factor_wad / WAD
    if owed > 0 and math.isclose(covering, own * owed, rel_tol=AGREES):
        return positions
    if owed > 0 and 0 < covering - own * owed < collateral / BASIS_POINTS:
        return tuple(
            (asset, counted * own * owed / covering if counted > 0 else counted, worth)
            for asset, counted, worth in positions
        )
    told = numbers.text(numbers.wad_down(unit.health_factor_wad))
    return Reason("venue_rule", name, f"its venue's health factor {told} is not Σ value·threshold / Σ debt")


def _positions(held_in: OpenUnit) -> Iterator[tuple[str, float, float]]:
    """Yield asset, what counts and what it is worth, USD; debts negative, and what counts for nothing at the venue not at all."""
    for position in held_in.unit.positions:
        worth = _worth(position)
        if not position.counts or worth == 0:
            continue
        asset = str(token(held_in.venue.chain_id, position.asset))
        if position.side is Side.BORROW:
            yield asset, -worth, -worth
        else:
            yield asset, worth * (position.liquidation_threshold or 0) / BASIS_POINTS, worth


def _worth(position: UnitPosition) -> float:
    if position.price is None:
        return 0.0
    whole: int = position.price.unit_raw * 10**position.decimals
    return position.amount_raw * position.price.answer_raw / whole


def _exposures(held: Sequence[Sequence[tuple[int, float]]], groups: NDArray[np.int32]) -> Exposures:
    ends = np.cumsum([len(each) for each in held], dtype=np.int64)
    return Exposures(
        starts=np.concatenate([np.zeros(1, np.int64), ends]),
        assets=np.array([asset for each in held for asset, _ in each], np.int32),
        amounts=np.array([amount for each in held for _, amount in each], np.float64),
        bases=np.array([math.fsum(amount for _, amount in each) for each in held], np.float64),
        groups=groups,
    )
