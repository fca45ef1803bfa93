"""Many rows against many scenarios: what kernels give is what a plain loop gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aggregator.preferring import compiling
from aggregator.risk import compiled
from aggregator.risk.exposures import Exposures, Kernel, Outcome, fastest, in_numpy, stressed

KERNELS = pytest.mark.parametrize("kernel", [compiled.revalue, in_numpy], ids=["compiled", "numpy"])
Row = tuple[float, int, list[tuple[int, float]]]
"""Its equity, its group, and its positions: asset and amount."""


def exposures(rows: Sequence[Row]) -> Exposures:
    counts = [len(held) for _, _, held in rows]
    return Exposures(
        starts=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
        assets=np.array([asset for _, _, held in rows for asset, _ in held], np.int32),
        amounts=np.array([amount for _, _, held in rows for _, amount in held], np.float64),
        bases=np.array([base for base, _, _ in rows], np.float64),
        groups=np.array([group for _, group, _ in rows], np.int32),
    )


def by_loop(rows: Sequence[Row], moves: Sequence[Sequence[float]]) -> Outcome:
    scenarios, groups = len(moves[0]), 1 + max(group for _, group, _ in rows)
    worst, breaches = [], []
    shortfalls, broken = np.zeros((groups, scenarios)), np.zeros((groups, scenarios), np.int64)
    for base, group, held in rows:
        found = []
        for scenario in range(scenarios):
            equity = base
            for asset, amount in held:
                equity += amount * moves[asset][scenario]
            found.append(equity)
            if equity < 0:
                shortfalls[group, scenario] -= equity
                broken[group, scenario] += 1
        worst.append(min(found))
        breaches.append(sum(equity < 0 for equity in found))
    return Outcome(worst=np.array(worst), breaches=np.array(breaches), shortfalls=shortfalls, broken=broken)


@KERNELS
def test_equity_in_a_scenario_is_what_it_is_now_and_what_each_position_gains(kernel: Kernel) -> None:
    # 10 ETH at 2,000 of which 80 % count, against 12,000 owed: equity 4,000. Down 25 %: 16,000 · 0.75 − 12,000 = 0, which is no breach;
    # down 50 %: −4,000. The other owes 1 ETH against 3,000 of a stable coin: 3,000 · 0.9 − 2,000 = 700; when ETH doubles −1,300.
    rows: list[Row] = [(4_000.0, 0, [(0, 16_000.0), (1, -12_000.0)]), (700.0, 1, [(1, 2_700.0), (0, -2_000.0)])]

    found = stressed(exposures(rows), np.array([[-0.25, -0.5, 1.0], [0.0, 0.0, 0.0]]), kernel)

    assert found.worst.tolist() == [-4_000.0, -1_300.0]
    assert found.breaches.tolist() == [1, 1]
    assert found.shortfalls.tolist() == [[0.0, 4_000.0, 0.0], [0.0, 0.0, 1_300.0]]
    assert found.broken.tolist() == [[0, 1, 0], [0, 0, 1]]


@KERNELS
def test_kernels_give_the_bits_of_a_plain_loop_whatever_the_number_of_positions(kernel: Kernel) -> None:
    chance = np.random.default_rng(7)
    moves = np.clip(chance.normal(-0.1, 0.4, (9, 37)), -1, None)
    rows: list[Row] = []
    for size in [0, 1, 5, 12] * 60:
        held = [(int(chance.integers(9)), float(chance.normal(200, 900))) for _ in range(size)]
        rows.append((float(chance.normal(300, 500)), int(chance.integers(4)), held))

    found, expected = stressed(exposures(rows), moves, kernel), by_loop(rows, moves.tolist())

    assert 0 < np.count_nonzero(expected.breaches) < len(rows)
    assert np.array_equal(found.worst, expected.worst)
    assert np.array_equal(found.breaches, expected.breaches)
    assert np.array_equal(found.broken, expected.broken)
    assert np.allclose(found.shortfalls, expected.shortfalls, rtol=1e-12, atol=0)


def test_sums_do_not_depend_on_how_many_rows_are_taken_together() -> None:
    rows: list[Row] = [(-0.1, 0, [(0, float(place % 7))]) for place in range(20_000)]
    moves = np.array([[-1.0, 0.5, 0.0]])

    found, other = (stressed(exposures(rows), moves, kernel) for kernel in (compiled.revalue, in_numpy))

    assert np.array_equal(found.broken, other.broken)
    assert np.allclose(found.shortfalls, other.shortfalls, rtol=1e-12, atol=0)
    assert np.array_equal(found.shortfalls, stressed(exposures(rows), moves, compiled.revalue).shortfalls)


@pytest.mark.parametrize(
    "moves, said",
    [
        (np.array([[-1.1]]), "from -1"),
        (np.array([[np.nan]]), "from -1"),
        (np.zeros((1, 0)), "no scenario"),
        (np.zeros((0, 1)), "has no moves"),
    ],
)
def test_what_cannot_be_meant_is_refused(moves: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stressed(exposures([(1.0, 0, [(0, 1.0)])]), moves, in_numpy)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_known_is_not_stressed(bad: float) -> None:
    with pytest.raises(ValueError, match="leave out who is not known"):
        exposures([(bad, 0, [])])
    with pytest.raises(ValueError, match="leave out who is not known"):
        exposures([(1.0, 0, [(0, bad)])])


def test_nobody_is_not_stressed_to_anything() -> None:
    found = stressed(exposures([]), np.zeros((0, 2)))

    assert found.worst.shape == (0,)
    assert found.shortfalls.shape == (0, 2)


def test_a_compiler_that_fails_leaves_numpy(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Of rows of three lengths, the first that is compiled fails, and all are what numpy makes of them."""
    rows: list[Row] = [(-0.1, 0, [(0, float(place))] * (1 + place % 3)) for place in range(9)]
    moves, calls = np.array([[-1.0, 0.5, 0.0]]), []

    def full(function: object, *_: object) -> None:
        calls.append(function)
        with compiling():
            raise OSError("no space left")

    monkeypatch.setattr(compiled, "on_all_cores", full)

    found, expected = (stressed(exposures(rows), moves, kernel) for kernel in (fastest.__wrapped__(), in_numpy))

    assert np.array_equal(found.worst, expected.worst)
    assert np.array_equal(found.shortfalls, expected.shortfalls)
    assert np.array_equal(found.broken, expected.broken)
    assert (len(calls), len(caplog.records)) == (1, 1)
    assert "no space left" in caplog.text
