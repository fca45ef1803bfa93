"""What each of many has at stake in each asset, against many scenarios at once; no table of both is ever made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aggregator.preferring import preferred

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]
Places = NDArray[np.int32]

LARGEST_SPECIALISED = 8
"""Positions of a row up to which a kernel is made for just that many."""

CHUNK = 8192
"""Rows whose shortfalls are added up before they are added to the others', whoever adds them."""


WORTH_COMPILING = 10**8
"""Revaluations of positions from which on numba's kernel is done sooner, its compilation included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """Rows (accounts, or units of venues) with what each gains, in USD, when an asset gains all of its price.

    `starts` (rows + 1): where a row's positions begin; `assets`, `amounts` by position: which asset, and how much of it counts, of a debt
    negative; `bases` (rows): equity as it is now; `groups` (rows): whose shortfall it would be.
    """

    starts: Indexes
    assets: Places
    amounts: Floats
    bases: Floats
    groups: Places

    def __post_init__(self) -> None:
        rows, positions = len(self.bases), len(self.assets)
        if len(self.starts) != rows + 1 or len(self.groups) != rows or len(self.amounts) != positions:
            raise ValueError(
                f"{rows} rows need {rows + 1} starts and {rows} groups, and every position an asset and an amount; "
                f"there are {len(self.starts)}, {len(self.groups)}, {positions} and {len(self.amounts)}"
            )
        if self.starts[0] != 0 or self.starts[-1] != positions or np.any(np.diff(self.starts) < 0):
            raise ValueError(f"starts must rise from 0 to {positions}, the number of positions")
        if positions and self.assets.min() < 0:
            raise ValueError("an asset's place must not be negative")
        if rows and self.groups.min() < 0:
            raise ValueError("a group's place must not be negative")
        if not (np.isfinite(self.amounts).all() and np.isfinite(self.bases).all()):
            raise ValueError("an amount or an equity is not a finite number; leave out who is not known, and say so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`worst` (rows): the lowest equity in any scenario, USD; `breaches` (rows): in how many it is below zero.

    By group and scenario: `shortfalls`: how much is lacking, USD; `broken`: of how many rows.
    """

    worst: Floats
    breaches: Indexes
    shortfalls: Floats
    broken: Indexes


Kernel = Callable[
    [Indexes, int, Indexes, Places, Floats, Floats, Places, Floats, Floats, Indexes, Floats, Indexes], None
]
"""Takes rows that have equally many positions, that number, the arrays of `Exposures` and moves; writes into those of `Outcome`."""


def stressed(exposures: Exposures, moves: Floats, kernel: Kernel | None = None) -> Outcome:
    """Return what becomes of every row in every scenario; `moves` (assets, scenarios) are relative, −0.25 is a quarter less.

    Equity in a scenario is `base + Σ amount·move`, added from left to right: every kernel gives the same bits of `worst`, and sums that
    differ by rounding. Raises `ValueError` for a move that is no number or below −1, and for an asset without moves.
    """
    _check(exposures, moves)
    rows, groups = len(exposures.bases), int(exposures.groups.max(initial=-1)) + 1
    outcome = Outcome(
        worst=np.full(rows, np.inf),
        breaches=np.zeros(rows, np.int64),
        shortfalls=np.zeros((groups, moves.shape[1])),
        broken=np.zeros((groups, moves.shape[1]), np.int64),
    )
    run = kernel or (fastest() if len(exposures.assets) * moves.shape[1] >= WORTH_COMPILING else in_numpy)
    moves = np.ascontiguousarray(moves, np.float64)
    for alike, size in _alike(exposures):
        run(
            alike,
            size,
            exposures.starts,
            exposures.assets,
            exposures.amounts,
            exposures.bases,
            exposures.groups,
            moves,
            outcome.worst,
            outcome.breaches,
            outcome.shortfalls,
            outcome.broken,
        )
    return outcome


def _check(exposures: Exposures, moves: Floats) -> None:
    known, scenarios = moves.shape
    if scenarios == 0:
        raise ValueError("there is no scenario: give at least one column of moves")
    if not np.isfinite(moves).all() or moves.min(initial=0) < -1:
        raise ValueError("a move must be a finite number from -1 (nothing is left) up")
    if len(exposures.assets) and exposures.assets.max() >= known:
        raise ValueError(f"asset {exposures.assets.max()} is held and has no moves; there are moves of {known} assets")


def _alike(exposures: Exposures) -> Iterator[tuple[Indexes, int]]:
    """Yield rows by how many positions they have."""
    counts = np.diff(exposures.starts)
    for size in np.unique(counts):
        yield np.flatnonzero(counts == size), int(size)


@cache
def fastest() -> Kernel:
    """Return the compiled kernel, or numpy's without numba (`pip install crossmargin[fast]`) and where nothing can be compiled."""
    return preferred("scenarios over many accounts", _compiled, in_numpy)


def _compiled() -> Kernel:
    from aggregator.risk.compiled import revalue  # noqa: PLC0415 - numba takes half a second to import

    return revalue


def in_numpy(
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
    """See `Kernel`: some hundred rows at a time, so that what is in between stays in the processor's cache."""
    block = max(1, 2**18 // moves.shape[1])
    for first in range(0, len(rows), block):
        some = rows[first : first + block]
        equity = np.repeat(bases[some, None], moves.shape[1], axis=1)
        for place in range(size):
            own = starts[some] + place
            equity += amounts[own, None] * moves[assets[own]]
        worst[some], lacking = equity.min(axis=1), equity < 0
        breaches[some] = lacking.sum(axis=1)
        below = np.flatnonzero(worst[some] < 0)
        for group in np.unique(groups[some[below]]):
            mine = below[groups[some[below]] == group]
            shortfalls[group] += np.maximum(-equity[mine], 0.0).sum(axis=0)
            broken[group] += lacking[mine].sum(axis=0)
