"""However a history is cut into folds, the journals are the same, row for row."""

from __future__ import annotations

import random

import pytest

from chains.model import Rows
from tests.support.marginfi_runs import GOLDEN, Journals, MarginfiRun, Seen


@pytest.fixture(scope="module")
def run() -> MarginfiRun:
    return MarginfiRun.load(next(GOLDEN.glob("case-*")))


def slots(run: MarginfiRun) -> list[int]:
    """The samples at which a slot begins that is not the one before's: a look cannot end within a slot."""
    times = [sample["slot"] for sample in run.samples]
    return [number for number in range(1, len(times)) if times[number] != times[number - 1]]


def rows_of(run: MarginfiRun, cuts: list[int]) -> Rows:
    journals = Journals(run.venue)
    for first, last in zip([0, *cuts], [*cuts, len(run.samples)], strict=True):
        piece: Seen = [item for number in range(first, last) for item in run.seen(number)]
        journals.fold(piece)
    return journals.rows


def test_all_at_once_is_sample_by_sample(run: MarginfiRun) -> None:
    whole = rows_of(run, [])

    assert rows_of(run, slots(run)) == whole
    assert len(whole.positions) > 20
    assert {row.kind for row in whole.events} == {"supply", "withdraw", "borrow", "repay"}


@pytest.mark.parametrize("seed", range(4))
def test_any_cuts_give_the_same(run: MarginfiRun, seed: int) -> None:
    rng = random.Random(seed)
    cuts = sorted(rng.sample(slots(run), rng.randrange(1, 8)))

    assert rows_of(run, cuts) == rows_of(run, [])
