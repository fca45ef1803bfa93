"""The same kernel with numpy, for where nothing compiles: accounts of one shape are stacked, some thousands at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

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
    WIDTH,
    Bits,
    Floats,
    Indexes,
    Places,
)
from aggregator.arrays.estimates import TOGETHER
from aggregator.margin.equity import LARGEST_RATIO
from aggregator.margin.house import JUST_BELOW_ONE, LEAST_LOSS

STACK = 8192
"""So many accounts that their numbers stay near the core. One thread takes them: several would wait for the interpreter between steps
as long as these take."""

UNPRICED, SIZED, AT_RISK = np.uint8(3), np.uint8(4), np.uint8(8)
ROOTS = slice(0, SEEN - 1)
"""Margins that have a health factor: all but the initial one."""

Sides = tuple[list[int], list[int]]
Lanes = Indexes | slice
"""Accounts of one shape: where they follow one another, nothing of theirs is looked up."""

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
    flat, unpriced = correlation.reshape(-1), bool(np.any(marked & UNPRICED))

    def one(lanes: Lanes) -> None:
        supplied, owed = (int(counts[lanes][0]) for counts in (supplies, debts))
        kinds, held = _of(starts[lanes], supplied + owed, legs, amounts)
        flags[lanes] = said[lanes]
        if unpriced:
            flags[lanes] |= np.bitwise_or.reduce(marked[kinds] & UNPRICED, axis=0, initial=0)
        besides = _besides(fixed, fixed_at[lanes])
        if not moves:
            sums, worth = plainly_counted(columns, kinds, held, supplied, besides)
            write(lanes, sums, plain(sums[0], sums[1]), worth, results)
            return
        marks = marked[kinds]
        fetched = np.take(columns, kinds, axis=1)
        fetched *= held
        who = identities[kinds].astype(np.int64)
        if sized and np.any(marks[:supplied] & SIZED):
            weigh(fetched, parts[kinds[:supplied]], held, who[:supplied])
        sums, worth = counted(fetched, supplied, besides)
        risky = np.flatnonzero(np.any(marks & AT_RISK, axis=1)).tolist()
        sides = [leg for leg in risky if leg < supplied], [leg for leg in risky if leg >= supplied]
        found = solved(sums, fetched[RISK], who, sides, flat, cases, kappa)
        write(lanes, sums, found, worth, results)

    for lanes in _stacks(accounts, supplies, debts):
        one(lanes)


def _stacks(accounts: Indexes, supplies: Places, debts: Places) -> Iterator[Lanes]:
    """Divide accounts into runs of one shape; those that follow one another are a slice."""
    every = _piece(accounts, 1) if len(accounts) else slice(0)
    lanes = accounts if every is None else every
    shapes = supplies[lanes].astype(np.uint16) * np.uint16(256)
    shapes += debts[lanes].astype(np.uint16)
    if np.any(shapes[1:] < shapes[:-1]):
        order = np.argsort(shapes, kind="stable")
        accounts, shapes, every = accounts[order], shapes[order], None
    ends = [*(np.flatnonzero(shapes[1:] != shapes[:-1]) + 1).tolist(), len(shapes)]
    for begin, end in pairwise([0, *ends]):
        for first in range(begin, end, STACK):
            last = min(first + STACK, end)
            if every is not None:
                yield slice(every.start + first, every.start + last)
            else:
                stack = accounts[first:last]
                piece = _piece(stack, 1)
                yield stack if piece is None else piece


def _piece(places: Indexes, apart: int) -> slice | None:
    """Return the places as a slice if they follow one another, `apart` from each to the next."""
    count = len(places)
    if places[-1] - places[0] != (count - 1) * apart or not np.all(places[1:] - places[:-1] == apart):
        return None
    return slice(int(places[0]), int(places[0]) + count * apart)


def _of(begins: Indexes, size: int, legs: Places, amounts: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return legs and amounts of accounts of one size, (position, account); what lies in one piece is not looked up."""
    piece, count = _piece(begins, size) if size else None, len(begins)
    if piece is not None:
        by_position = legs[piece].reshape(count, size).T.astype(np.intp, order="C")
        return by_position, np.ascontiguousarray(amounts[piece].reshape(count, size).T)
    at = begins + np.arange(size)[:, None]
    return legs[at].astype(np.intp), amounts[at]


def _besides(fixed: Floats, at: Places) -> Floats:
    """Return what accounts have besides positions, (column, account); one column, where all have the same."""
    if np.all(at == at[0]):
        same: Floats = fixed[at[0]][:, None]
        return same
    return np.take(np.ascontiguousarray(fixed.T), at, axis=1)


