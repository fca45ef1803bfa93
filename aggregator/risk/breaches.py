"""How many paths take an account below nothing, by when: any of its equities, at any look at prices."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aggregator.preferring import preferred
from aggregator.risk.exposures import WORTH_COMPILING, Exposures, Floats, Indexes
from aggregator.risk.paths import POINTS, STEPS, Paths

ENDS = (1, 2, STEPS)
"""Steps by which each horizon ends: an hour, a day, all days."""

BLOCK = 2**21
"""Equities that are looked at together."""

Kernel = Callable[[Indexes, Exposures, Floats, int, NDArray[np.int64]], None]
"""Takes where accounts begin, rows, moves (assets, paths · looks) and the number of paths; writes counts (accounts, horizons)."""


def breaches(accounts: Indexes, rows: Exposures, paths: Paths, kernel: Kernel | None = None) -> NDArray[np.int64]:
    """Return in how many paths each account breaches within an hour, a day and all days (accounts, 3).

    `accounts` (accounts + 1): where an account's rows begin; the rows' assets are places of `paths.identities`. A row is gone at an equity
    of 0 or less. Raises `ValueError` for an asset without paths, and for a move that is no number: nobody is safe by it.
    """
    if len(rows.assets) and rows.assets.max() >= len(paths.identities):
        raise ValueError(f"asset {rows.assets.max()} has no paths; there are {len(paths.identities)} identities")
    if accounts[0] != 0 or accounts[-1] != len(rows.bases) or np.any(np.diff(accounts) < 1):
        raise ValueError(
            f"accounts must rise from 0 to {len(rows.bases)}, the number of rows, each with a row at least"
        )
    if not np.isfinite(paths.moves).all():
        raise ValueError("a move of a price is no finite number")
    counts = np.zeros((len(accounts) - 1, len(ENDS)), np.int64)
    worth = len(rows.assets) * paths.moves.shape[1] >= WORTH_COMPILING
    run = kernel or (fastest() if worth else in_numpy)
    run(accounts, rows, np.ascontiguousarray(paths.moves), paths.count, counts)
    return counts


@cache
def fastest() -> Kernel:
    """Return the compiled kernel, or numpy's without numba and where nothing can be compiled."""
    return preferred("chances of breaches", _compiled, in_numpy)


def _compiled() -> Kernel:
    from aggregator.risk.compiled_breaches import compiled  # noqa: PLC0415 - numba takes half a second to import

    return compiled


def in_numpy(accounts: Indexes, rows: Exposures, moves: Floats, paths: int, counts: NDArray[np.int64]) -> None:
    """See `Kernel`: some accounts at a time, those left out whom no look at prices can take so far."""
    least, most = moves.min(axis=1, initial=0.0), moves.max(axis=1, initial=0.0)
    suspects = np.flatnonzero(np.minimum.reduceat(_lowest(rows, least, most), accounts[:-1]) <= 0)
    for some in _blocks(accounts, suspects, moves.shape[1]):
        sizes = np.diff(accounts)[some]
        own = np.concatenate([np.arange(accounts[each], accounts[each + 1]) for each in some])
        equity = np.repeat(rows.bases[own, None], moves.shape[1], axis=1)
        for place in range(int(np.diff(rows.starts)[own].max(initial=0))):
            there = np.flatnonzero(rows.starts[own] + place < rows.starts[own + 1])
            at = rows.starts[own[there]] + place
            equity[there] += rows.amounts[at, None] * moves[rows.assets[at]]
        begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        lowest = np.asarray(np.minimum.reduceat(equity, begins, axis=0), np.float64)
        gone = lowest.reshape(len(some), paths, STEPS, POINTS).min(axis=3) <= 0
        for horizon, end in enumerate(ENDS):
            counts[some, horizon] = gone[:, :, :end].any(axis=2).sum(axis=1)


def _lowest(rows: Exposures, least: Floats, most: Floats) -> Floats:
    """Return what no equity can be below, whatever moves together."""
    worst = np.where(rows.amounts > 0, rows.amounts * least[rows.assets], rows.amounts * most[rows.assets])
    owners = np.repeat(np.arange(len(rows.bases)), np.diff(rows.starts))
    summed = np.bincount(owners, worst, len(rows.bases))
    slack = 1e-12 * np.bincount(owners, np.abs(worst), len(rows.bases))
    return np.asarray(rows.bases + summed - slack, np.float64)


def _blocks(accounts: Indexes, suspects: Indexes, looks: int) -> list[Indexes]:
    """Part accounts so that the equities of each part are some `BLOCK`."""
    parts = np.cumsum(np.diff(accounts)[suspects]) * looks // BLOCK
    return [part for part in np.split(suspects, np.flatnonzero(np.diff(parts)) + 1) if len(part)]
