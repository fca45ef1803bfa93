"""Legs: what one token of a way to hold or to owe something is worth, and how much of that counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from aggregator.arrays.columns import (
    AT_RISK,
    CAP_LEFT,
    LEFT,
    LEG_WIDTH,
    MARKET_ALONE,
    MID,
    OTHERS,
    PART_WIDTH,
    PRICES,
    PURPOSE_OF,
    SALE_KEPT,
    SALE_SLOPE,
    SEEN,
    SIZED,
    UNPRICED_COLLATERAL,
    UNPRICED_DEBT,
    Bits,
    Floats,
    Indexes,
    Places,
)


class Price(NamedTuple):
    """The mark of one token in USD; `authorises`: whether new debt may rest on it."""

    low: float
    mid: float
    high: float
    authorises: bool = True


class Pair(NamedTuple):
    """A share for either margin."""

    maintenance: float
    initial: float


NONE = Pair(0.0, 0.0)
NO_PRICE = Price(0.0, 0.0, 0.0, authorises=False)


class Weight(NamedTuple):
    """What a supply or a debt counts for; all are fractions of its value.

    `static`: the share of a supply that its class leaves, or the factor of a debt. `market`: what the market may take of what the other
    layers leave of a supply, or add to a debt. Of supplies also, for both margins: `others`, what peg, bridge and chain leave;
    `least`, what is left whatever the layers say; `sale`, what is left by selling a little, and `slope`, how much less by each √USD.
    """

    static: Pair
    market: Pair = NONE
    others: float = 1.0
    least: float = 0.0
    sale: float = 1.0
    slope: float = 0.0

    @property
    def sized(self) -> bool:
        return self.slope > 0


class Leg(NamedTuple):
    """`mark`: what names its price; `identity`: what it is to correlations, and to what is sold together.

    A tuple, as its weight is, since legs are looked up by what they are, once for each position that an account comes with.
    """

    is_debt: bool
    identity: str
    mark: str
    weight: Weight


@dataclass(slots=True, kw_only=True)
class LegTable:
    """All legs of a book, numbered in the order in which they came; legs are added, never taken away.

    `ranks`, by number: what accounts' positions are sorted by, supplies first, and of either side what is estimated; one identity's
    stand together.
    `table` (legs, `LEG_WIDTH`), `parts` (legs, `PART_WIDTH`), `flags`, `identities` (the places of correlations), `marks` (the place of
    each leg's price); `weights` (legs, 8): for each margin as it is seen the share that counts before the market takes its part, then
    what part of its value that is. `prices` (marks, 4): low, mid, high in USD, and 1 where new debt may rest on it; `known` whether there
    is one.
    """

    places: Mapping[str, int]
    legs: dict[Leg, int] = field(default_factory=dict)
    ranks: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    mark_places: dict[str, int] = field(default_factory=dict)
    table: Floats = field(default_factory=lambda: np.zeros((0, LEG_WIDTH)))
    parts: Floats = field(default_factory=lambda: np.zeros((0, PART_WIDTH)))
    weights: Floats = field(default_factory=lambda: np.zeros((0, 2 * SEEN)))
    flags: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))
    identities: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    marks: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    debts: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))
    prices: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    known: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))
    _ordered: list[int] = field(default_factory=list)

    def numbers(self, legs: Sequence[Leg]) -> Places:
        """Return the numbers of legs, new ones for those that have none; marks of new ones are unknown until they are told."""
        found = list(map(self.legs.get, legs))
        if None in found:
            self.add(legs)
            found = list(map(self.legs.get, legs))
        return np.array(found, np.int32)

    def add(self, legs: Iterable[Leg]) -> None:
        """Number legs that are not there yet; their marks are unknown until they are told."""
        for leg in legs:
            self.legs.setdefault(leg, len(self.legs))
        self._settle()

    def _settle(self) -> None:
        first = len(self.flags)
        if first == len(self.legs):
            return
        new = list(islice(self.legs, first, None))
        for leg in new:
            self.mark_places.setdefault(leg.mark, len(self.mark_places))
        unestimated = len(self.places)
        self.table = np.concatenate([self.table, np.zeros((len(new), LEG_WIDTH))])
        self.parts = np.concatenate([self.parts, np.array([_parts(leg) for leg in new]).reshape(-1, PART_WIDTH)])
        self.weights = np.concatenate([self.weights, np.array([_weights(leg) for leg in new]).reshape(-1, 2 * SEEN)])
        self.flags = _longer(self.flags, map(_flags, new))
        self.identities = _longer(self.identities, [self.places.get(leg.identity, unestimated) for leg in new])
        self.marks = _longer(self.marks, [self.mark_places[leg.mark] for leg in new])
        self.debts = _longer(self.debts, [leg.is_debt for leg in new])
        more = len(self.mark_places) - len(self.prices)
        self.prices = np.concatenate([self.prices, np.zeros((more, 4))])
        self.known = _longer(self.known, [0] * more)
        self._price(np.arange(first, len(self.legs)))
        self._ordered += range(first, len(self.legs))
        every = list(self.legs)
        self._ordered.sort(key=lambda number: _order(every[number], self.places))
        self.ranks = np.empty(len(every), np.int32)
        self.ranks[self._ordered] = np.arange(len(every), dtype=np.int32)

    def reprice(self, marks: Mapping[str, Price | None]) -> Indexes:
        """Take prices over, `None`: there is none; return the legs that are worth something else now."""
        told = list(marks.values())
        found = list(map(self.mark_places.get, marks))
        if None in found:
            told = [price for price, place in zip(told, found, strict=True) if place is not None]
        places = np.array([place for place in found if place is not None], dtype=np.intp)
        are = np.ones(len(told), np.uint8)
        if None in told:
            are[:] = [price is not None for price in told]
        flat = chain.from_iterable(price or NO_PRICE for price in told)
        rows = np.fromiter(flat, dtype=np.float64, count=4 * len(told)).reshape(-1, 4)
        low, mid, high, _ = rows.T
        sound = (low >= 0) & (low <= mid) & (mid <= high) & (high < math.inf) & (mid > 0)
        for wrong in np.flatnonzero((are != 0) & ~sound):
            name = next(name for name, place in self.mark_places.items() if place == places[wrong])
            raise ValueError(
                f"the mark of {name} is {told[wrong]}; it must be finite and positive, its low ≤ mid ≤ high"
            )
        changed = np.zeros(len(self.mark_places), dtype=bool)
        changed[places] = (are != self.known[places]) | np.any(rows != self.prices[places], axis=1)
        if not np.any(changed):
            return np.zeros(0, np.int64)
        self.prices, self.known = self.prices.copy(), self.known.copy()
        self.prices[places], self.known[places] = rows, are
        legs: Indexes = np.flatnonzero(changed[self.marks])
        self._price(legs)
        return legs

    def _price(self, legs: Indexes) -> None:
        marks, debts = self.marks[legs], self.debts[legs] != 0
        low, mid, high, authorises = self.prices[marks].T
        adverse, favourable = np.where(debts, high, low), np.where(debts, low, high)
        seen = np.stack([mid, adverse, favourable, np.where(debts | (authorises > 0), adverse, 0.0)], axis=1)
        self.parts[legs, PRICES] = seen
        self.table[legs, MID] = mid
        self.table[legs, MID + 1 :] = np.tile(seen, 2) * self.weights[legs]
        unknown = np.where(debts, UNPRICED_DEBT, UNPRICED_COLLATERAL) * (self.known[marks] == 0)
        self.flags[legs] = (self.flags[legs] & (SIZED | AT_RISK)) | unknown.astype(np.uint8)


def _order(leg: Leg, places: Mapping[str, int]) -> tuple[bool, bool, Leg]:
    return leg.is_debt, leg.identity not in places, leg


def _flags(leg: Leg) -> int:
    sized = SIZED if leg.weight.sized and not leg.is_debt else 0
    return sized | (AT_RISK if any(leg.weight.market) else 0)


def _weights(leg: Leg) -> Floats:
    """Return what counts of a leg of which next to nothing is sold, for each margin, and what of its value the market may take or add."""
    weight = leg.weight
    if leg.is_debt:
        kept = [max(static, 1 + rise) - rise for static, rise in zip(weight.static, weight.market, strict=True)]
        pairs = list(zip(kept, weight.market, strict=True))
    else:
        found = [
            kept_of(static, market, weight.others * weight.sale, weight.least)
            for static, market in zip(weight.static, weight.market, strict=True)
        ]
        pairs = [(kept, kept * market) for kept, market in found]
    return np.array([pairs[purpose][share] for share in (0, 1) for purpose in PURPOSE_OF])


def _parts(leg: Leg) -> Floats:
    weight, row = leg.weight, np.zeros(PART_WIDTH)
    row[LEFT] = [weight.static[purpose] for purpose in PURPOSE_OF]
    row[MARKET_ALONE] = [weight.market[purpose] for purpose in PURPOSE_OF]
    row[OTHERS], row[CAP_LEFT] = weight.others, weight.least
    row[SALE_KEPT] = max(weight.sale, 0.0)
    row[SALE_SLOPE] = weight.slope
    return row


def kept_of(static: float, market: float, others: float, least: float) -> tuple[float, float]:
    """Hold layers against the class's own number: what is kept before the market takes its part, and that part.

    Where the class leaves less than the layers do, the difference is put with what does not diversify.
    """
    left = min(static, max(others * (1 - market), least))
    if left <= 0:
        return 0.0, 0.0
    taken = min(market, 1 - left)
    return min(left / (1 - taken), 1.0), taken


def _longer(array: Any, more: Iterable[int]) -> Any:  # noqa: ANN401 - of bytes or of places
    return np.concatenate([array, np.fromiter(more, dtype=array.dtype)])