def plainly_counted(
    columns: Floats, kinds: NDArray[np.intp], held: Floats, supplied: int, besides: Floats
) -> tuple[Floats, Floats]:
    """Add up both sides where nothing has a market layer: what `counted` returns, with one position after the other in what is near."""
    size, count = kinds.shape
    totals, part = np.empty((2, RISK.start, count)), np.empty((RISK.start, count))
    for side, (begin, end) in enumerate(((0, supplied), (supplied, size))):
        total, first = totals[side], (COLLATERAL, DEBT)[side]
        own = np.concatenate([besides[first : first + 1], besides[list(FIXED[side])]])
        if begin == end:
            total[:] = own
        for leg in range(begin, end):
            into = total if leg == begin else part
            columns.take(kinds[leg], axis=1, out=into, mode="clip")
            into *= held[leg]
            if leg > begin:
                total += part
            elif np.any(own):
                total += own
    return totals[:, COUNTS], totals[:, MID]


def weigh(fetched: Floats, parts: Floats, held: Floats, who: Indexes) -> None:
    """Write what counts of supplies where a sale costs more the more is sold; what is held of an identity is sold together."""
    supplied = len(who)
    value = fetched[MID, :supplied]
    together = np.stack([np.where(who == own, value, 0.0).sum(axis=0) for own in who])
    left = parts[:, :, OTHERS] * _sold(np.sqrt(together), parts[:, :, SALE_KEPT], parts[:, :, SALE_SLOPE])
    for purpose in sorted(set(PURPOSE_OF)):
        first = PURPOSE_OF.index(purpose)
        alone = parts[:, :, MARKET_ALONE.start + first]
        remaining = np.minimum(parts[:, :, LEFT.start + first], np.maximum(left * (1 - alone), parts[:, :, CAP_LEFT]))
        part = np.minimum(alone, 1 - remaining)
        with np.errstate(invalid="ignore"):
            kept = np.minimum(remaining / (1 - part), 1.0)
        kept[~(remaining > 0)] = 0.0
        taken = kept * part
        for seen, purpose_of in enumerate(PURPOSE_OF):
            if purpose_of == purpose:
                price = parts[:, :, PRICES.start + seen]
                np.multiply(held[:supplied], price * kept, out=fetched[COUNTS][seen, :supplied])
                np.multiply(held[:supplied], price * taken, out=fetched[RISK][seen, :supplied])


def _sold(root: Floats, whole: Floats, slope: Floats) -> Floats:
    """Return what is left by selling what `root` is the root of; where more is sold than brings most, it brings no more."""
    lost = slope * root
    left: Floats = whole - lost
    beyond = 1.5 * lost > whole
    if np.any(beyond):
        fewer = whole[beyond] / (1.5 * slope[beyond]) / root[beyond]
        left[beyond] = fewer * fewer * whole[beyond] / 3.0
    return left


def counted(fetched: Floats, supplied: int, besides: Floats) -> tuple[Floats, Floats]:
    """Add up both sides; `besides`: what accounts have besides positions, (column, account).

    Return what counts, and what of it the market may take or add, (4, seen, account), zeros where nothing has a market layer; and what
    both sides are worth at the mid (2, account).
    """
    size, count = fetched.shape[1:]
    sums = np.zeros((4, SEEN, count))
    worth = np.empty((2, count))
    worth[:] = besides[[COLLATERAL, DEBT]]
    for side, (first, end) in enumerate(((0, supplied), (supplied, size))):
        sums[side] = besides[list(FIXED[side])]
        for leg in range(first, end):
            worth[side] += fetched[MID, leg]
            sums[side] += fetched[COUNTS][:, leg]
            if len(fetched) > RISK.start:
                sums[2 + side] += fetched[RISK][:, leg]
    return sums, worth


def solved(
    sums: Floats, risks: Floats, who: Indexes, sides: Sides, correlation: Floats, cases: Floats, kappa: float
) -> Floats:
    """Return, in the worst case of each, the health factor and E(1): (2, seen, account)."""
    covered, required = sums[0] - kappa * sums[2], sums[1] + kappa * sums[3]
    if not len(risks) or not len(cases) or not any(sides):
        return plain(covered, required)
    squares = np.stack([sums[2] * sums[2], sums[3] * sums[3], sums[2] * sums[3]])
    quadratics = _Quadratics(squares, paired(risks, who, sides, correlation), (1 - kappa) ** 2)
    owing = bool(np.any(required > 0))
    roots = _Roots(covered[ROOTS], required[ROOTS])
    spread, factor = np.zeros_like(covered), np.full_like(covered, np.inf if owing else LARGEST_RATIO)
    for first in range(0, len(cases), TOGETHER):
        for case in dict.fromkeys(map(tuple, cases[first : first + TOGETHER].tolist())):
            c, d, x = quadratics.of(case)
            np.maximum(spread, c - 2.0 * x + d, out=spread)
            if owing:
                roots.add(c[ROOTS], d[ROOTS], x[ROOTS])
        if owing:
            np.minimum(factor[ROOTS], roots.least(), out=factor[ROOTS])
    return np.stack([factor, covered - required - np.sqrt(spread)])


