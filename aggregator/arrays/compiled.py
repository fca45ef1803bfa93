"""The kernel that numba compiles: all arithmetic is of vectors.

What it computes is what `stacked` computes with numpy, in the same order. Importing it raises `ImportError` without numba.

What an account has is added up for its four margins at once (`quads`); then some accounts are solved side by side, in rows of four
numbers for each of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from aggregator.arrays import quads
from aggregator.arrays.columns import SEEN, Bits, Floats, Indexes, Places
from aggregator.arrays.compiled_sales import sold
from aggregator.arrays.estimates import TOGETHER
from aggregator.arrays.turns import taken
from aggregator.jitted import in_turns, jitted
from aggregator.margin.equity import LARGEST_RATIO
from aggregator.margin.house import JUST_BELOW_ONE, LEAST_LOSS

LANES = 64
CHUNK = 2048
"""Accounts that stand side by side at most, and that a thread takes at a time: the last first, since large accounts stand at the end."""

UNPRICED, SIZED, AT_RISK = np.uint8(3), np.uint8(4), np.uint8(8)
place = np.uint64
"""An index that is known not to be negative, so that no code asks whether to count from the end."""

Quad = tuple[float, float, float, float]
Rates = tuple[float, float, float, float, float, float]
"""Of one case what squares of sums, sums over pairs of c and of c³ count, within a side and across."""

compiled, inlined = jitted(), jitted(inlined=True)


def revalue(*given: Any) -> None:  # noqa: ANN401 - what `kernels.Revalue` takes
    """Write results and flags of accounts, on all cores; see `over_all`."""
    in_turns(over_all, math.ceil(len(given[0]) / CHUNK), *given)


@compiled
def over_all(
    turn: Indexes,
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
    """Write results and flags of `accounts`, as far as turns are left; shapes and units are those of `layout` and `columns`."""
    sized = np.any(marked & SIZED)
    chunks = (len(accounts) + CHUNK - 1) // CHUNK
    chunk = chunks - 1 - taken(turn)
    while chunk >= 0:
        over_chunk(
            accounts[chunk * CHUNK : min((chunk + 1) * CHUNK, len(accounts))], sized,
            starts, supplies, debts, legs, amounts, table, parts, identities, marked, fixed_at, fixed, correlation, cases, kappa, said,
            results, flags,
        )  # fmt: skip
        chunk = chunks - 1 - taken(turn)


@compiled
def over_chunk(
    accounts: Indexes,
    sized: np.bool_,
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
    """Write results and flags of `accounts`; `sized`: whether anything costs more the more of it is sold."""
    most = 0
    for account in accounts:
        most = max(most, supplies[account] + debts[account])
    who, risks, together = np.empty(most, dtype=np.int32), np.empty((most, SEEN)), np.empty(most)
    sums, forms, found = np.empty((4, SEEN * LANES)), np.empty((6, SEEN * LANES)), np.empty((2, SEEN * LANES))
    for at in range(0, len(accounts), LANES):
        lanes = accounts[at : min(at + LANES, len(accounts))]
        risky = False
        for lane in range(len(lanes)):
            account = place(lanes[lane])
            start, supplied, owed = starts[account], supplies[account], debts[account]
            more = fixed[fixed_at[account]]
            if sized:
                falling, seen, worth = sold(lane, start, supplied, legs, amounts, parts, identities, marked, more, who, together, risks, sums)  # fmt: skip  # noqa: E501 - a call, and no list of what it takes
            else:
                falling, seen, worth = gathered(0, lane, start, 0, supplied, legs, amounts, table, identities, marked, more, who, risks, sums)  # fmt: skip  # noqa: E501 - a call, and no list of what it takes
            rising, also, owing = gathered(1, lane, start, supplied, supplied + owed, legs, amounts, table, identities, marked, more, who, risks, sums)  # fmt: skip  # noqa: E501 - a call, and no list of what it takes
            results[account, 5], results[account, 6] = worth, owing
            flags[account] = said[account] | seen | also
            if len(cases) > 0:
                paired(lane, supplied, falling, rising, who, risks, correlation, forms)
            risky |= falling + rising > 0
        if risky and len(cases) > 0:
            solved(sums, forms, cases, kappa, found, len(lanes))
        else:
            plain(sums, kappa, found, len(lanes))
        written(lanes, sums, found, results)


@inlined
def gathered(
    side: int,
    lane: int,
    start: int,
    first: int,
    end: int,
    legs: Places,
    amounts: Floats,
    table: Floats,
    identities: Places,
    marked: Bits,
    more: Floats,
    who: Places,
    risks: Floats,
    sums: Floats,
) -> tuple[int, np.uint8, float]:
    """Add up one side of an account, beginning with what it has besides; keep each leg's risk.

    Return how many legs reach to the last that has a market layer, flags, and what the side is worth at the mid.
    """
    reach, seen, worth = 0, np.uint8(0), more[3 * side]
    kept = quads.quad(more[3 * side + 2], more[3 * side + 2], more[3 * side + 2], more[3 * side + 1])
    risk = quads.quad(0.0, 0.0, 0.0, 0.0)
    for held in range(first, end):
        leg = place(held)
        kind, amount = place(legs[place(start) + leg]), amounts[place(start) + leg]
        of_each = quads.quad(amount, amount, amount, amount)
        worth += amount * table[kind, place(0)]
        kept = quads.added(kept, quads.times(of_each, quads.read(table, kind, place(1))))
        taken = quads.times(of_each, quads.read(table, kind, place(5)))
        risk = quads.added(risk, taken)
        quads.write(risks, leg, place(0), taken)
        who[leg] = identities[kind]
        seen |= marked[kind] & UNPRICED
        reach = held + 1 - first if marked[kind] & AT_RISK else reach
    quads.write(sums, place(side), place(SEEN * lane), kept)
    quads.write(sums, place(2 + side), place(SEEN * lane), risk)
    return reach, seen, worth


@inlined
def paired(
    lane: int, supplied: int, falling: int, rising: int, who: Places, risks: Floats, correlation: Floats, forms: Floats
) -> None:
    """Write RᵀCR of supplies, of debts and across, and the same of c³ instead of c."""
    nothing = quads.quad(0.0, 0.0, 0.0, 0.0)
    first, third = nothing, nothing
    for number in range(falling):
        risk = quads.read(risks, place(number), place(0))
        near, cubed = leaned(number, 0, number, who, risks, correlation)
        first = quads.added(first, quads.times(risk, quads.added(risk, quads.added(near, near))))
        third = quads.added(third, quads.times(risk, quads.added(risk, quads.added(cubed, cubed))))
    quads.write(forms, place(0), place(SEEN * lane), first)
    quads.write(forms, place(3), place(SEEN * lane), third)
    first, third, across, across3 = nothing, nothing, nothing, nothing
    for number in range(supplied, supplied + rising):
        risk = quads.read(risks, place(number), place(0))
        near, cubed = leaned(number, supplied, number, who, risks, correlation)
        first = quads.added(first, quads.times(risk, quads.added(risk, quads.added(near, near))))
        third = quads.added(third, quads.times(risk, quads.added(risk, quads.added(cubed, cubed))))
        near, cubed = leaned(number, 0, falling, who, risks, correlation)
        across, across3 = quads.added(across, quads.times(risk, near)), quads.added(across3, quads.times(risk, cubed))
    quads.write(forms, place(1), place(SEEN * lane), first)
    quads.write(forms, place(4), place(SEEN * lane), third)
    quads.write(forms, place(2), place(SEEN * lane), across)
    quads.write(forms, place(5), place(SEEN * lane), across3)


@inlined
def leaned(leg: int, first: int, end: int, who: Places, risks: Floats, correlation: Floats) -> tuple[Quad, Quad]:
    """Return the sums of c·R and of c³·R over some legs, by their correlation with one."""
    near, cubed = quads.quad(0.0, 0.0, 0.0, 0.0), quads.quad(0.0, 0.0, 0.0, 0.0)
    row = place(who[place(leg)])
    for number in range(first, end):
        other = place(number)
        c = correlation[row, place(who[other])]
        c3 = c * c * c
        risk = quads.read(risks, other, place(0))
        near = quads.added(near, quads.times(quads.quad(c, c, c, c), risk))
        cubed = quads.added(cubed, quads.times(quads.quad(c3, c3, c3, c3), risk))
    return near, cubed


@compiled
def plain(sums: Floats, kappa: float, found: Floats, count: int) -> None:
    """Write ratio and difference where nothing diversifies."""
    for each in range(SEEN * count):
        covered = sums[0, each] - kappa * sums[2, each]
        required = sums[1, each] + kappa * sums[3, each]
        found[0, each] = max(covered, 0.0) / required if required > 0.0 else LARGEST_RATIO
        found[1, each] = covered - required


@compiled
def solved(sums: Floats, forms: Floats, cases: Floats, kappa: float, found: Floats, count: int) -> None:
    """Write the least root of E(s), and the least E(1), of all cases; `stacked` says why they are written so."""
    part, owing = (1.0 - kappa) * (1.0 - kappa), False
    for each in range(SEEN * count):
        owing |= sums[1, each] + sums[3, each] > 0.0
    roots = SEEN * count if owing else 0
    found[0, : SEEN * count] = math.inf if owing else LARGEST_RATIO
    found[1, : SEEN * count] = 0.0
    for case in range(0, len(cases), TOGETHER):
        one, two, three = rates(cases[case], part), rates(cases[case + 1], part), rates(cases[case + 2], part)
        rooted(roots, sums, forms, one, two, three, kappa, found)
        spread(roots, SEEN * count, sums, forms, one, two, three, found)
    for each in range(SEEN * count):
        p, q = sums[0, each] - kappa * sums[2, each], sums[1, each] + kappa * sums[3, each]
        found[1, each] = p - q - math.sqrt(found[1, each])


@compiled
def rates(case: Floats, part: float) -> Rates:
    """Return what the case makes of squares of sums and of sums over pairs."""
    across = part * case[3]
    return part * case[0], part * case[1], part * case[2], across * case[0], across * case[1], across * case[2]


@compiled
def rooted(
    end: int, sums: Floats, forms: Floats, one: Rates, two: Rates, three: Rates, kappa: float, found: Floats
) -> None:
    """Let three cases lower the root and widen the spread."""
    for each in range(end):
        falls, rises = sums[2, each], sums[3, each]
        p, q = sums[0, each] - kappa * falls, sums[1, each] + kappa * rises
        squares = falls * falls, rises * rises, falls * rises
        first = forms[0, each], forms[1, each], forms[2, each]
        third = forms[3, each], forms[4, each], forms[5, each]
        c, d, x = quadratic(one, squares, first, third)
        e, f, y = quadratic(two, squares, first, third)
        g, h, z = quadratic(three, squares, first, third)
        widest = max(c - 2.0 * x + d, e - 2.0 * y + f, g - 2.0 * z + h)
        found[1, each] = max(found[1, each], widest)
        above, below = multiple(p, q, c, d, x)
        other, under = multiple(p, q, e, f, y)
        lower = other * below < above * under
        above, below = other if lower else above, under if lower else below
        other, under = multiple(p, q, g, h, z)
        lower = other * below < above * under
        above, below = other if lower else above, under if lower else below
        found[0, each] = min(found[0, each], above / below if q > 0.0 else LARGEST_RATIO)


@compiled
def spread(
    first: int, end: int, sums: Floats, forms: Floats, one: Rates, two: Rates, three: Rates, found: Floats
) -> None:
    """Let three cases widen the spread."""
    for each in range(first, end):
        falls, rises = sums[2, each], sums[3, each]
        squares = falls * falls, rises * rises, falls * rises
        by = forms[0, each], forms[1, each], forms[2, each]
        cubed = forms[3, each], forms[4, each], forms[5, each]
        c, d, x = quadratic(one, squares, by, cubed)
        e, f, y = quadratic(two, squares, by, cubed)
        g, h, z = quadratic(three, squares, by, cubed)
        widest = max(c - 2.0 * x + d, e - 2.0 * y + f, g - 2.0 * z + h)
        found[1, each] = max(found[1, each], widest)


@compiled
def quadratic(
    case: Rates, squares: tuple[float, float, float], by: tuple[float, float, float], cubed: tuple[float, float, float]
) -> tuple[float, float, float]:
    c = case[0] * squares[0] + (case[1] * by[0] + case[2] * cubed[0])
    d = case[0] * squares[1] + (case[1] * by[1] + case[2] * cubed[1])
    x = case[3] * squares[2] + (case[4] * by[2] + case[5] * cubed[2])
    return c, d, x


@compiled
def multiple(p: float, q: float, c: float, d: float, x: float) -> tuple[float, float]:
    """Return the root as a fraction, so that of several the least is found before anything is divided."""
    inside = q * q * c - 2.0 * p * q * x + p * p * d + x * x - c * d
    below = p * q - x + math.sqrt(max(inside, 0.0))
    straight = c + d == 0.0
    rooted = below > 0.0 and p > 0.0
    above = max(p, 0.0) if straight else max(p * p - c, 0.0)
    below = q if straight else below
    return above if straight or rooted else 0.0, below if straight or rooted else 1.0


@compiled
def written(lanes: Indexes, sums: Floats, found: Floats, results: Floats) -> None:
    """Let factor and excess agree about who is sound, and the mid lie between low and high, whatever rounding did."""
    for each in range(SEEN * len(lanes)):
        factor, excess = min(found[0, each], LARGEST_RATIO), found[1, each]
        found[0, each] = min(factor, JUST_BELOW_ONE) if excess < 0.0 else factor
    for lane in range(len(lanes)):
        account, first = place(lanes[lane]), place(SEEN * lane)
        mid, low, high, excess = (
            found[0, first],
            found[0, first + place(1)],
            found[0, first + place(2)],
            found[1, first],
        )
        results[account, 0], results[account, 1], results[account, 2] = mid, min(mid, low), max(mid, high)
        results[account, 3] = LEAST_LOSS if excess >= 0.0 and mid < 1.0 else excess
        results[account, 4], results[account, 7] = found[1, first + place(3)], sums[1, first]
