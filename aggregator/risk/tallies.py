"""What scenarios do to some rows, told so that parts of a book add up to the book, whatever the parts are and in whatever order they come.

Rows are counted. Of USD a few doubles are kept whose exact sum is that of all (Shewchuk 1997, nonoverlapping expansions): what is told at
the end is the double nearest to the exact sum, as if there had been one part.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import NamedTuple


class Of(StrEnum):
    """What is counted."""

    HOUSE = "house"
    """Accounts below a health factor of 1, by scenario."""
    VENUE = "venue"
    """Units that may be liquidated, by scenario and venue."""
    FRAGILE = "fragile"
    """Of a unit: in how many scenarios it falls; `lacking`: how much of what must be covered, at most."""
    FRAGILE_UNITS = "fragile_units"
    UNMEASURED = "unmeasured"
    """An account that no scenario judges."""
    JOINT = "joint"
    """Units that may be liquidated where all prices move, by step; those below: of what they owe and have, whose and where it is."""
    JOINT_CHAIN = "joint_chain"
    JOINT_VENUE = "joint_venue"
    JOINT_ASSET = "joint_asset"
    JOINT_OWNER = "joint_owner"
    ALONE = "alone"
    """Units that may be liquidated where one identity's price moves, by step and identity."""


class Key(NamedTuple):
    """`place`: of the scenario, or of the step."""

    of: str
    place: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """`count`: rows that fall; `newly`: those that did not before; `owed`, `lacking`: USD, doubles to be added up."""

    count: int = 0
    newly: int = 0
    owed: tuple[float, ...] = ()
    lacking: tuple[float, ...] = ()

    @property
    def debt_usd(self) -> float:
        return math.fsum(self.owed)

    @property
    def shortfall_usd(self) -> float:
        return math.fsum(self.lacking)


NOTHING = Tally()

Tallies = Mapping[Key, Tally]


def exactly(amounts: Iterable[float]) -> tuple[float, ...]:
    """Return few doubles whose exact sum is that of all; raises `OverflowError` and `ValueError` where there is none."""
    rest, found = [*amounts], list[float]()
    while total := math.fsum(chain(rest, (-each for each in found))):
        found.append(total)
    return tuple(found)


def added(parts: Iterable[Tallies]) -> dict[Key, Tally]:
    """Add up parts; the same of the same book, whatever the parts are and in whatever order they come."""
    found: dict[Key, list[Tally]] = defaultdict(list)
    for part in parts:
        for key, tally in part.items():
            found[key].append(tally)
    return {key: _sum(tallies) for key, tallies in sorted(found.items())}


def of_kind(tallies: Tallies, of: Of, place: int = 0) -> dict[str, Tally]:
    """Return what is told of one kind at one place, by name."""
    return {key.name: tally for key, tally in tallies.items() if key.of == of and key.place == place}


def _sum(tallies: list[Tally]) -> Tally:
    return Tally(
        count=sum(each.count for each in tallies),
        newly=sum(each.newly for each in tallies),
        owed=exactly(chain.from_iterable(each.owed for each in tallies)),
        lacking=exactly(chain.from_iterable(each.lacking for each in tallies)),
    )
