"""Columns of rows are the same whether rows are a list or kept as columns."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from aggregator.audit import lines
from aggregator.audit.lines import REPEATED, Columns
from aggregator.audit.picked import counted, picked, taken

KINDS = pa.schema({"a": REPEATED, "b": pa.string(), "c": pa.int64(), "d": pa.bool_()})


def drawn(count: int) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [
        {
            "a": chance.choice([None, "x", "None", f"{number // 7}"]),
            "b": chance.choice([None, "", "é"]),
            "c": chance.choice([None, 0, 2**53 - 1]),
            "d": chance.choice([None, True, False]),
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 50])
def test_columns_say_what_rows_say(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several groups, each with its own words."""
    monkeypatch.setattr(lines, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(lines, "ROWS_PER_GROUP", 14)
    rows = drawn(count)
    kept = Columns(iter(rows), KINDS)
    assert kept.table["a"].num_chunks == max(-(-count // 14), 1)

    for names in (("a",), ("b", "a"), ("a", "b", "c", "d")):
        assert list(picked(kept, *names)) == list(picked(rows, *names))
        assert counted(kept, *names) == counted(rows, *names)
        assert counted(kept, *names).total() == count
    for numbers in ([], [0], [3, 1, 49]):
        if max(numbers, default=0) < count:
            assert taken(kept, numbers) == taken(rows, numbers) == [rows[number] for number in numbers]
