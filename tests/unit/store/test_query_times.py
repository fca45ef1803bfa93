"""Moments come out of a query as moments."""

from __future__ import annotations

from datetime import UTC, datetime

from indexer.store import MEMORY, Store


def test_a_timestamp_with_a_time_zone_is_a_moment() -> None:
    with Store.open(MEMORY) as store:
        result = store.query("SELECT TIMESTAMPTZ '2026-01-31 00:00:00+00' AS at", timeout_s=10, max_rows=1)

    ((moment,),) = result.rows
    assert moment.astimezone(UTC) == datetime(2026, 1, 31, tzinfo=UTC)
