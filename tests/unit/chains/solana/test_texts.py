"""Texts of many records at once are what each says by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chains.solana.layouts import packed, picked, stacked
from chains.solana.texts import distinct, hexed, in_rows, listed, numbers, side_by_side

ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3), st.booleans()), min_size=1, max_size=20)
KIND = np.dtype({"names": ["wide", "few"], "formats": ["<i8", "u1"], "offsets": [3, 12], "itemsize": 17})


@given(ROWS)
def test_records_are_written_picked_and_stacked_as_one_by_one(rows: list[tuple[int, int, bool]]) -> None:
    records = np.zeros(len(rows), KIND)
    for i, (wide, few, _) in enumerate(rows):
        records[i] = wide, few
    wanted = np.array([taken for _, _, taken in rows])
    each, which = distinct(records, ("few",))

    assert [each["few"][i] for i in which.to_pylist()] == [few for _, few, _ in rows]
    assert packed(records, ("few", "wide")).tolist() == [(few, wide) for wide, few, _ in rows]
    assert stacked([picked(records, wanted), records]).tolist() == [
        *((wide, few) for wide, few, taken in rows if taken),
        *((wide, few) for wide, few, _ in rows),
    ]
    assert in_rows([records["wide"], records["wide"]], "|").to_pylist() == [f"{wide}|{wide}" for wide, _, _ in rows]
    assert side_by_side("<", "a", numbers(records["wide"]), ">").to_pylist() == [f"<a{wide}>" for wide, _, _ in rows]


@given(st.lists(st.lists(st.binary(min_size=4, max_size=4), max_size=3), min_size=1, max_size=8))
def test_lists_of_keys_are_joined_by_row(rows: list[list[bytes]]) -> None:
    keys = np.frombuffer(b"".join(key for row in rows for key in row), np.uint8).reshape(-1, 4)

    texts = listed(hexed(keys, b"0x", b"!"), np.array([len(row) for row in rows]))

    assert texts.to_pylist() == [",".join(f"0x{key.hex()}!" for key in row) for row in rows]
