"""Eigenvalues of small symmetric matrices by Jacobi's rotations, which end for every matrix and are the same on every machine."""

from __future__ import annotations

import numpy as np

from aggregator.risk.history import Floats

MOST_SWEEPS = 60
"""Convergence is quadratic; matrices of a hundred rows take about ten."""


def spectrum(symmetric: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues (n,), ascending, and the eigenvectors (n, n) as columns of a finite symmetric matrix.

    Each round turns all pairs of a round-robin at once; pairs are disjoint, so that only sums and products of single entries are
    taken, in an order that no library chooses (Golub and Van Loan, Matrix Computations, 8.5).
    """
    turned, vectors = np.array(symmetric, np.float64), np.eye(len(symmetric))
    rounds = _round_robin(len(symmetric))
    enough = np.finfo(np.float64).eps * np.abs(turned).max(initial=0.0)
    for _ in range(MOST_SWEEPS):
        if np.abs(turned - np.diag(np.diag(turned))).max(initial=0.0) <= enough:
            break
        for first, second in rounds:
            _rotate(turned, vectors, first, second)
    values = np.diag(turned)
    order = np.argsort(values, kind="stable")
    return values[order], vectors[:, order]


def _rotate(turned: Floats, vectors: Floats, first: np.ndarray, second: np.ndarray) -> None:
    """Turn disjoint pairs of rows and columns by the smaller of the angles that leave nothing between them."""
    between = turned[first, second]
    apart = turned[second, second] - turned[first, first]
    below = np.abs(apart) + np.sqrt(apart * apart + 4 * between * between)
    tangent = np.where(apart < 0, -2.0, 2.0) * np.divide(between, below, out=np.zeros_like(between), where=below > 0)
    cosine = 1 / np.sqrt(1 + tangent * tangent)
    sine = tangent * cosine
    for matrix in (turned, turned.T, vectors):
        left, right = matrix[:, first].copy(), matrix[:, second].copy()
        matrix[:, first] = left * cosine - right * sine
        matrix[:, second] = left * sine + right * cosine
    turned[first, second] = turned[second, first] = 0.0


def _round_robin(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rounds of disjoint pairs in which every two places meet once (the circle method)."""
    places = list(range(size + size % 2))
    found = []
    for _ in range(len(places) - 1):
        half = len(places) // 2
        pairs = [(min(pair), max(pair)) for pair in zip(places[:half], places[: half - 1 : -1], strict=True)]
        pairs = [pair for pair in pairs if pair[1] < size]
        if pairs:
            found.append((np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])))
        places = [places[0], places[-1], *places[1:-1]]
    return found
