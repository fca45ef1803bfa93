"""Stores as programs of before left them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from indexer.store.margin import TABLES as MARGIN
from indexer.store.risk_runs import TABLES as RISK

LATER = (
    "pyth_block",
    "observation",
    "control_reply",
    "control_look",
    "derived_by",
    "price_day",
    "liquidity",
    "policy",
    "membership_evidence",
    "membership_check",
    "api_key",
    "transfer",
    "policy_withdrawal",
    "snapshot_schedule",
    "health_answer",
    "snapshot_mark",
    "snapshot_unit",
    "event",
    "event_head",
    "event_subject",
    "webhook",
    "webhook_delivery",
    "lake_revaluation",
    "lake_set",
    *MARGIN,
    *RISK,
)
"""Tables that came after schema 9."""

VIEWS = (
    "fct_price_day",
    "fct_liquidity",
    "fct_policy",
    "fct_membership",
    "fct_transfer",
    "dim_block",
    "fct_position_change",
    "fct_mark",
    "fct_unit_health",
    "fct_health_answer",
    "fct_margin_account",
    "fct_margin_position",
    "fct_margin_mark",
    "fct_risk_run",
    "fct_stress",
    "fct_at_risk",
    "fct_breach_forecast",
    "fct_simulated_liquidation",
    "lake_revaluation",
    "lake_set",
    "event",
)
"""Views that came after schema 9."""

WITHIN = ("margin_weighed", "margin_sale", "margin_token")
"""Views that others were made of, and the macros of all."""

TAGGED = ("position_change", "position_current", "account_change", "account_current")
"""Tables whose rows have tags now."""

MACROS = ("margin_sold", "margin_left", "margin_taken", "margin_kept", "margin_multiple", "margin_excess")

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
        for name in VIEWS:
            con.execute(f"DROP VIEW IF EXISTS public.{name}")
        for name in WITHIN:
            con.execute(f"DROP VIEW main.{name}")
        for name in MACROS:
            con.execute(f"DROP MACRO public.{name}")
        for name in LATER:
            con.execute(f"DROP TABLE {name}")
        for name in TAGGED:
            con.execute(f"ALTER TABLE {name} DROP COLUMN owner_tag")
            con.execute(f"ALTER TABLE {name} DROP COLUMN unit_tag")
        con.execute("ALTER TABLE lending_event DROP COLUMN basis")
        con.execute("ALTER TABLE snapshot DROP COLUMN sequence")
        con.execute("DELETE FROM schema_version WHERE version > 9")
