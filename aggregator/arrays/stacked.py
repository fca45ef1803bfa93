"""The same kernel with numpy, for where nothing compiles: accounts of one shape are stacked, some thousands at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aggregator.arrays.columns import (
    CAP_LEFT,
    COLLATERAL,
    COUNTS,
    DEBT,
    EXCESS,
    HEADROOM,
    HEALTH,
    HEALTH_HIGH,
    HEALTH_LOW,
    INITIAL_COLLATERAL,
    INITIAL_DEBT,
    LEFT,
    MAINTENANCE_COLLATERAL,
    MAINTENANCE_DEBT,
    MARKET_ALONE,
    MID,
    OTHERS,
    OWED,
    PRICES,
    PURPOSE_OF,
    REQUIRED,
    RISK,
    SALE_KEPT,
    SALE_SLOPE,
    SEEN,
    VALUE,
    Bits,
    Floats,
    Indexes,
    Places,
)
from aggregator.margin.equity import LARGEST_RATIO
from aggregator.margin.house import JUST_BELOW_ONE, LEAST_LOSS

STACK = 8192
"""So many accounts that their numbers stay near the core. One thread takes them: several would wait for the interpreter between steps
as long as these take."""

UNPRICED, SIZED = np.uint8(3), np.uint8(4)
ROOTS = slice(0, SEEN - 1)
"""Margins that have a health factor: all but the initial one."""

FIXED = (
    (MAINTENANCE_COLLATERAL, MAINTENANCE_COLLATERAL, MAINTENANCE_COLLATERAL, INITIAL_COLLATERAL),
    (MAINTENANCE_DEBT, MAINTENANCE_DEBT, MAINTENANCE_DEBT, INITIAL_DEBT),
)


def revalue(
    accounts: Indexes,
    starts: Indexes,
    supplies: Places,
    debts: Places,
    legs: Places,
    amounts: Floats,
    table: Floats,
    parts: Floats,
    identities: Places,
    marked: Bits,
    fixed_at: Places,
    fixed: Floats,
    correlation: Floats,
    cases: Floats,
    kappa: float,
    said: Bits,
    results: Floats,
    flags: Bits,
) -> None:
    """Write results and flags of `accounts`; shapes and units are those of `layout` and `columns`."""
    sized = bool(np.any(marked & SIZED))
    moves = sized or bool(np.any(table[:, RISK]))
    columns = np.ascontiguousarray(table.T[: None if moves else RISK.start])
    flat, unpriced = correlation.reshape(-1, 2), bool(np.any(marked & UNPRICED))

    def one(lanes: Indexes) -> None:
        supplied, owed = int(supplies[lanes[0]]), int(debts[lanes[0]])
        kinds, held = _of(lanes, starts, supplied + owed, legs, amounts)
        flags[lanes] = said[lanes]
        if unpriced:
            flags[lanes] |= np.bitwise_or.reduce(marked[kinds] & UNPRICED, axis=0, initial=0)
        if not moves:
            sums, worth = plainly_counted(columns, kinds, held, supplied, fixed[fixed_at[lanes]])
            write(lanes, sums, plain(sums[0], sums[1]), worth, results)
            return
        marks = marked[kinds]
        fetched = np.take(columns, kinds, axis=1)
        fetched *= held
        who = identities[kinds].astype(np.int64)
        if sized and np.any(marks[:supplied] & SIZED):
            weigh(fetched, parts[kinds[:supplied]], held, who[:supplied], marks[:supplied] & SIZED != 0)
        sums, worth = counted(fetched, supplied, fixed[fixed_at[lanes]])
        found = solved(sums, fetched[RISK], who, supplied, flat, cases, kappa)
        write(lanes, sums, found, worth, results)

    for lanes in _stacks(accounts, supplies, debts):
        one(lanes)


def _stacks(accounts: Indexes, supplies: Places, debts: Places) -> Iterator[Indexes]:
    """Divide accounts into runs of one shape."""
    shapes = (supplies[accounts] * 256 + debts[accounts]).astype(np.uint16)
    if np.any(shapes[1:] < shapes[:-1]):
        order = np.argsort(shapes, kind="stable")
        accounts, shapes = accounts[order], shapes[order]
    for alike in np.split(accounts, np.flatnonzero(np.diff(shapes)) + 1):
        for first in range(0, len(alike), STACK):
            yield alike[first : first + STACK]


def _piece(places: Indexes, apart: int) -> slice | None:
    """Return the places as a slice if they follow one another, `apart` from each to the next."""
    if len(places) > 1 and not np.all(places[1:] - places[:-1] == apart):
        return None
    return slice(int(places[0]), int(places[0]) + len(places) * apart)


def _of(lanes: Indexes, starts: Indexes, size: int, legs: Places, amounts: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return legs and amounts of accounts of one size, (position, account); what lies in one piece is not looked up."""
    begins, count = starts[lanes], len(lanes)
    piece = _piece(begins, size) if size else None
    if piece is not None:
        by_position = legs[piece].reshape(count, size).T.astype(np.intp, order="C")
        return by_position, np.ascontiguousarray(amounts[piece].reshape(count, size).T)
    at = begins + np.arange(size)[:, None]
    return legs[at].astype(np.intp), amounts[at]


