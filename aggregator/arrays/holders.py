"""Who holds a leg: an index over a layout, for a price that moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aggregator.arrays.columns import Indexes, Places
from aggregator.arrays.layout import Layout

WIDE = 2**16


@dataclass(slots=True, kw_only=True)
class Holders:
    """`owners` by leg, from `firsts[leg]` to `firsts[leg + 1]`; `since`: accounts that changed after the index was made.

    Whoever changed is always named, whatever he holds now: to compute an account again that did not need it gives the same numbers.
    """

    firsts: Indexes
    owners: Places
    since: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, layout: Layout, legs: int) -> Holders:
        places, owners = layout.places()
        held = layout.legs[places]
        order = np.argsort(held.astype(np.uint16) if legs < WIDE else held, kind="stable")
        counts = np.bincount(held, minlength=legs)
        firsts = np.concatenate([[0], np.cumsum(counts)])
        return cls(firsts=firsts, owners=owners[order].astype(np.int32))

    @property
    def outdated(self) -> bool:
        """Whether so many changed that it should be made again."""
        return len(self.since) > 1000 + len(self.owners) // 64

    def of_legs(self, legs: Indexes, accounts: int) -> Indexes:
        """Return the accounts, ascending, that may hold one of some legs."""
        known = legs[legs < len(self.firsts) - 1]
        if np.sum(self.firsts[known + 1] - self.firsts[known]) >= accounts:
            return np.arange(accounts)
        named = np.zeros(accounts, dtype=bool)
        for leg in known:
            named[self.owners[self.firsts[leg] : self.firsts[leg + 1]]] = True
        named[list(self.since)] = True
        return np.flatnonzero(named)
