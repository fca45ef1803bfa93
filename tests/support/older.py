"""Stores as programs of before left them."""

from __future__ import annotations

from pathlib import Path

import duckdb

LATER = ("pyth_block", "observation", "control_reply", "control_look", "derived_by")
"""Tables that came after schema 9."""

BLOCKS = """
CREATE OR REPLACE VIEW block AS
SELECT chain_id, number, hash, parent_hash, time FROM main.evm_block
UNION ALL
SELECT chain_id, slot AS number, hash, parent_hash, time FROM main.solana_block
"""
"""The view of schema 9."""


def set_back(store: Path) -> None:
    """Let a store be as a program of schema 9 left it."""
    with duckdb.connect(str(store)) as con:
        con.execute(BLOCKS)
        for name in LATER:
            con.execute(f"DROP TABLE {name}")
        con.execute("ALTER TABLE lending_event DROP COLUMN basis")
        con.execute("DELETE FROM schema_version WHERE version > 9")
