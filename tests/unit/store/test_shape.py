"""What Python believes of the tables is what the migrations make."""

from __future__ import annotations

import pytest

from indexer.store import Store
from indexer.store.journals import DERIVED, Journal
from indexer.store.margin import TABLES as MARGIN
from indexer.store.raw import RAW, RawTable
from indexer.store.risk_runs import TABLES as RISK
from tests.unit.store.builders import TABLES

CONFIGURED = {"chain", "venue", "feed", "asset", "margin_account", "indexed_venue", "indexed_feed", "derived_by"}
ANSWERED = {
    "control_look",
    "control_reply",
    "found_start",
    "health_input",
    "snapshot",
    "restatement",
    "price_day",
    "liquidity",
    "transfer",
    "liability",
    "liability_document",
    "membership_check",
    "membership_evidence",
    "policy",
    "policy_withdrawal",
    "parity_check",
    "parity_run",
    "venue_holding",
    "venue_total",
    "schema_version",
    "api_key",
    "event",
    "event_head",
    "event_subject",
    "webhook",
    "webhook_delivery",
    "lake_revaluation",
    "lake_set",
    "health_answer",
    "snapshot_mark",
    "snapshot_schedule",
    "snapshot_unit",
}


def columns(store: Store, table: str) -> list[str]:
    found = store.query(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'main' ORDER BY column_index",
        timeout_s=9,
        max_rows=999,
    )
    return [column for name, column in found.rows if name == table]


@pytest.mark.parametrize("journal", DERIVED, ids=lambda journal: journal.name)
def test_a_journal_has_its_columns_in_order_and_so_has_its_tip(store: Store, journal: Journal) -> None:
    assert columns(store, journal.name) == ["chain_id", *journal.columns, *journal.tags]
    if journal.tip:
        assert columns(store, journal.tip) == ["chain_id", *journal.columns, *journal.tags]


@pytest.mark.parametrize("table", RAW.values(), ids=lambda table: table.name)
def test_a_raw_table_has_its_columns_in_order(store: Store, table: RawTable) -> None:
    assert columns(store, table.name) == ["chain_id", *table.columns]
    assert set(table.identity) | {table.block} <= set(table.columns)


def test_no_table_is_forgotten_by_these_tests(store: Store) -> None:
    found = store.query("SELECT table_name FROM duckdb_tables() WHERE NOT temporary", timeout_s=9, max_rows=99)

    assert {name for (name,) in found.rows} == {*TABLES, *CONFIGURED, *ANSWERED, *MARGIN, *RISK}
