"""A store of an older program is brought up to date in place, and what it holds stays."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from chains.model import PriceAnswer, Rows, Side
from indexer.store import Cursor, Store
from indexer.store.migrate import migrations, run
from tests.unit.store.builders import (
    CHAIN,
    MARKET,
    OWNER,
    VENUE,
    append,
    batch,
    block,
    content,
    event,
    finalize,
    market,
    position,
    price,
    rewind,
)
from tests.unit.store.slots import ALICE, CLUSTER, account, slot_batch
from tests.unit.store.test_register import ETH, REGISTRY

BEFORE_SOLANA = 2
SOURCE = b"\x0f" * 20
KEPT = (
    "evm_block",
    "evm_log",
    "evm_read",
    "coverage",
    "cursor",
    "quarantine",
    "market_change",
    "market_current",
    "chain",
    "asset",
    "margin_account",
)
"""Tables that are the same in both schemas."""

TAGGED = ("position_change", "position_current", "account_change", "account_current")
WIDER = {
    "lending_event": 1,
    "price_observation": 1,
    "price_current": 1,
    "feed": 2,
    "venue": 1,
    **dict.fromkeys(TAGGED, 2),
}
"""Tables that were given so many columns."""


def filled(path: Path) -> None:
    """A store of today with something in every table that there was before."""
    rows = Rows(
        positions=[position(3, 5), position(6, 10**40)],
        markets=[market(2, "{}")],
        prices=[price(3, 20, source=SOURCE), price(5, 30, source=SOURCE)],
        events=[event(4, 5)],
    )
    with Store.open(path) as store:
        store.register(REGISTRY)
        append(store, batch(1, 9, rows, logs=[(2, 0), (3, 0)], reads=[4]))
        finalize(store, 6)


def downgraded(path: Path, older: Path) -> None:
    """The same rows in the schema of before."""
    with duckdb.connect(older) as con:
        for migration in migrations()[:BEFORE_SOLANA]:
            run(con, migration)
        con.execute(f"ATTACH '{path}' AS today (READ_ONLY)")
        for table in KEPT:
            con.execute(f"INSERT INTO {table} FROM today.{table}")
        for table, added in WIDER.items():
            columns = [name for name, *_ in con.execute(f"DESCRIBE today.{table}").fetchall()[:-added]]
            con.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM today.{table}")  # noqa: S608


@pytest.fixture
def older(tmp_path: Path) -> Path:
    filled(tmp_path / "today.duckdb")
    downgraded(tmp_path / "today.duckdb", tmp_path / "older.duckdb")
    return tmp_path / "older.duckdb"


def test_every_row_is_there_afterwards(older: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "today.duckdb") as store:
        today = content(store)

    with Store.open(older) as store:
        assert content(store) == today
        assert store.cursor(CHAIN) == Cursor(block=block(9), finalized=6)
        assert store.window(CHAIN) == [block(6), block(7), block(8), block(9)]
        with store.reading() as reader:
            assert reader.answers(CHAIN, block(9)) == {SOURCE: PriceAnswer(30, 5, 1_060, 5, None)}
    with duckdb.connect(older, read_only=True) as con:
        assert con.execute("SELECT * FROM schema_version ORDER BY ALL").fetchall() == [
            (migration.version,) for migration in migrations()
        ]


def test_history_that_was_only_observed_says_so_afterwards(older: Path) -> None:
    with duckdb.connect(older) as con:
        con.execute("UPDATE lending_event SET extra = '{\"observed\":true}', tx_hash = ''::BLOB")
        con.execute(
            "INSERT INTO lending_event SELECT * REPLACE ('{}' AS extra, 'abc'::BLOB AS tx_hash) FROM lending_event"
        )

    with Store.open(older) as store:
        said = store.query("SELECT basis, tx_hash FROM public.lending_event ORDER BY ALL", timeout_s=9, max_rows=9).rows

    assert said == [("exact", "0x616263"), ("observed", None)]


def test_the_configuration_of_before_is_the_configuration(older: Path) -> None:
    with Store.open(older) as store:
        store.register(REGISTRY)
        feeds = store.query("FROM feed", timeout_s=9, max_rows=9).rows

    assert feeds == [(ETH.asset, "chainlink", CHAIN, b"\x02" * 20, 3600, 0.005, None, None)]


def test_the_public_views_say_the_same(older: Path, tmp_path: Path) -> None:
    views = ("dim_chain", "dim_venue", "dim_feed", "dim_market", "lending_event", "fct_position", "fct_price")

    def seen(path: Path) -> list[object]:
        with Store.open(path) as store:
            return [store.query(f"FROM public.{view} ORDER BY ALL", timeout_s=9, max_rows=99).rows for view in views]

    assert seen(older) == seen(tmp_path / "today.duckdb")


def test_the_chain_goes_on_where_it_stood_and_another_kind_joins_it(older: Path) -> None:
    with Store.open(older) as store:
        append(store, batch(10, 12, Rows(positions=[position(11, 8)], prices=[price(11, 40, source=SOURCE)])))
        rewind(store, 10)
        append(store, slot_batch(1, 9, accounts=[(ALICE, account(4, b"a"))]))

    with Store.open(older) as store:
        assert store.chains() == [CHAIN, CLUSTER]
        key = (OWNER, MARKET, Side.SUPPLY)
        assert store.state(CHAIN).positions(VENUE, [key]) == {key: 5}
        assert store.state(CHAIN).answers() == {SOURCE: 30}
        assert store.state(CLUSTER).account_bytes([ALICE]) == {ALICE: account(4, b"a")}
        found = store.query(
            "SELECT chain_id, list(number ORDER BY number) FROM block GROUP BY ALL ORDER BY 1", timeout_s=9, max_rows=9
        )
        assert found.rows == [(CHAIN, [2, 3, 4, 6, 7, 8, 9, 10]), (CLUSTER, [1, 2, 3, 4, 5, 6, 7, 8, 9])]
