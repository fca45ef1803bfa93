"""Rows leave the store as Parquet whose bytes depend on nothing but the rows."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chains.model import Rows
from indexer.store import MEMORY, Store, StoreError
from tests.unit.store.builders import CHAIN, append, batch, position

POSITIONS = "SELECT unit_id, amount_raw, block_number FROM position_change WHERE chain_id = $chain_id"


def export(folder: Path, name: str, sizes: list[int]) -> Path:
    """Index 3,000 positions in batches of these sizes and write them."""
    path = folder / name
    with Store.open(MEMORY, allowed=[folder]) as store:
        first = 1
        for size in sizes:
            numbers = range(first, first + size)
            rows = [position(n, n * 10**30, owner=sha256(bytes([n % 251])).digest()[:20]) for n in reversed(numbers)]
            append(store, batch(first, first + size - 1, Rows(positions=rows)))
            first += size
        with store.reading() as reader:
            assert reader.copy_parquet(POSITIONS, path, {"chain_id": CHAIN}) == 3_000
    return path


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = export(tmp_path, "one.parquet", [3_000]), export(tmp_path, "two.parquet", [1, 1_200, 1_799])

    assert one.read_bytes() == two.read_bytes()


def test_the_file_says_what_the_rows_are(tmp_path: Path) -> None:
    table = pq.read_table(export(tmp_path, "rows.parquet", [3_000]))

    assert table.num_rows == 3_000
    assert str(table.schema.field("amount_raw").type) == "decimal128(38, 0)"
    assert table["unit_id"].to_pylist() == sorted(table["unit_id"].to_pylist())


def test_nothing_is_written_outside_the_allowed_folders(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    outside = tmp_path / "rows.parquet"

    with (
        Store.open(MEMORY, allowed=[tmp_path / "allowed"]) as store,
        store.reading() as reader,
        pytest.raises(StoreError, match=f"{outside}: is outside the folders that the store may write to"),
    ):
        reader.copy_parquet("SELECT 1 AS one", outside)

    assert not outside.exists()


def test_a_query_that_cannot_be_run_is_named_with_its_file(tmp_path: Path) -> None:
    with (
        Store.open(MEMORY, allowed=[tmp_path]) as store,
        store.reading() as reader,
        pytest.raises(StoreError, match=r"rows.parquet: cannot be written \(Catalog Error"),
    ):
        reader.copy_parquet("SELECT * FROM nothing", tmp_path / "rows.parquet")
