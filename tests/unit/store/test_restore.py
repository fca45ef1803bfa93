"""What a restore must not meet: the log of the store that was there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.store import Store, StoreError
from indexer.store.backup import restore


def test_nothing_is_restored_beside_the_log_of_the_store_that_was_there(tmp_path: Path) -> None:
    path, log = tmp_path / "store.duckdb", tmp_path / "store.duckdb.wal"
    with Store.open(path, allowed=[tmp_path]) as store:
        store.back_up(tmp_path / "backup", 1)
    path.unlink()
    log.write_bytes(b"what the store before had not written into its file")

    with pytest.raises(StoreError, match=r"store\.duckdb\.wal: is the log of the store that was here"):
        restore(tmp_path / "backup", path)
    assert not path.exists()
    assert log.exists()

    log.unlink()
    restore(tmp_path / "backup", path)
    with Store.open(path) as store:
        assert store.query("SELECT 1", timeout_s=5, max_rows=1).rows == [(1,)]
