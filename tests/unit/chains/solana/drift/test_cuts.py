"""However a history is cut into folds, the journals are the same, row for row; and every account that comes of it has an answer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.model import Block, Rows
from tests.support.drift_runs import Journals, Seen
from tests.unit.chains.solana.drift.builders import NOW
from tests.unit.chains.solana.drift.crowd import history

NAMES = [bytes([number]) * 32 for number in range(0xA0, 0xA6)]


def rows_of(seen: Seen, cuts: list[int]) -> Rows:
    """Fold a history in pieces that end at these slots."""
    journals = Journals()
    for first, last in zip([0, *cuts], [*cuts, 10**9], strict=True):
        journals.fold([item for item in seen if first < item[1].slot <= last])
    return journals.rows


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 12), unique=True, max_size=6))
def test_any_cuts_give_the_same(seed: int, cuts: list[int]) -> None:
    seen = history(random.Random(seed), 12, NAMES)

    assert rows_of(seen, sorted(cuts)) == rows_of(seen, [])


def test_a_history_of_tests_has_rows_of_every_kind() -> None:
    rows = Rows()
    for seed in range(4):
        rows.extend(rows_of(history(random.Random(seed), 12, NAMES), []))

    assert {row.kind for row in rows.events} == {"supply", "withdraw", "borrow", "repay"}
    assert min(len(rows.positions), len(rows.accounts), len(rows.markets), len(rows.quarantined)) > 5


@pytest.mark.parametrize("seed", range(4))
def test_every_account_that_comes_of_it_has_an_answer(seed: int) -> None:
    journals = Journals()
    journals.fold(history(random.Random(seed), 12, NAMES))

    for name in journals.owners:
        unit = journals.value(name, Block(number=600, hash=b"", parent_hash=b"", time=NOW + 999))
        assert (unit.native is None) is (unit.liquidatable is None)
        assert unit.native is not None or unit.reasons
