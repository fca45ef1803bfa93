"""Answers can be replayed, and every slot of a schedule has one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.store import SnapshotRow, Store, StoreError

ROW = SnapshotRow(
    snapshot_id="daily-1700000000",
    schedule="daily",
    slot_time=1_700_000_000,
    state="made",
    cut='{"eip155:1":5}',
    path="snapshots/daily-1700000000",
    manifest_hash="00" * 32,
    created_at=1_700_000_007,
    detail="{}",
)


def test_a_document_is_kept_once_under_its_digest(store: Store) -> None:
    store.save_sent({"d1": ("acme", '{"a":1}')}, ())
    store.save_sent({"d1": ("acme", '{"a":1}')}, ())

    assert store.load_input("d1") == '{"a":1}'
    assert store.load_input("d2") is None
    assert store.query("SELECT count(*) FROM health_input", timeout_s=9, max_rows=1).rows == [(1,)]


def test_the_ledger_is_in_slot_order(store: Store) -> None:
    later = replace(ROW, snapshot_id="daily-1700086400", slot_time=1_700_086_400)
    other = replace(ROW, snapshot_id="hourly-1", schedule="hourly", slot_time=1_700_003_600)
    for row in (later, ROW, other):
        store.add_snapshot(row)

    assert store.snapshots() == [ROW, other, later]
    assert store.snapshots("daily") == [ROW, later]
    assert store.snapshots("weekly") == []


def test_a_slot_has_one_line_and_a_snapshot_one_id(store: Store) -> None:
    store.add_snapshot(ROW)

    with pytest.raises(StoreError, match="snapshot daily-1700000000 is in the ledger already"):
        store.add_snapshot(replace(ROW, slot_time=1))
    with pytest.raises(StoreError, match="slot 1700000000 of schedule daily is in the ledger already"):
        store.add_snapshot(replace(ROW, snapshot_id="again"))

    assert store.snapshots() == [ROW]


def test_a_line_can_be_replaced(store: Store) -> None:
    store.add_snapshot(replace(ROW, state="due"))

    store.update_snapshot(ROW)

    assert store.snapshots() == [ROW]
    with pytest.raises(StoreError, match="snapshot nowhere is not in the ledger"):
        store.update_snapshot(replace(ROW, snapshot_id="nowhere"))
