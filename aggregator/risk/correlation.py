"""How daily log returns of several assets go together: weighted, shrunk, and such that no portfolio has a negative variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aggregator.risk.history import Floats
from aggregator.risk.models import SLOW
from aggregator.risk.series import Series
from aggregator.risk.spectrum import spectrum

LOOKED_BACK = 500
"""Days; older ones weigh less than a millionth of today's."""

FEWEST_COMMON = 60
"""Days on which both moved; of fewer nothing is concluded."""

SHRINKAGE = 0.2
"""How much of the one-factor form is mixed in."""

SMALLEST_EIGENVALUE = 1e-4


def correlations(series: Sequence[Series], last: int, defaults: Sequence[float]) -> Floats:
    """Return the correlations (n, n) of log returns up to day number `last`: positive definite, 1 on the diagonal.

    Of a pair with too few common days it is the larger of its `defaults`.
    """
    if not series:
        return np.empty((0, 0))
    measured = weighted(series, last)
    unknown = np.isnan(measured)
    high = np.maximum.outer(np.asarray(defaults, np.float64), np.asarray(defaults, np.float64))
    whole = np.where(unknown, high, measured)
    np.fill_diagonal(whole, 1.0)
    return repaired((1 - SHRINKAGE) * whole + SHRINKAGE * one_factor(whole))


def weighted(series: Sequence[Series], last: int) -> Floats:
    """Return Σ w·x·y / √(Σ w·x² · Σ w·y²) of each pair over the days on which both moved, w = 0.97^age; NaN with too few such days."""
    moves = _aligned(series, last)
    there = ~np.isnan(moves)
    moves = np.where(there, moves, 0.0)
    weights = (SLOW ** np.arange(len(moves) - 1, -1, -1))[:, None]
    products = moves.T @ (weights * moves)
    squares = (weights * moves * moves).T @ there.astype(np.float64)
    common = there.T.astype(np.int64) @ there.astype(np.int64)
    scale = np.sqrt(squares * squares.T)
    known = (common >= FEWEST_COMMON) & (scale > 0)
    return np.clip(np.divide(products, scale, out=np.full_like(scale, np.nan), where=known), -1.0, 1.0)


def average(correlation: Floats) -> float | None:
    """Return the mean over all pairs that are known, `None` where there is none."""
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    pairs = pairs[~np.isnan(pairs)]
    return float(pairs.mean()) if len(pairs) else None


def one_factor(correlation: Floats) -> Floats:
    """Return what is left where all that assets have in common is one factor, the first principal component."""
    values, vectors = spectrum(correlation)
    loadings = np.clip(np.sqrt(max(values[-1], 0.0)) * vectors[:, -1], -1.0, 1.0)
    found = np.outer(loadings, loadings)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found, np.float64)


def repaired(correlation: Floats) -> Floats:
    """Raise eigenvalues that are too small, and bring the diagonal back to 1 (the spectral method of Rebonato and Jäckel, 1999)."""
    symmetric = (correlation + correlation.T) / 2
    values, vectors = spectrum(symmetric)
    if values[0] >= SMALLEST_EIGENVALUE:
        return np.asarray(symmetric, np.float64)
    raised = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    found = raised / np.outer(scale, scale)
    np.fill_diagonal(found, 1.0)
    return np.asarray((found + found.T) / 2, np.float64)


def _aligned(series: Sequence[Series], last: int) -> Floats:
    """Return the returns of single days (days, series), NaN where there is none."""
    moves = np.full((LOOKED_BACK, len(series)), np.nan)
    for column, one in enumerate(series):
        rows = one.return_days - (last - LOOKED_BACK + 1)
        inside = (rows >= 0) & (rows < LOOKED_BACK) & one.consecutive
        moves[rows[inside], column] = one.returns[inside]
    return moves