def plainly_counted(
    columns: Floats, kinds: NDArray[np.intp], held: Floats, supplied: int, fixed: Floats
) -> tuple[Floats, Floats]:
    """Add up both sides where nothing has a market layer: what `counted` returns, with one position after the other in what is near."""
    totals, part = np.empty((2, RISK.start, len(fixed))), np.empty((RISK.start, len(fixed)))
    for side, first in enumerate((COLLATERAL, DEBT)):
        totals[side, MID] = fixed[:, first]
        totals[side, COUNTS] = fixed[:, FIXED[side]].T
    for leg, (kind, amount) in enumerate(zip(kinds, held, strict=True)):
        np.take(columns, kind, axis=1, out=part, mode="clip")
        part *= amount
        totals[int(leg >= supplied)] += part
    return totals[:, COUNTS], totals[:, MID]


def weigh(fetched: Floats, parts: Floats, held: Floats, who: Indexes, sized: Bits) -> None:
    """Write what counts of supplies where a sale costs more the more is sold; what is held of an identity is sold together."""
    supplied = len(who)
    value = fetched[MID, :supplied]
    together = np.stack([np.where(who == own, value, 0.0).sum(axis=0) for own in who])
    sold, whole, slope = np.sqrt(together), parts[:, :, SALE_KEPT], parts[:, :, SALE_SLOPE]
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(slope > 0, whole / (1.5 * slope), np.inf)
        fewer = most / sold
        left = parts[:, :, OTHERS] * np.where(sold <= most, whole - slope * sold, fewer * fewer * whole / 3)
    for seen, purpose in enumerate(PURPOSE_OF):
        alone = parts[:, :, MARKET_ALONE.start + purpose]
        remaining = np.minimum(parts[:, :, LEFT.start + purpose], np.maximum(left * (1 - alone), parts[:, :, CAP_LEFT]))
        taken = np.where(remaining > 0, np.minimum(alone, 1 - remaining), 0.0)
        kept = np.where(remaining > 0, np.minimum(remaining / np.where(remaining > 0, 1 - taken, 1.0), 1.0), 0.0)
        count = held[:supplied] * parts[:, :, PRICES.start + seen] * kept
        np.copyto(fetched[COUNTS][seen, :supplied], count, where=sized)
        np.copyto(fetched[RISK][seen, :supplied], count * taken, where=sized)


def counted(fetched: Floats, supplied: int, fixed: Floats) -> tuple[Floats, Floats]:
    """Add up both sides.

    Return what counts, and what of it the market may take or add, (4, seen, account), zeros where nothing has a market layer; and what
    both sides are worth at the mid (2, account).
    """
    size, count = fetched.shape[1:]
    sums = np.zeros((4, SEEN, count))
    worth = np.stack([fixed[:, COLLATERAL], fixed[:, DEBT]])
    for side, (first, end) in enumerate(((0, supplied), (supplied, size))):
        sums[side] = fixed[:, FIXED[side]].T
        for leg in range(first, end):
            worth[side] += fetched[MID, leg]
            sums[side] += fetched[COUNTS][:, leg]
            if len(fetched) > RISK.start:
                sums[2 + side] += fetched[RISK][:, leg]
    return sums, worth


def solved(
    sums: Floats, risks: Floats, who: Indexes, supplied: int, correlation: Floats, cases: Floats, kappa: float
) -> Floats:
    """Return, in the worst case of each, the health factor and E(1): (2, seen, account)."""
    covered, required = sums[0] - kappa * sums[2], sums[1] + kappa * sums[3]
    if not len(risks) or not len(cases) or not np.any(sums[2:]):
        return plain(covered, required)
    quadratics = _Quadratics(sums[2], sums[3], paired(risks, who, supplied, correlation), (1 - kappa) ** 2)
    owing = bool(np.any(required > 0))
    roots = _Roots(covered[ROOTS], required[ROOTS])
    spread, factor = np.zeros_like(covered), np.full_like(covered, np.inf if owing else LARGEST_RATIO)
    for case in np.unique(cases, axis=0):
        c, d, x = quadratics.of(case)
        np.maximum(spread, c - 2.0 * x + d, out=spread)
        if owing:
            np.minimum(factor[ROOTS], roots.of(c[ROOTS], d[ROOTS], x[ROOTS]), out=factor[ROOTS])
    return np.stack([factor, covered - required - np.sqrt(spread)])


def plain(covered: Floats, required: Floats) -> Floats:
    """Return ratio and difference where nothing diversifies: (2, seen, account)."""
    found = np.empty((2, *covered.shape))
    found[0] = LARGEST_RATIO
    np.divide(np.maximum(covered, 0.0), required, out=found[0], where=required > 0)
    np.subtract(covered, required, out=found[1])
    return found