def plain(covered: Floats, required: Floats) -> Floats:
    """Return ratio and difference where nothing diversifies: (2, seen, account)."""
    found, owing = np.empty((2, *covered.shape)), required[ROOTS] > 0
    if np.all(owing):
        np.divide(np.maximum(covered[ROOTS], 0.0), required[ROOTS], out=found[0, ROOTS])
    else:
        found[0] = LARGEST_RATIO
        if np.any(owing):
            np.divide(np.maximum(covered[ROOTS], 0.0), required[ROOTS], out=found[0, ROOTS], where=owing)
    np.subtract(covered, required, out=found[1])
    return found


def paired(risks: Floats, who: Indexes, sides: Sides, correlation: Floats) -> Floats:
    """Return RᵀCR of supplies, of debts and across, then the same of c³ instead of c: (6, seen, account).

    `sides`: the supplies and the debts that have a market layer; `correlation`: one identity after the other.
    """
    identities = math.isqrt(len(correlation))
    forms, leans, part = (
        np.zeros((6, *risks[:, 0].shape)),
        np.empty((2, *risks[:, 0].shape)),
        np.empty(risks[:, 0].shape),
    )

    def lean(leg: int, others: Sequence[int]) -> None:
        leans[:] = 0.0
        for other in others:
            near = correlation[who[leg] * identities + who[other]]
            leans[0] += np.multiply(near, risks[:, other], out=part)
            leans[1] += np.multiply(near * near * near, risks[:, other], out=part)

    for own, side in enumerate(sides):
        for number, leg in enumerate(side):
            risk = risks[:, leg]
            lean(leg, side[:number])
            leans *= 2.0
            leans += risk
            leans *= risk
            forms[own::3] += leans
            if own:
                lean(leg, sides[0])
                leans *= risk
                forms[2::3] += leans
    return forms


class _Quadratics:
    """What the quadratics of all cases are made of: squares of sums, and sums over pairs of c and of c³."""

    def __init__(self, squares: Floats, forms: Floats, part: float) -> None:
        self._squares, self._first, self._third, self._part = squares, forms[:3], forms[3:], part

    def of(self, case: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
        """Return the quadratic of one case: of collateral, of debt, and what of either is believed to offset the other."""
        offset = self._part * case[3]
        c, d = (self._sum(side, [self._part * share for share in case[:3]]) for side in (0, 1))
        return c, d, self._sum(2, [offset * share for share in case[:3]])

    def _sum(self, side: int, shares: Sequence[float]) -> Floats:
        ones, first, third = shares
        total: Floats = first * self._first[side]
        if third:
            total += third * self._third[side]
        if ones:
            total += ones * self._squares[side]
        return total


class _Roots:
    """Solves P − s·Q = √(c − 2·s·x + s²·d) for the largest s, and keeps the least that were found as fractions.

    Where nothing is at risk it is the ratio, as for accounts of which none has anything at risk: who stands beside whom changes no bit.
    The root is written with the discriminant multiplied out, as (P² − c) / (P·Q − x + √…): nothing is lost where both roots lie close
    together, as they do where little is at risk.
    """

    def __init__(self, p: Floats, q: Floats) -> None:
        self._p, self._q = p, q
        self._pp, self._pq, self._qq, self._twice = p * p, p * q, q * q, 2.0 * p * q
        self._found: list[tuple[Floats, Floats]] = []

    def add(self, c: Floats, d: Floats, x: Floats) -> None:
        """Find the root of one case."""
        above, below = self._of(c, d, x)
        if not self._found:
            self._found = [(above, below)]
            return
        [(other, under)] = self._found
        lower = above * under < other * below
        np.copyto(other, above, where=lower)
        np.copyto(under, below, where=lower)

    def least(self) -> Floats:
        """Return the least of the roots that were added, and forget them."""
        above, below = self._found.pop()
        found = np.full_like(above, LARGEST_RATIO)
        np.divide(above, below, out=found, where=self._q > 0.0)
        return found

    def _of(self, c: Floats, d: Floats, x: Floats) -> tuple[Floats, Floats]:
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
        none = ~(straight | ((below > 0.0) & (self._p > 0.0)))
        above[none], below[none] = 0.0, 1.0
        return above, below


def write(lanes: Lanes, sums: Floats, found: Floats, worth: Floats, results: Floats) -> None:
    """Let factor and excess agree about who is sound, and the mid lie between low and high, whatever rounding did."""
    factor, excess = np.minimum(found[0, ROOTS], LARGEST_RATIO), found[1]
    lacking = excess[ROOTS] < 0
    wrong = lacking & (factor >= 1)
    if np.any(wrong):
        factor[wrong] = JUST_BELOW_ONE
    rows = np.empty((WIDTH, factor.shape[1]))
    rows[HEALTH], rows[EXCESS], rows[HEADROOM] = factor[0], excess[0], excess[3]
    np.minimum(factor[0], factor[1], out=rows[HEALTH_LOW])
    np.maximum(factor[0], factor[2], out=rows[HEALTH_HIGH])
    short = (factor[0] < 1) & ~lacking[0]
    if np.any(short):
        rows[EXCESS, short] = LEAST_LOSS
    rows[VALUE], rows[OWED], rows[REQUIRED] = worth[0], worth[1], sums[1, 0]
    results[lanes] = rows.T
