"""Eigenvalues come out for every symmetric matrix, also where a library's iteration may give up."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.risk.correlation import correlations, one_factor, repaired
from aggregator.risk.spectrum import spectrum


def matrices() -> list[np.ndarray]:
    chance = np.random.default_rng(7)
    found = [np.empty((0, 0)), np.eye(5), np.ones((1, 1))]
    for size in (2, 3, 9, 40):
        noise = chance.uniform(-1, 1, (size, size))
        factors = chance.normal(size=(size, 2))
        common = factors @ factors.T
        scale = np.sqrt(np.diag(common))
        found += [np.ones((size, size)), -np.ones((size, size)), (noise + noise.T) / 2, common / np.outer(scale, scale)]
    return found


@pytest.mark.parametrize("matrix", matrices(), ids=range(19))
def test_a_matrix_is_put_together_again_from_its_spectrum(matrix: np.ndarray) -> None:
    values, vectors = spectrum(matrix)

    assert list(values) == sorted(values)
    assert np.allclose((vectors * values) @ vectors.T, matrix, atol=1e-12)
    assert np.allclose(vectors.T @ vectors, np.eye(len(matrix)), atol=1e-12)


def test_what_a_matrix_was_given_as_is_left_alone() -> None:
    given = np.array([[1.0, 0.5], [0.5, 1.0]])

    values, _ = spectrum(given)

    assert given.tolist() == [[1.0, 0.5], [0.5, 1.0]]
    assert values.tolist() == pytest.approx([0.5, 1.5])  # 1 ∓ 0.5


@pytest.mark.parametrize("size", [2, 12, 60])
def test_a_library_whose_iteration_does_not_end_stops_no_estimate(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*_: object) -> None:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    for name in ("eigh", "eigvalsh", "eig", "svd"):
        monkeypatch.setattr(np.linalg, name, gives_up)

    assert np.allclose(one_factor(np.ones((size, size))), 1.0)
    found = repaired(np.ones((size, size)))
    assert np.allclose(np.diag(found), 1.0)
    np.linalg.cholesky(found)
    assert correlations([], 0, []).shape == (0, 0)
