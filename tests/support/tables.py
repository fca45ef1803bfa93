"""Whole stores as comparable values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb


def tables_of(path: Path, *, without: frozenset[str] = frozenset()) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a closed store, sorted; of coverage only what is covered: evidence depends on where one looked."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
        found = {name: sorted(con.table(f'"{name}"').fetchall(), key=repr) for (name,) in names if name not in without}
    if "coverage" in found:
        found["coverage"] = covered(found["coverage"])
    return found


def looked_at(row: tuple[object, ...]) -> bool:
    """Whether a row tells of a number that is known of the blocks alone after which one looked: it depends on where a history is cut."""
    return any(cell == "sight" or (isinstance(cell, str) and '"restless":true' in cell) for cell in row)


def covered(rows: list[tuple[Any, ...]]) -> list[tuple[object, ...]]:
    """What is covered of each interest of each chain, as spans that do not touch."""
    spans: list[tuple[Any, ...]] = []
    for chain_id, interest, first, last, *_ in sorted(rows):
        if spans and spans[-1][:2] == (chain_id, interest) and spans[-1][3] == first - 1:
            spans[-1] = (*spans[-1][:3], last)
        else:
            spans.append((chain_id, interest, first, last))
    return spans


def assert_same_tables(ours: Path, theirs: Path, *, without: frozenset[str] = frozenset(), sights: bool = True) -> int:
    """Compare two closed stores row for row, with what was looked at now and then or without it; return how many rows were compared."""
    left, right = tables_of(ours, without=without), tables_of(theirs, without=without)
    assert left.keys() == right.keys()
    if not sights:
        left, right = (
            {name: [row for row in rows if not looked_at(row)] for name, rows in tables.items()}
            for tables in (left, right)
        )
    for name, rows in left.items():
        assert len(rows) == len(right[name]), f"{name}: {len(rows)} rows against {len(right[name])}"
        for mine, other in zip(rows, right[name], strict=True):
            assert mine == other, f"{name}: {mine} against {other}"
    return sum(map(len, left.values()))
