"""Whatever order chance gave to tests, long ones come first, and every test comes once."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.order import long_first

SHORT, LONG = "tests/unit/test_short.py", "tests/e2e/test_long.py"


def test_each_share_begins_with_long_tests() -> None:
    paths = [f"tests/unit/test_{n}.py" for n in range(6)] + ["tests/e2e/test_a.py", "tests/simulation/test_b.py"]

    assert [paths[n] for n in long_first(paths, 2)] == [
        "tests/e2e/test_a.py",
        *(f"tests/unit/test_{n}.py" for n in range(3)),
        "tests/simulation/test_b.py",
        *(f"tests/unit/test_{n}.py" for n in range(3, 6)),
    ]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 7, 400])
def test_every_test_comes_once_and_those_of_a_long_module_together(workers: int, count: int) -> None:
    chance = Random(count)
    folders = ["tests/unit/", "tests/e2e/"]
    modules = [f"{chance.choice(folders)}test_{n}.py" for n in range(count)]
    paths = [path for path in modules for _ in range(chance.randint(1, 5))]

    order = long_first(paths, workers)

    assert sorted(order) == list(range(len(paths)))
    for path in modules:
        at = [place for place, n in enumerate(order) if paths[n] == path]
        assert path.startswith("tests/unit") or at == list(range(at[0], at[0] + len(at)))


def test_with_nothing_long_or_nothing_short_the_order_stays_by_module() -> None:
    assert long_first([SHORT] * 3, 2) == [0, 1, 2]
    assert long_first([LONG] * 3, 2) == [0, 1, 2]
