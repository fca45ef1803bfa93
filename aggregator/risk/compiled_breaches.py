"""The kernel of `breaches` that numba compiles; importing it raises `ImportError` without numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from aggregator.jitted import on_all_cores
from aggregator.risk.breaches import ENDS
from aggregator.risk.exposures import Exposures, Floats, Indexes, Places
from aggregator.risk.paths import POINTS, STEPS

LOOKS = STEPS * POINTS
LAST_LOOKS = np.array(ENDS, np.int64) * POINTS
LANES = 250
"""Paths side by side."""


def compiled(accounts: Indexes, rows: Exposures, moves: Floats, paths: int, counts: NDArray[np.int64]) -> None:
    """See `aggregator.risk.breaches.Kernel`."""
    by_look = np.ascontiguousarray(moves.reshape(len(moves), paths, LOOKS).transpose(0, 2, 1))
    bounds = np.stack([moves.min(axis=1, initial=0.0), moves.max(axis=1, initial=0.0)])
    given = (accounts, rows.starts, rows.assets, rows.amounts, rows.bases, by_look, bounds, LAST_LOOKS, counts)
    on_all_cores(_count, *given)


@njit(error_model="numpy", parallel=True, nogil=True)
def _count(
    accounts: Indexes,
    starts: Indexes,
    assets: Places,
    amounts: Floats,
    bases: Floats,
    by_look: Floats,
    bounds: Floats,
    last_looks: Indexes,
    counts: NDArray[np.int64],
) -> None:
    """Take some paths of an account through all looks; `by_look`: moves (assets, looks, paths)."""
    paths = by_look.shape[2]
    for account in prange(len(accounts) - 1):
        first, last = accounts[account], accounts[account + 1]
        if not _may_go(first, last, starts, assets, amounts, bases, bounds):
            continue
        lowest, equity = np.empty(LANES), np.empty(LANES)
        for begin in range(0, paths, LANES):
            size, horizon = min(LANES, paths - begin), 0
            lowest[:] = np.inf
            for look in range(by_look.shape[1]):
                for row in range(first, last):
                    equity[:size] = bases[row]
                    for place in range(starts[row], starts[row + 1]):
                        amount, moves = amounts[place], by_look[assets[place], look]
                        for path in range(size):
                            equity[path] += amount * moves[begin + path]
                    for path in range(size):
                        lowest[path] = min(lowest[path], equity[path])
                if look + 1 == last_looks[horizon]:
                    gone = 0
                    for path in range(size):
                        gone += lowest[path] <= 0
                    counts[account, horizon] += gone
                    horizon += 1


@njit(error_model="numpy")
def _may_go(
    first: int, last: int, starts: Indexes, assets: Places, amounts: Floats, bases: Floats, bounds: Floats
) -> bool:
    """Whether any move of prices within their bounds takes one of some rows so far."""
    for row in range(first, last):
        lowest, size = bases[row], 0.0
        for place in range(starts[row], starts[row + 1]):
            worst = amounts[place] * bounds[0 if amounts[place] > 0 else 1, assets[place]]
            lowest += worst
            size += abs(worst)
        if lowest - 1e-12 * size <= 0:
            return True
    return False
