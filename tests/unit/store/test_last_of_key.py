"""The last row of each key, whatever the keys are and however many combinations there could be."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.store import journals

KEYS = st.lists(st.tuples(*[st.sampled_from("abcde")] * 3), max_size=30)


@pytest.mark.parametrize("most", [4, 2**62])
def test_the_last_row_of_each_key_is_found(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_MOST_CODES", most)

    @given(KEYS)
    def check(keys: list[tuple[str, str, str]]) -> None:
        columns = {str(i): pa.array([key[i] for key in keys], pa.string()) for i in range(3)}

        found = journals.lasts(journals.codes(pa.table(columns), list(columns)))

        assert found.tolist() == sorted({key: line for line, key in enumerate(keys)}.values())

    check()
