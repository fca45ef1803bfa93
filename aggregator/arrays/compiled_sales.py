"""Of the compiled kernel: what counts of supplies whose weight depends on how much of them is sold."""

from __future__ import annotations

import math

import numpy as np

from aggregator.arrays.columns import PART_WIDTH, PURPOSE_OF, SEEN, Bits, Floats, Indexes, Places
from aggregator.jitted import jitted

SIZED = np.uint8(4)

place = np.uint64
"""An index that is known not to be negative, so that no code asks whether to count from the end."""

compiled = jitted()


@compiled
def weighed(
    lanes: Indexes,
    starts: Indexes,
    supplied: int,
    legs: Places,
    amounts: Floats,
    who: Places,
    table: Floats,
    parts: Floats,
    marked: Bits,
    held: Floats,
    terms: Floats,
    counts: Floats,
    risks: Floats,
) -> None:
    """Write what counts of each supply; where a sale costs more the more is sold, what is held of an identity is sold together."""
    for leg in range(supplied):
        for lane in range(len(lanes)):
            at = place(starts[lanes[lane]] + leg)
            held[0, leg, lane], held[1, leg, lane] = amounts[at], amounts[at] * table[place(legs[at]), 0]
    for leg in range(supplied):
        plainly = False
        for lane in range(len(lanes)):
            kind = place(legs[starts[lanes[lane]] + leg])
            plainly |= marked[kind] & SIZED == 0
            for column in range(PART_WIDTH):
                terms[column, lane] = parts[kind, column]
        sold(leg, supplied, len(lanes), who, held, terms, counts, risks)
        if plainly:
            unsized(leg, lanes, starts, legs, amounts, table, marked, counts, risks)


@compiled
def sold(
    leg: int, supplied: int, count: int, who: Places, held: Floats, terms: Floats, counts: Floats, risks: Floats
) -> None:
    """Write what counts of one supply as if all lanes' depended on their size; `terms` begins with columns of `parts`."""
    near, kept, taken = terms[PART_WIDTH], terms[PART_WIDTH + 1], terms[PART_WIDTH + 2]
    near[:count] = 0.0
    for other in range(supplied):
        for lane in range(count):
            near[lane] += held[1, other, lane] if who[other, lane] == who[leg, lane] else 0.0
    for lane in range(count):
        root, whole, slope = math.sqrt(near[lane]), terms[10, lane], terms[11, lane]
        most = whole / (1.5 * slope)
        fewer = most / root
        near[lane] = terms[8, lane] * (whole - slope * root if root <= most else fewer * fewer * whole / 3.0)
    for purpose in range(2):
        for lane in range(count):
            alone = terms[6 + purpose, lane]
            remaining = min(terms[4 + purpose, lane], max(near[lane] * (1.0 - alone), terms[9, lane]))
            part = min(alone, 1.0 - remaining) if remaining > 0.0 else 0.0
            kept[lane] = min(remaining / (1.0 - part), 1.0) if remaining > 0.0 else 0.0
            taken[lane] = part
        for seen in range(SEEN):
            if PURPOSE_OF[seen] == purpose:
                for lane in range(count):
                    counted = held[0, leg, lane] * terms[seen, lane] * kept[lane]
                    counts[leg, seen, lane] = counted
                    risks[leg, seen, lane] = counted * taken[lane]


@compiled
def unsized(
    leg: int,
    lanes: Indexes,
    starts: Indexes,
    legs: Places,
    amounts: Floats,
    table: Floats,
    marked: Bits,
    counts: Floats,
    risks: Floats,
) -> None:
    """Write over it what counts of one supply where its weight does not depend on its size."""
    for lane in range(len(lanes)):
        at = place(starts[lanes[lane]] + leg)
        kind, amount = place(legs[at]), amounts[at]
        if marked[kind] & SIZED == 0:
            for seen in range(SEEN):
                counts[leg, seen, lane] = amount * table[kind, 1 + seen]
                risks[leg, seen, lane] = amount * table[kind, 5 + seen]