def paired(risks: Floats, who: Indexes, supplied: int, correlation: Floats) -> Floats:
    """Return the sums of R·R, of c·R·R' and of c³·R·R' over pairs, (8, seen, account).

    Among supplies they are 0, 2 and 5, among debts 1, 3 and 6, across 4 and 7. `correlation`: c and c³ of one identity after the other.
    """
    size, identities = risks.shape[1], math.isqrt(len(correlation))
    forms = np.zeros((8, SEEN, risks.shape[2]))
    first, third = np.ascontiguousarray(correlation.T)
    product, part = np.empty(risks[:, 0].shape), np.empty(risks[:, 0].shape)
    for leg in range(size):
        own = 0 if leg < supplied else 1
        forms[own] += np.multiply(risks[:, leg], risks[:, leg], out=product)
        for other in range(leg):
            among = 4 if other < supplied <= leg else 2 + own
            entries = who[leg] * identities + who[other]
            np.multiply(risks[:, leg], risks[:, other], out=product)
            forms[among] += np.multiply(first[entries], product, out=part)
            forms[among + 3] += np.multiply(third[entries], product, out=part)
    return forms


class _Quadratics:
    """What the quadratics of all cases are made of: squares of sums, and sums over pairs of c and of c³."""

    def __init__(self, falls: Floats, rises: Floats, forms: Floats, part: float) -> None:
        own, owed = forms[0], forms[1]
        self._made = (
            (falls, falls, own + 2.0 * forms[2], own + 2.0 * forms[5]),
            (rises, rises, owed + 2.0 * forms[3], owed + 2.0 * forms[6]),
            (falls, rises, forms[4], forms[7]),
        )
        self._part = part

    def of(self, case: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the quadratic of one case: of collateral, of debt, and what of either is believed to offset the other."""
        ones, first, third, offset = case.tolist()
        c, d, x = (self._sum(ones, first, third, *made) for made in self._made)
        c *= self._part
        d *= self._part
        x *= self._part * offset
        return c, d, x

    def _sum(
        self, ones: float, first: float, third: float, one: Floats, two: Floats, by: Floats, cubed: Floats
    ) -> Floats:
        total = by if first == 1.0 else first * by
        total = total + third * cubed if third else total.copy()
        if ones:
            square = ones * one
            square *= two
            total += square
        return total


class _Roots:
    """Solves P − s·Q = √(c − 2·s·x + s²·d) for the largest s.

    Where nothing is at risk it is the ratio, as for accounts of which none has anything at risk: who stands beside whom changes no bit.
    The root is written with the discriminant multiplied out, as (P² − c) / (P·Q − x + √…): nothing is lost where both roots lie close
    together, as they do where little is at risk.
    """

    def __init__(self, p: Floats, q: Floats) -> None:
        self._p, self._q = p, q
        self._pp, self._pq, self._qq, self._twice = p * p, p * q, q * q, 2.0 * p * q

    def of(self, c: Floats, d: Floats, x: Floats) -> Floats:
        inside = self._qq * c
        inside -= self._twice * x
        inside += self._pp * d
        inside += x * x
        inside -= c * d
        np.sqrt(np.maximum(inside, 0.0, out=inside), out=inside)
        below = self._pq - x
        below += inside
        above = np.maximum(self._pp - c, 0.0)
        straight = c + d == 0.0
        if np.any(straight):
            above, below = np.where(straight, np.maximum(self._p, 0.0), above), np.where(straight, self._q, below)
        with np.errstate(divide="ignore", invalid="ignore"):
            multiple = above / below
        multiple[~(straight | ((below > 0.0) & (self._p > 0.0)))] = 0.0
        multiple[~(self._q > 0.0)] = LARGEST_RATIO
        return multiple


def write(lanes: Indexes, sums: Floats, found: Floats, worth: Floats, results: Floats) -> None:
    """Let factor and excess agree about who is sound, and the mid lie between low and high, whatever rounding did."""
    factor, excess = np.minimum(found[0, ROOTS], LARGEST_RATIO), found[1]
    agreed = np.where(excess[ROOTS] < 0, np.minimum(factor, JUST_BELOW_ONE), factor)
    mid_excess = np.where((excess[0] >= 0) & (factor[0] < 1), LEAST_LOSS, excess[0])
    piece = _piece(lanes, 1)
    rows = np.empty((len(lanes), results.shape[1])) if piece is None else results[piece]
    rows[:, HEALTH] = agreed[0]
    np.minimum(agreed[0], agreed[1], out=rows[:, HEALTH_LOW])
    np.maximum(agreed[0], agreed[2], out=rows[:, HEALTH_HIGH])
    rows[:, EXCESS], rows[:, HEADROOM] = mid_excess, excess[3]
    rows[:, VALUE], rows[:, OWED], rows[:, REQUIRED] = worth[0], worth[1], sums[1, 0]
    if piece is None:
        results[lanes] = rows
