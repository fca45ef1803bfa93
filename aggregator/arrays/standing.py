"""What the arrays say of all accounts at one version of marks and positions; it does not change any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregator.arrays.columns import (
    ALONE,
    CLAIMED,
    DEBT_UNKNOWN,
    EXCESS,
    GONE,
    HAS_DEBT,
    HEADROOM,
    HEALTH,
    HEALTH_HIGH,
    HEALTH_LOW,
    OWED,
    REQUIRED,
    UNPRICED_COLLATERAL,
    UNPRICED_DEBT,
    VALUE,
    Bits,
    Floats,
    Indexes,
)

UNMEASURED = DEBT_UNKNOWN | UNPRICED_DEBT | ALONE | GONE


class Numbers(NamedTuple):
    """The house's numbers of one account in USD; `None` where debt is none (the first three), unknown or unpriced.

    `high` is `None` also while collateral is unpriced. `maintenance_debt` is B and `maintenance_excess` E(1), both at the mid.
    """

    health_factor: float | None
    low: float | None
    high: float | None
    collateral: float
    debt: float | None
    headroom: float | None
    maintenance_debt: float | None
    maintenance_excess: float | None


class HeldBack(LookupError):
    """An account whose numbers are not the arrays' to give: ask `aggregator.margin.account.assess`."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Standing:
    """Results and flags by account, and the prices that they rest on: low, mid, high, whether new debt may; zeros where there is none.

    `version` counts from 1, one more with each change of marks or positions.
    """

    version: int
    places: Mapping[str, int] = field(repr=False)
    names: Sequence[str] = field(repr=False)
    mark_places: Mapping[str, int] = field(repr=False)
    prices: Floats = field(repr=False)
    rows: Floats = field(repr=False)
    flags: Bits = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def account(self, name: str) -> Numbers | None:
        """Return the numbers of one account, `None` if there is none; raises `HeldBack`."""
        place = self.places.get(name)
        if place is None or place >= len(self.rows):
            return None
        flags = int(self.flags[place])
        if flags & GONE:
            return None
        if flags & ALONE or flags & (CLAIMED | UNPRICED_COLLATERAL) == CLAIMED | UNPRICED_COLLATERAL:
            raise HeldBack(
                f"{name} has more to it than arrays hold (see `entries.apart`); ask `assess` for its numbers"
            )
        row = self.rows[place].tolist()
        known = not flags & UNMEASURED
        measured = known and bool(flags & HAS_DEBT)
        return Numbers(
            health_factor=row[HEALTH] if measured else None,
            low=row[HEALTH_LOW] if measured else None,
            high=row[HEALTH_HIGH] if measured and not flags & UNPRICED_COLLATERAL else None,
            collateral=row[VALUE],
            debt=row[OWED] if known else None,
            headroom=row[HEADROOM] if known else None,
            maintenance_debt=row[REQUIRED] if known else None,
            maintenance_excess=row[EXCESS] if known else None,
        )

    def price(self, mark: str) -> tuple[float, float, float] | None:
        """Return low, mid and high of a mark in USD, `None` where there is none."""
        place = self.mark_places.get(mark)
        if place is None or place >= len(self.prices) or not self.prices[place, 1]:
            return None
        low, mid, high, _ = self.prices[place].tolist()
        return low, mid, high

    def below(self, health_factor: float) -> list[tuple[str, float]]:
        """Return who has debt and a health factor below this, lowest first, equal ones by name."""
        measured = ((self.flags & (UNMEASURED | HAS_DEBT)) == HAS_DEBT) & ~self._claimed_unpriced
        found: Indexes = np.flatnonzero(measured & (self.rows[:, HEALTH] < health_factor))
        return sorted(
            ((self.names[place], float(self.rows[place, HEALTH])) for place in found.tolist()),
            key=lambda entry: (entry[1], entry[0]),
        )

    def unmeasured(self) -> list[str]:
        """Return, by name, who owes something, or may, and has no number here: nobody of them may be taken for sound."""
        told = ((self.flags & (DEBT_UNKNOWN | UNPRICED_DEBT | ALONE)) != 0) | self._claimed_unpriced
        return sorted(self.names[place] for place in np.flatnonzero(told & ((self.flags & GONE) == 0)).tolist())

    @property
    def _claimed_unpriced(self) -> NDArray[np.bool_]:
        both = CLAIMED | UNPRICED_COLLATERAL
        found: NDArray[np.bool_] = (self.flags & both) == both
        return found
