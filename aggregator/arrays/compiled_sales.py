"""Of the compiled kernel: what counts of supplies where weights depend on how much is sold."""

from __future__ import annotations

import math

import numpy as np

from aggregator.arrays import quads
from aggregator.arrays.columns import (
    CAP_LEFT,
    LEFT,
    MARKET_ALONE,
    OTHERS,
    PRICES,
    SALE_KEPT,
    SALE_SLOPE,
    SEEN,
    Bits,
    Floats,
    Places,
)
from aggregator.jitted import jitted

UNPRICED, AT_RISK = np.uint8(3), np.uint8(8)

place = np.uint64
"""An index that is known not to be negative, so that no code asks whether to count from the end."""

PRICE, CLASS, ALONE = place(PRICES.start), place(LEFT.start), place(MARKET_ALONE.start)
OTHER, LEAST, WHOLE, SLOPE = place(OTHERS), place(CAP_LEFT), place(SALE_KEPT), place(SALE_SLOPE)

inlined = jitted(inlined=True)


@inlined
def sold(
    lane: int,
    start: int,
    supplied: int,
    legs: Places,
    amounts: Floats,
    parts: Floats,
    identities: Places,
    marked: Bits,
    more: Floats,
    who: Places,
    together: Floats,
    risks: Floats,
    sums: Floats,
) -> tuple[int, np.uint8, float]:
    """Add up what an account holds, beginning with what it has besides; what is held of an identity is sold together.

    Return what `compiled.gathered` does.
    """
    reach, seen, worth = 0, np.uint8(0), more[0]
    begun, of, all_of = 0, np.int32(-1), 0.0
    for number in range(supplied):
        leg = place(number)
        kind = place(legs[place(start) + leg])
        value = amounts[place(start) + leg] * parts[kind, PRICE]
        all_of, begun = (all_of + value, begun) if identities[kind] == of else (value, number)
        of = identities[kind]
        for earlier in range(begun, number + 1):
            together[place(earlier)] = all_of
        who[leg] = of
        worth += value
        seen |= marked[kind] & UNPRICED
        reach = number + 1 if marked[kind] & AT_RISK else reach
    kept, risk = quads.quad(more[2], more[2], more[2], more[1]), quads.quad(0.0, 0.0, 0.0, 0.0)
    one = quads.quad(1.0, 1.0, 1.0, 1.0)
    for number in range(supplied):
        leg = place(number)
        kind, amount = place(legs[place(start) + leg]), amounts[place(start) + leg]
        left, cap = remaining(kind, together[leg], parts), parts[kind, LEAST]
        of_each = quads.quad(amount, amount, amount, amount)
        price, alone = quads.read(parts, kind, PRICE), quads.read(parts, kind, ALONE)
        least = quads.higher(
            quads.times(quads.quad(left, left, left, left), quads.less(one, alone)), quads.quad(cap, cap, cap, cap)
        )
        stays = quads.lower(quads.read(parts, kind, CLASS), least)
        part = quads.lower(alone, quads.less(one, stays))
        whole = quads.where_positive(stays, quads.lower(quads.over(stays, quads.less(one, part)), one))
        kept = quads.added(kept, quads.times(of_each, quads.times(price, whole)))
        taken = quads.times(of_each, quads.times(price, quads.times(whole, part)))
        risk = quads.added(risk, taken)
        quads.write(risks, leg, place(0), taken)
    quads.write(sums, place(0), place(SEEN * lane), kept)
    quads.write(sums, place(2), place(SEEN * lane), risk)
    return reach, seen, worth


@inlined
def remaining(kind: np.uint64, value: float, parts: Floats) -> float:
    """Return what all layers but the market leave of a supply of which so much is sold; beyond where most is brought, no more is."""
    whole, root, left = parts[kind, WHOLE], math.sqrt(value), 0.0
    lost = parts[kind, SLOPE] * root
    if 1.5 * lost <= whole:
        left = whole - lost
    else:
        fewer = whole / (1.5 * parts[kind, SLOPE]) / root
        left = fewer * fewer * whole / 3.0
    return float(parts[kind, OTHER] * left)
