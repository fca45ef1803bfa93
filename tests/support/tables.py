"""Whole stores as comparable values."""

from __future__ import annotations

from pathlib import Path

import duckdb


def tables_of(path: Path, *, without: frozenset[str] = frozenset()) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a closed store, sorted."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
        return {name: sorted(con.table(f'"{name}"').fetchall(), key=repr) for (name,) in names if name not in without}


def assert_same_tables(ours: Path, theirs: Path, *, without: frozenset[str] = frozenset()) -> int:
    """Compare two closed stores row for row; return how many rows were compared."""
    left, right = tables_of(ours, without=without), tables_of(theirs, without=without)
    assert left.keys() == right.keys()
    for name, rows in left.items():
        assert len(rows) == len(right[name]), f"{name}: {len(rows)} rows against {len(right[name])}"
        for mine, other in zip(rows, right[name], strict=True):
            assert mine == other, f"{name}: {mine} against {other}"
    return sum(map(len, left.values()))
