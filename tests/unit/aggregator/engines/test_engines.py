"""Other engines say of a book what the store's own view says: doubles to 1e-12, everything else exactly."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregator.engines.revaluing import BOOKS, REVALUATIONS, NoBook, Said, put_book, revalue
from indexer.lake.sets import LakeBroken
from indexer.store import Store
from indexer.store.session import table_of
from tests.unit.aggregator.engines.conftest import ACCOUNTS


@pytest.mark.parametrize("engine", ["duckdb", "datafusion"])
def test_an_engine_says_what_the_view_says(store: Store, tmp_path: Path, engine: str) -> None:
    said = revalue(store, tmp_path, engine)

    agree(rows_of(tmp_path, said), expected(store))
    assert said["book"] in {path.name for path in (tmp_path / BOOKS).iterdir()}
    assert revalue(store, tmp_path, engine) == said
    assert [path.name for path in (tmp_path / REVALUATIONS).iterdir()] == [said["id"]]


def test_a_book_that_was_changed_is_refused(store: Store, tmp_path: Path) -> None:
    with store.exporting() as con:
        book = put_book(con, tmp_path)
    (part,) = (tmp_path / BOOKS / book / "margin_mark").iterdir()
    pq.write_table(pq.read_table(part).slice(1), part)

    with pytest.raises(LakeBroken, match="is not what was put there"):
        revalue(store, tmp_path, "duckdb")

    assert not list((tmp_path / REVALUATIONS).iterdir()) if (tmp_path / REVALUATIONS).exists() else True


def test_a_store_without_a_snapshot_has_no_book(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.duckdb") as empty, pytest.raises(NoBook):
        revalue(empty, tmp_path / "lake", "duckdb")


def expected(store: Store) -> pa.Table:
    with store.exporting() as con:
        return table_of(con, "SELECT * FROM public.fct_margin_account ORDER BY account_id", {})


def rows_of(lake: Path, said: Said) -> pa.Table:
    folder = lake / REVALUATIONS / said["id"]
    parts = [pq.read_table(folder / file["path"]) for file in said["files"]]
    assert [part.num_rows for part in parts] == [file["rows"] for file in said["files"]]
    return pa.concat_tables(parts).sort_by("account_id")


def agree(found: pa.Table, wanted: pa.Table) -> None:
    assert found.column_names == wanted.column_names
    assert wanted.num_rows == ACCOUNTS
    size = [(row["collateral_usd"] or 0.0) + (row["debt_usd"] or 0.0) for row in wanted.to_pylist()]
    for name in wanted.column_names:
        ours, theirs = wanted[name].to_pylist(), found[name].to_pylist()
        if name == "slot_time":
            assert [at.replace(tzinfo=None) for at in theirs] == ours
        elif pa.types.is_floating(wanted[name].type):
            assert [value is None for value in theirs] == [value is None for value in ours], name
            for mine, other, scale in zip(ours, theirs, size, strict=True):
                assert mine is None or other == pytest.approx(mine, rel=1e-12, abs=1e-12 * scale), name
        else:
            assert theirs == ours, name
