"""The kernel of `exposures` that numba compiles, once for each number of positions. Importing it raises `ImportError` without numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange
from numba.np.unsafe.ndarray import to_fixed_tuple

from aggregator.jitted import on_all_cores
from aggregator.risk.exposures import CHUNK, LARGEST_SPECIALISED, Floats, Indexes, Places

fixed: Any = to_fixed_tuple

ORDER_OF_ZEROS = {"nnan", "nsz"}
"""There is no NaN, and no matter which zero is the lower: with that a minimum is taken of many at once. Sums stay in their order."""


def revalue(
    rows: Indexes,
    size: int,
    starts: Indexes,
    assets: Places,
    amounts: Floats,
    bases: Floats,
    groups: Places,
    moves: Floats,
    worst: Floats,
    breaches: Indexes,
    shortfalls: Floats,
    broken: Indexes,
) -> None:
    """See `exposures.Kernel`."""
    kernel = over(_specialised(size) if 0 < size <= LARGEST_SPECIALISED else any_size)
    on_all_cores(kernel, rows, size, starts, assets, amounts, bases, groups, moves, worst, breaches, shortfalls, broken)


@njit(error_model="numpy", fastmath=ORDER_OF_ZEROS)
def any_size(
    first: int, size: int, assets: Places, amounts: Floats, base: float, moves: Floats, equity: Floats
) -> tuple[float, int]:
    """Write the equity of one row in every scenario; return the lowest, and how many are below zero."""
    equity[:] = base
    for place in range(first, first + size):
        amount, move = amounts[place], moves[assets[place]]
        for scenario in range(len(equity)):
            equity[scenario] += amount * move[scenario]
    lowest, below = np.inf, 0
    for scenario in range(len(equity)):
        lowest = min(lowest, equity[scenario])
        below += equity[scenario] < 0
    return lowest, below


@cache
def _specialised(number: int) -> Callable[..., Any]:
    """Make `any_size` for a number of positions, which the compiler writes out one behind the other."""

    @njit(error_model="numpy", fastmath=ORDER_OF_ZEROS)
    def exactly(
        first: int, _size: int, assets: Places, amounts: Floats, base: float, moves: Floats, equity: Floats
    ) -> tuple[float, int]:
        held = fixed(amounts[first : first + number], number)
        which = fixed(assets[first : first + number], number)
        lowest, below = np.inf, 0
        for scenario in range(moves.shape[1]):
            total = base
            for place in range(number):
                total += held[place] * moves[which[place], scenario]
            equity[scenario] = total
            lowest = min(lowest, total)
            below += total < 0
        return lowest, below

    return exactly


@cache
def over(one: Callable[..., Any]) -> Callable[..., None]:
    """Make the kernel that goes over all rows; sums are of chunks, in their order, so that no number of threads changes them."""

    @njit(error_model="numpy", parallel=True, nogil=True)
    def kernel(
        rows: Indexes,
        size: int,
        starts: Indexes,
        assets: Places,
        amounts: Floats,
        bases: Floats,
        groups: Places,
        moves: Floats,
        worst: Floats,
        breaches: Indexes,
        shortfalls: Floats,
        broken: Indexes,
    ) -> None:
        chunks = (len(rows) + CHUNK - 1) // CHUNK
        lacking = np.zeros((chunks, shortfalls.shape[0], shortfalls.shape[1]))
        counts = np.zeros((chunks, shortfalls.shape[0], shortfalls.shape[1]), np.int32)
        for chunk in prange(chunks):
            equity = np.empty(moves.shape[1])
            for each in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(rows))):
                row = rows[each]
                lowest, below = one(starts[row], size, assets, amounts, bases[row], moves, equity)
                worst[row], breaches[row] = lowest, below
                if below > 0:
                    mine, many = lacking[chunk, groups[row]], counts[chunk, groups[row]]
                    for scenario in range(len(equity)):
                        mine[scenario] += max(-equity[scenario], 0.0)
                        many[scenario] += equity[scenario] < 0
        for chunk in range(chunks):
            shortfalls += lacking[chunk]
            broken += counts[chunk]

    return kernel
