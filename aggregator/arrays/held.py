"""What accounts hold and owe as columns: legs by number, each once for an account, in the order in which runs are laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import numpy as np

from aggregator.arrays.columns import Floats, Indexes, Places
from aggregator.arrays.layout import MOST_POSITIONS
from aggregator.arrays.legs import Leg, LegTable

Holdings = Sequence[tuple[Leg, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """`supplies` and `debts`: how many an account has; `legs` (numbers) and `amounts` (tokens) of all, one account after the other."""

    supplies: Places
    debts: Places
    legs: Places
    amounts: Floats

    @classmethod
    def of(cls, names: Sequence[str], holdings: Sequence[Holdings], table: LegTable) -> Held:
        """Number legs and add up what an account has of one, exactly; raises `ValueError` for an amount that is none, or too many legs."""
        owners = np.repeat(np.arange(len(holdings)), np.fromiter(map(len, holdings), np.int64, len(holdings)))
        legs = list(map(itemgetter(0), chain.from_iterable(holdings)))
        amounts = np.fromiter(map(itemgetter(1), chain.from_iterable(holdings)), np.float64, len(legs))
        for wrong in np.flatnonzero(~((amounts >= 0) & (amounts < math.inf))).tolist():
            raise ValueError(
                f"{names[owners[wrong]]}: an amount of {legs[wrong].identity} is {amounts[wrong]};"
                " it must be finite and not negative"
            )
        numbers = table.numbers(legs)
        key = owners * len(table.ranks) + table.ranks[numbers]
        order = np.argsort(key, kind="stable")
        key, owners, numbers, amounts = key[order], owners[order], numbers[order], amounts[order] + 0.0
        first = np.ones(len(key), dtype=bool)
        np.not_equal(key[1:], key[:-1], out=first[1:])
        if not np.all(first):
            amounts = _added(amounts, np.flatnonzero(first))
            owners, numbers = owners[first], numbers[first]
        counts = np.bincount(owners, minlength=len(holdings))
        for wrong in np.flatnonzero(counts > MOST_POSITIONS).tolist():
            raise ValueError(f"{names[wrong]}: has {counts[wrong]} different positions; at most {MOST_POSITIONS} fit")
        debts = np.bincount(owners[table.debts[numbers] != 0], minlength=len(holdings))
        return cls(
            supplies=(counts - debts).astype(np.int32),
            debts=debts.astype(np.int32),
            legs=numbers,
            amounts=amounts,
        )

    def taken(self, order: Indexes) -> Held:
        """Return the same of some accounts, in this order."""
        counts = (self.supplies + self.debts).astype(np.int64)
        starts = np.cumsum(counts) - counts
        ends = np.cumsum(counts[order])
        at = np.repeat(starts[order] - ends + counts[order], counts[order]) + np.arange(ends[-1] if len(ends) else 0)
        return Held(
            supplies=self.supplies[order], debts=self.debts[order], legs=self.legs[at], amounts=self.amounts[at]
        )


def _added(amounts: Floats, firsts: Indexes) -> Floats:
    """Return the sum of each group, `firsts` being where they begin; a sum of several is rounded once, in whatever order they come."""
    ends = np.append(firsts[1:], len(amounts))
    sums = amounts[firsts]
    for group in np.flatnonzero(ends - firsts > 1).tolist():
        sums[group] = math.fsum(amounts[firsts[group] : ends[group]].tolist())
    return sums
