"""The book of the newest snapshot for SQL: tables that are replaced together, or stay as they are."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from indexer.store.session import Con, staged
from indexer.store.statements import statement

PARTED = "margin_position"
"""The table of positions, which alone grows with the book times what each account holds."""

TABLES = (
    "margin_snapshot",
    "margin_holder",
    "margin_leg",
    "margin_position",
    "margin_mark",
    "margin_correlation",
    "margin_case",
)


def replace_margin(con: Con, slot_time: int, tables: Mapping[str, pa.Table]) -> None:
    """Take over a book as of `slot_time` (Unix seconds), by table, in column order; one of an earlier slot than what is there is not."""
    newer = con.execute("SELECT 1 FROM margin_snapshot WHERE slot_time > $slot", {"slot": slot_time}).fetchall()
    if newer:
        return
    for name in TABLES:
        con.execute(statement("empty", table=name))
        with staged(con, tables[name]):
            con.execute(statement("fill", table=name))
