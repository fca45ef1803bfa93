"""The kernel that numba compiles: accounts of one shape side by side in lanes, so that arithmetic is of vectors.

What it computes is what `stacked` computes with numpy, in the same order. Importing it raises `ImportError` without numba.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from aggregator.arrays.columns import PART_WIDTH, SEEN, Bits, Floats, Indexes, Places
from aggregator.arrays.compiled_sales import weighed
from aggregator.arrays.estimates import TOGETHER
from aggregator.jitted import jitted, on_all_cores
from aggregator.margin.equity import LARGEST_RATIO
from aggregator.margin.house import JUST_BELOW_ONE, LEAST_LOSS

LANES = 64
CHUNK = 2048
"""Accounts that stand side by side at most, and that a thread takes at a time."""

UNPRICED, SIZED = np.uint8(3), np.uint8(4)
ROOTS = SEEN - 1
"""Margins that have a health factor: all but the initial one."""

place = np.uint64
"""An index that is known not to be negative, so that no code asks whether to count from the end."""

compiled = jitted()


def revalue(*given: Any) -> None:  # noqa: ANN401 - what `kernels.Revalue` takes
    """Write results and flags of accounts, on all cores; see `over_all`."""
    on_all_cores(over_all, *given)


@jitted(parallel=True)
def over_all(
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
    for chunk in prange((len(accounts) + CHUNK - 1) // CHUNK):
        at, last = chunk * CHUNK, min((chunk + 1) * CHUNK, len(accounts))
        most = 0
        for each in range(at, last):
            most = max(most, supplies[accounts[each]] + debts[accounts[each]])
        who = np.empty((most, LANES), dtype=np.int32)
        counts, risks = np.empty((most, SEEN, LANES)), np.empty((most, SEEN, LANES))
        sums, forms, found = np.empty((4, SEEN, LANES)), np.empty((8, SEEN, LANES)), np.empty((2, SEEN, LANES))
        near, held, terms = np.empty((2, LANES)), np.empty((2, most, LANES)), np.empty((PART_WIDTH + 3, LANES))
        while at < last:
            supplied = supplies[accounts[at]]
            size = supplied + debts[accounts[at]]
            lanes = accounts[at : alike(accounts, supplies, debts, at, last)]
            count = len(lanes)
            sized, risky = gathered(lanes, starts, supplied, size, legs, amounts, table, identities, marked, said, fixed_at, fixed, who, risks, sums, results, flags)  # fmt: skip  # noqa: E501
            if sized:
                weighed(lanes, starts, supplied, legs, amounts, who, table, parts, marked, held, terms, counts, risks)  # fmt: skip
                again(lanes, supplied, fixed_at, fixed, counts, risks, sums)
            if risky and len(cases) > 0:
                paired(risks, who, supplied, size, correlation, near, forms, count)
                solved(sums, forms, cases, kappa, found, count)
            else:
                plain(sums, kappa, found, count)
            written(lanes, sums, found, results)
            at += count


@compiled
def alike(accounts: Indexes, supplies: Places, debts: Places, at: int, last: int) -> int:
    """Return where the run of accounts of one shape ends that begins at `at`."""
    supplied, owed = supplies[accounts[at]], debts[accounts[at]]
    end, most = at + 1, min(last, at + LANES)
    while end < most and supplies[accounts[end]] == supplied and debts[accounts[end]] == owed:
        end += 1
    return end


@compiled
def gathered(
    lanes: Indexes,
    starts: Indexes,
    supplied: int,
    size: int,
    legs: Places,
    amounts: Floats,
    table: Floats,
    identities: Places,
    marked: Bits,
    said: Bits,
    fixed_at: Places,
    fixed: Floats,
    who: Places,
    risks: Floats,
    sums: Floats,
    results: Floats,
    flags: Bits,
) -> tuple[bool, bool]:
    """Add up what accounts hold and owe, beginning with what they have besides; each leg's risk is kept.

    Return whether the weight of anything depends on its size, and whether anything has a market layer.
    """
    sized, at_risk = np.uint8(0), 0.0
    for number in range(len(lanes)):
        lane, account = place(number), place(lanes[number])
        start, seen, more = place(starts[account]), said[account], fixed[place(fixed_at[account])]
        for side in range(2):
            first, end = (0, supplied) if side == 0 else (supplied, size)
            worth, kept0, kept3 = more[3 * side], more[3 * side + 2], more[3 * side + 1]
            kept1, kept2 = kept0, kept0
            risk0, risk1, risk2, risk3 = 0.0, 0.0, 0.0, 0.0
            for held in range(first, end):
                leg = place(held)
                kind, amount = place(legs[start + leg]), amounts[start + leg]
                mark = marked[kind]
                worth += amount * table[kind, 0]
                kept0 += amount * table[kind, 1]
                kept1 += amount * table[kind, 2]
                kept2 += amount * table[kind, 3]
                kept3 += amount * table[kind, 4]
                one, two, three, four = amount * table[kind, 5], amount * table[kind, 6], amount * table[kind, 7], amount * table[kind, 8]  # fmt: skip  # noqa: E501
                risk0 += one
                risk1 += two
                risk2 += three
                risk3 += four
                risks[leg, 0, lane], risks[leg, 1, lane], risks[leg, 2, lane], risks[leg, 3, lane] = one, two, three, four  # fmt: skip
                who[leg, lane] = identities[kind]
                seen |= mark & UNPRICED
                sized |= mark & SIZED
            results[account, 5 + side] = worth
            sums[side, 0, lane], sums[side, 1, lane], sums[side, 2, lane], sums[side, 3, lane] = kept0, kept1, kept2, kept3  # fmt: skip
            sums[2 + side, 0, lane], sums[2 + side, 1, lane] = risk0, risk1
            sums[2 + side, 2, lane], sums[2 + side, 3, lane] = risk2, risk3
            at_risk += risk0 + risk2 + risk3
        flags[account] = seen
    return sized != 0, sized != 0 or at_risk != 0.0


@compiled
def again(
    lanes: Indexes, supplied: int, fixed_at: Places, fixed: Floats, counts: Floats, risks: Floats, sums: Floats
) -> None:
    """Add up collateral once more, after weights that depend on size."""
    sums[2] = 0.0
    for lane in range(len(lanes)):
        more = fixed[fixed_at[lanes[lane]]]
        sums[0, 0, lane], sums[0, 1, lane], sums[0, 2, lane], sums[0, 3, lane] = more[2], more[2], more[2], more[1]
    for leg in range(supplied):
        for seen in range(SEEN):
            for lane in range(len(lanes)):
                sums[0, seen, lane] += counts[leg, seen, lane]
                sums[2, seen, lane] += risks[leg, seen, lane]


@compiled
def paired(
    risks: Floats, who: Places, supplied: int, size: int, correlation: Floats, near: Floats, forms: Floats, count: int
) -> None:
    """Write the sums of R·R, of c·R·R' and of c³·R·R' over pairs: among supplies (0, 2, 5), among debts (1, 3, 6), across (4, 7)."""
    forms[:, :, :count] = 0.0
    for leg in range(size):
        own = 0 if leg < supplied else 1
        for seen in range(SEEN):
            for lane in range(count):
                forms[own, seen, lane] += risks[leg, seen, lane] * risks[leg, seen, lane]
        for other in range(leg):
            among = 4 if other < supplied and leg >= supplied else 2 + own
            for lane in range(count):
                one, two = place(who[leg, lane]), place(who[other, lane])
                near[0, lane], near[1, lane] = correlation[one, two, 0], correlation[one, two, 1]
            for seen in range(SEEN):
                for lane in range(count):
                    product = risks[leg, seen, lane] * risks[other, seen, lane]
                    forms[among, seen, lane] += near[0, lane] * product
                    forms[among + 3, seen, lane] += near[1, lane] * product


@compiled
def plain(sums: Floats, kappa: float, found: Floats, count: int) -> None:
    """Write ratio and difference where nothing diversifies."""
    for seen in range(SEEN):
        for lane in range(count):
            covered = sums[0, seen, lane] - kappa * sums[2, seen, lane]
            required = sums[1, seen, lane] + kappa * sums[3, seen, lane]
            found[0, seen, lane] = max(covered, 0.0) / required if required > 0.0 else LARGEST_RATIO
            found[1, seen, lane] = covered - required


@compiled
def solved(sums: Floats, forms: Floats, cases: Floats, kappa: float, found: Floats, count: int) -> None:
    """Write the least root of E(s), and the least E(1), of all cases; `stacked` says why they are written so."""
    part, owing = (1.0 - kappa) * (1.0 - kappa), False
    for seen in range(SEEN):
        for lane in range(count):
            owing |= sums[1, seen, lane] + sums[3, seen, lane] > 0.0
    for seen in range(SEEN):
        found[0, seen, :count] = math.inf if owing else LARGEST_RATIO
        found[1, seen, :count] = 0.0
        for case in range(0, len(cases), TOGETHER):
            one, two, three = cases[case], cases[case + 1], cases[case + 2]
            if owing and seen < ROOTS:
                rooted(seen, sums, forms, one, two, three, part, kappa, found, count)
            else:
                spread(seen, sums, forms, one, two, three, part, found, count)
        for lane in range(count):
            p, q = sums[0, seen, lane] - kappa * sums[2, seen, lane], sums[1, seen, lane] + kappa * sums[3, seen, lane]
            found[1, seen, lane] = p - q - math.sqrt(found[1, seen, lane])


@compiled
def rooted(
    seen: int,
    sums: Floats,
    forms: Floats,
    one: Floats,
    two: Floats,
    three: Floats,
    part: float,
    kappa: float,
    found: Floats,
    count: int,
) -> None:
    """Let three cases lower the root and widen the spread."""
    for lane in range(count):
        falls, rises = sums[2, seen, lane], sums[3, seen, lane]
        p, q = sums[0, seen, lane] - kappa * falls, sums[1, seen, lane] + kappa * rises
        forms1 = (
            forms[0, seen, lane] + 2.0 * forms[2, seen, lane],
            forms[1, seen, lane] + 2.0 * forms[3, seen, lane],
            forms[4, seen, lane],
        )
        forms3 = (
            forms[0, seen, lane] + 2.0 * forms[5, seen, lane],
            forms[1, seen, lane] + 2.0 * forms[6, seen, lane],
            forms[7, seen, lane],
        )
        c, d, x = quadratic(one, part, falls, rises, forms1, forms3)
        e, f, y = quadratic(two, part, falls, rises, forms1, forms3)
        g, h, z = quadratic(three, part, falls, rises, forms1, forms3)
        widest = max(c - 2.0 * x + d, e - 2.0 * y + f, g - 2.0 * z + h)
        found[1, seen, lane] = max(found[1, seen, lane], widest)
        least = min(multiple(p, q, c, d, x), multiple(p, q, e, f, y), multiple(p, q, g, h, z))
        found[0, seen, lane] = min(found[0, seen, lane], least)


@compiled
def spread(
    seen: int,
    sums: Floats,
    forms: Floats,
    one: Floats,
    two: Floats,
    three: Floats,
    part: float,
    found: Floats,
    count: int,
) -> None:
    """Let three cases widen the spread."""
    for lane in range(count):
        falls, rises = sums[2, seen, lane], sums[3, seen, lane]
        forms1 = (
            forms[0, seen, lane] + 2.0 * forms[2, seen, lane],
            forms[1, seen, lane] + 2.0 * forms[3, seen, lane],
            forms[4, seen, lane],
        )
        forms3 = (
            forms[0, seen, lane] + 2.0 * forms[5, seen, lane],
            forms[1, seen, lane] + 2.0 * forms[6, seen, lane],
            forms[7, seen, lane],
        )
        c, d, x = quadratic(one, part, falls, rises, forms1, forms3)
        e, f, y = quadratic(two, part, falls, rises, forms1, forms3)
        g, h, z = quadratic(three, part, falls, rises, forms1, forms3)
        widest = max(c - 2.0 * x + d, e - 2.0 * y + f, g - 2.0 * z + h)
        found[1, seen, lane] = max(found[1, seen, lane], widest)


@compiled
def quadratic(
    case: Floats,
    part: float,
    falls: float,
    rises: float,
    forms1: tuple[float, float, float],
    forms3: tuple[float, float, float],
) -> tuple[float, float, float]:
    ones, first, third = case[0], case[1], case[2]
    c = part * (ones * falls * falls + (first * forms1[0] + third * forms3[0]))
    d = part * (ones * rises * rises + (first * forms1[1] + third * forms3[1]))
    x = part * case[3] * (ones * falls * rises + (first * forms1[2] + third * forms3[2]))
    return c, d, x


@compiled
def multiple(p: float, q: float, c: float, d: float, x: float) -> float:
    inside = q * q * c - 2.0 * p * q * x + p * p * d + x * x - c * d
    below = p * q - x + math.sqrt(max(inside, 0.0))
    straight = c + d == 0.0
    above = max(p, 0.0) if straight else max(p * p - c, 0.0)
    root = above / (q if straight else below)
    root = root if straight or (below > 0.0 and p > 0.0) else 0.0
    return root if q > 0.0 else LARGEST_RATIO


@compiled
def written(lanes: Indexes, sums: Floats, found: Floats, results: Floats) -> None:
    """Let factor and excess agree about who is sound, and the mid lie between low and high, whatever rounding did."""
    for seen in range(ROOTS):
        for lane in range(len(lanes)):
            factor, excess = min(found[0, seen, lane], LARGEST_RATIO), found[1, seen, lane]
            found[0, seen, lane] = min(factor, JUST_BELOW_ONE) if excess < 0.0 else factor
            found[1, seen, lane] = LEAST_LOSS if excess >= 0.0 and factor < 1.0 else excess
    for lane in range(len(lanes)):
        account = lanes[lane]
        mid = found[0, 0, lane]
        results[account, 0] = mid
        results[account, 1], results[account, 2] = min(mid, found[0, 1, lane]), max(mid, found[0, 2, lane])
        results[account, 3], results[account, 4], results[account, 7] = found[1, 0, lane], found[1, 3, lane], sums[1, 0, lane]  # fmt: skip
