"""In which order several processes run tests: long ones first, so that none is begun when the others have nothing left to do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, islice

LONG = (
    "tests/simulation/",
    "tests/e2e/",
    "tests/packaging/",
    "tests/contract/",
    "tests/devnet/",
    "tests/unit/aggregator/engines/",
    "tests/unit/indexer/publish/",
)
"""Where the modules are that take seconds, by what their paths begin with."""


def long_first(paths: Sequence[str], workers: int) -> list[int]:
    """Order tests, given by the paths of their modules, so that each worker's equal share of them begins with long ones.

    Returns positions in `paths`. Tests of a module stay together, and modules of one kind in the order that they are given in.
    """
    modules = [list(tests) for _, tests in groupby(range(len(paths)), key=paths.__getitem__)]
    long = [tests for tests in modules if paths[tests[0]].startswith(LONG)]
    others = chain.from_iterable(tests for tests in modules if not paths[tests[0]].startswith(LONG))
    order: list[int] = []
    for worker in range(workers):
        order += chain.from_iterable(long[worker::workers])
        order += islice(others, max(0, len(paths) * (worker + 1) // workers - len(order)))
    return order
