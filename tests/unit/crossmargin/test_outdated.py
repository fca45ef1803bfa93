"""What is outdated is said of every chain that prices come from, with a remedy that the chain has."""

from __future__ import annotations

from pathlib import Path

import duckdb

from chains.model import FEEDS, FeedSpec
from crossmargin.outdated import outdated
from indexer.store import Store
from indexer.store.statements import statement

PYTH = "pyth:mainnet"
FEED = FeedSpec(asset="slip44:60", kind="pyth-hermes", chain_id=PYTH, address=b"", heartbeat_s=60, deviation=0.01)


def test_signed_prices_of_an_earlier_program_are_not_believed_and_cannot_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(path).close()
    with duckdb.connect(path) as con:
        con.execute(statement("derived_by_set"), {"chain_id": PYTH, "interest": FEEDS, "version": 0})

    with Store.open(path) as store, store.reading() as reader:
        assert list(outdated(reader, (), ())) == [], "a chain that is not configured"
        (found,) = outdated(reader, (), (FEED,))

    assert (found.chain_id, found.venue_id) == (PYTH, None)
    assert "index into a new store" in found.sentence
