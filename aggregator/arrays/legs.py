"""Legs: what one token of a way to hold or to owe something is worth, and how much of that counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from aggregator.arrays.columns import (
    CAP_LEFT,
    COUNTS,
    LEFT,
    LEG_WIDTH,
    MARKET_ALONE,
    MID,
    OTHERS,
    PART_WIDTH,
    PRICES,
    PURPOSE_OF,
    RISK,
    SALE_KEPT,
    SALE_SLOPE,
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


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Weight:
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


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Leg:
    """`mark`: what names its price; `identity`: what it is to correlations, and to what is sold together."""

    is_debt: bool
    identity: str
    mark: str
    weight: Weight


@dataclass(slots=True, kw_only=True)
class LegTable:
    """All legs of a book, numbered in the order in which they came; legs are added, never taken away.

    `table` (legs, `LEG_WIDTH`), `parts` (legs, `PART_WIDTH`), `flags`, `identities` (the places of correlations), `marks` (the place of
    each leg's price); `weights` (legs, 4): for either margin the share that counts before the market takes its part, and what part of its
    value that is. `prices` (marks, 4): low, mid, high in USD, and 1 where new debt may rest on it; `known` whether there is one.
    """

    places: Mapping[str, int]
    legs: dict[Leg, int] = field(default_factory=dict)
    mark_places: dict[str, int] = field(default_factory=dict)
    table: Floats = field(default_factory=lambda: np.zeros((0, LEG_WIDTH)))
    parts: Floats = field(default_factory=lambda: np.zeros((0, PART_WIDTH)))
    weights: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    flags: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))
    identities: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    marks: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    debts: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))
    prices: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    known: Bits = field(default_factory=lambda: np.zeros(0, np.uint8))

    def add(self, legs: Iterable[Leg]) -> None:
        """Number legs that are not there yet; their marks are unknown until they are told."""
        new = [leg for leg in dict.fromkeys(legs) if leg not in self.legs]
        for leg in new:
            self.legs[leg] = len(self.legs)
            self.mark_places.setdefault(leg.mark, len(self.mark_places))
        unestimated = len(self.places)
        self.table = np.concatenate([self.table, np.zeros((len(new), LEG_WIDTH))])
        self.parts = np.concatenate([self.parts, np.array([_parts(leg) for leg in new]).reshape(-1, PART_WIDTH)])
        self.weights = np.concatenate([self.weights, np.array([_weights(leg) for leg in new]).reshape(-1, 4)])
        self.flags = _longer(self.flags, [SIZED if leg.weight.sized and not leg.is_debt else 0 for leg in new])
        self.identities = _longer(self.identities, [self.places.get(leg.identity, unestimated) for leg in new])
        self.marks = _longer(self.marks, [self.mark_places[leg.mark] for leg in new])
        self.debts = _longer(self.debts, [leg.is_debt for leg in new])
        more = len(self.mark_places) - len(self.prices)
        self.prices = np.concatenate([self.prices, np.zeros((more, 4))])
        self.known = _longer(self.known, [0] * more)
        self._price(np.arange(len(self.legs) - len(new), len(self.legs)))

    def reprice(self, marks: Mapping[str, Price | None]) -> Indexes:
        """Take prices over, `None`: there is none; return the legs that are worth something else now."""
        changed = np.zeros(len(self.mark_places), dtype=bool)
        prices, known = self.prices.copy(), self.known.copy()
        for name, price in marks.items():
            place = self.mark_places.get(name)
            if place is None:
                continue
            prices[place], known[place] = (0.0,) * 4 if price is None else _sound(name, price), price is not None
            changed[place] = known[place] != self.known[place] or bool(np.any(prices[place] != self.prices[place]))
        self.prices, self.known = prices, known
        legs: Indexes = np.flatnonzero(changed[self.marks])
        if len(legs):
            self.table, self.parts, self.flags = self.table.copy(), self.parts.copy(), self.flags.copy()
            self._price(legs)
        return legs

    def _price(self, legs: Indexes) -> None:
        marks, debts = self.marks[legs], self.debts[legs] != 0
        low, mid, high, authorises = self.prices[marks].T
        adverse, favourable = np.where(debts, high, low), np.where(debts, low, high)
        seen = np.stack([mid, adverse, favourable, np.where(debts | (authorises > 0), adverse, 0.0)], axis=1)
        self.parts[legs, PRICES] = seen
        kept, at_risk = (
            self.weights[legs][:, PURPOSE_OF],
            self.weights[legs][:, [2 + purpose for purpose in PURPOSE_OF]],
        )
        self.table[legs, MID] = mid
        self.table[legs, COUNTS], self.table[legs, RISK] = seen * kept, seen * at_risk
        unknown = np.where(debts, UNPRICED_DEBT, UNPRICED_COLLATERAL) * (self.known[marks] == 0)
        self.flags[legs] = (self.flags[legs] & SIZED) | unknown.astype(np.uint8)


def _sound(name: str, price: Price) -> Price:
    if not (0 <= price.low <= price.mid <= price.high < math.inf and price.mid > 0):
        raise ValueError(f"the mark of {name} is {price}; it must be finite and positive, its low ≤ mid ≤ high")
    return price


def _weights(leg: Leg) -> Floats:
    """Return what counts of a leg of which next to nothing is sold, for either margin, and what of its value the market may take or add."""
    weight = leg.weight
    if leg.is_debt:
        kept = [max(static, 1 + rise) - rise for static, rise in zip(weight.static, weight.market, strict=True)]
        return np.array([*kept, *weight.market])
    pairs = [
        kept_of(static, market, weight.others * weight.sale, weight.least)
        for static, market in zip(weight.static, weight.market, strict=True)
    ]
    return np.array([*(kept for kept, _ in pairs), *(kept * market for kept, market in pairs)])


def _parts(leg: Leg) -> Floats:
    weight, row = leg.weight, np.zeros(PART_WIDTH)
    row[LEFT], row[MARKET_ALONE], row[OTHERS], row[CAP_LEFT] = weight.static, weight.market, weight.others, weight.least
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


def _longer(array: Any, more: Sequence[int]) -> Any:  # noqa: ANN401 - of bytes or of places
    return np.concatenate([array, np.array(more, dtype=array.dtype)])
