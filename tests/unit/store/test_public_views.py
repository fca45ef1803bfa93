"""The SQL that analysts rely on: stable names, a comment on each, readable values."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from chains.model import END_OF_BLOCK, FEEDS, ChainSpec, FeedSpec, Rows, Side, VenueSpec
from indexer.store import AssetRow, MemberRow, QueryRefused, Registry, Store
from tests.unit.store.builders import (
    ASSET,
    CHAIN,
    OWNER,
    VENUE,
    append,
    batch,
    block,
    digest,
    event,
    finalize,
    market,
    position,
    price,
)
from tests.unit.store.test_ledger import ROW

POOL = b"\x01" * 20
PROXY = b"\x0e" * 20
SOURCE = b"\x0f" * 20
PAYER = b"\x0d" * 20
RESERVE = (
    '{"id":0,"symbol":"WETH","decimals":18,"a_token":"0xaa","variable_debt_token":"0xbb",'
    '"stable_debt_token":"0xcc","since":2}'
)
SEIZED = (
    f'{{"collateral_asset":"0x{ASSET.hex()}","collateral_amount_raw":"2000000000000000000","receive_a_token":false}}'
)
TERMS = '{"ltv":8000,"liquidation_threshold":8250,"liquidation_bonus":10500,"emode":1}'

VIEWS = {
    "dim_account",
    "dim_asset",
    "dim_block",
    "dim_chain",
    "dim_feed",
    "dim_market",
    "dim_venue",
    "event",
    "fct_at_risk",
    "fct_breach_forecast",
    "fct_risk_run",
    "fct_simulated_liquidation",
    "fct_stress",
    "fct_coverage",
    "fct_health_answer",
    "fct_liability",
    "fct_margin_account",
    "fct_margin_mark",
    "fct_margin_position",
    "fct_liquidity",
    "fct_mark",
    "fct_membership",
    "fct_position_change",
    "fct_unit_health",
    "fct_parity_check",
    "fct_parity_run",
    "fct_policy",
    "fct_position",
    "fct_price",
    "fct_price_day",
    "fct_transfer",
    "fct_venue_holding",
    "fct_venue_total",
    "lending_borrow",
    "lending_event",
    "lending_liquidation",
    "lending_supply",
    "finding",
    "lake_revaluation",
    "lake_set",
    "restatement",
    "snapshot",
    "venue_alert",
}


@pytest.fixture
def indexed(store: Store) -> Store:
    asset_id = f"{CHAIN}/erc20:0x{ASSET.hex()}"
    store.register(
        Registry(
            chains=[ChainSpec(id=CHAIN, name="devnet", rpc=(), finality="finalized", start_block=1)],
            venues=[VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=POOL, start_block=1)],
            feeds=[
                FeedSpec(
                    asset=asset_id, kind="chainlink", chain_id=CHAIN, address=PROXY, heartbeat_s=3600, deviation=0.005
                )
            ],
            assets=[AssetRow(asset_id, "WETH", "major", "ETH")],
            members=[MemberRow("acme", f"{CHAIN}:0x{OWNER.hex().upper()}"), MemberRow("acme", "solana:5eyk:Vote111")],
        )
    )
    phase = f'{{"aggregator":"0x{SOURCE.hex()}","decimals":8}}'
    rows = Rows(
        markets=[
            market(2, RESERVE, market=ASSET),
            market(2, TERMS, market=ASSET, aspect="terms"),
            market(2, phase, ordinal=END_OF_BLOCK, venue_id=FEEDS, market=PROXY, aspect="phase"),
        ],
        positions=[
            position(3, 5, market=ASSET),
            position(6, 7, market=ASSET),
            position(4, 0, market=ASSET, side=Side.BORROW),
        ],
        prices=[price(3, 200_000_000_000, source=SOURCE)],
        events=[
            event(3, 5 * 10**18, asset=ASSET, counterparty=PAYER),
            event(4, 10**18, kind="borrow", asset=ASSET, counterparty=OWNER),
            event(5, 10**17, kind="repay", asset=ASSET, counterparty=PAYER),
            event(6, 10**18, kind="withdraw", asset=ASSET, counterparty=PAYER),
            event(7, 10**18, kind="liquidation", asset=ASSET, counterparty=PAYER, extra=SEIZED),
            event(8, 10**18, kind="transfer", asset=b"\x55" * 20, ordinal=4),
        ],
    )
    append(store, batch(1, 9, rows, logs=[(n, 0) for n in range(2, 9)]))
    finalize(store, 7)
    return store


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.query(sql, timeout_s=20, max_rows=999).rows


def hexed(address: bytes) -> str:
    return f"0x{address.hex()}"


def test_the_public_views_are_these(store: Store) -> None:
    found = rows(store, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'public' AND NOT internal")

    assert {name for (name,) in found} == VIEWS


def test_every_view_every_column_and_every_macro_has_a_comment(store: Store) -> None:
    silent = rows(
        store,
        "SELECT view_name, '' FROM duckdb_views() WHERE schema_name = 'public' AND comment IS NULL "
        "UNION ALL "
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'public' AND comment IS NULL "
        "UNION ALL "
        "SELECT function_name, '' FROM duckdb_functions() WHERE schema_name = 'public' AND comment IS NULL",
    )

    assert silent == []


def test_every_view_and_macro_can_be_read_from_an_empty_store(store: Store) -> None:
    for view in VIEWS:
        assert rows(store, f"FROM public.{view}") == []
    assert rows(store, "FROM public.fct_position_at('eip155:1', 5)") == []


def test_a_chain_tells_how_far_it_is_indexed(indexed: Store) -> None:
    assert rows(indexed, "FROM public.dim_chain") == [
        (CHAIN, "devnet", "finalized", 1, 9, hexed(block(9).hash), datetime(1970, 1, 1, 0, 18, 28), 7)  # noqa: DTZ001
    ]


def test_names_are_readable(indexed: Store) -> None:
    asset_id = f"{CHAIN}/erc20:{hexed(ASSET)}"
    assert rows(indexed, "FROM public.dim_venue") == [(VENUE, "aave-v3", CHAIN, hexed(POOL), 1)]
    assert rows(indexed, "FROM public.dim_asset") == [(asset_id, "WETH", "major", "ETH")]
    assert rows(indexed, "FROM public.dim_account ORDER BY ALL") == [
        ("acme", f"{CHAIN}:0x{OWNER.hex().upper()}", CHAIN, hexed(OWNER)),
        ("acme", "solana:5eyk:Vote111", "solana:5eyk", "Vote111"),
    ]
    assert rows(indexed, "FROM public.dim_feed") == [
        (asset_id, "chainlink", CHAIN, hexed(PROXY), 3600, 0.005, hexed(SOURCE), 8, None, None)
    ]
    assert rows(indexed, "FROM public.dim_market") == [
        (VENUE, CHAIN, hexed(ASSET), hexed(ASSET), 0, "WETH", 18, "0xaa", "0xbb", "0xcc", 2, 8000, 8250, 10500)
    ]


def test_an_event_reads_like_a_sentence(indexed: Store) -> None:
    (supplied,) = rows(indexed, "FROM public.lending_event WHERE transaction_type = 'supply'")

    assert supplied == (
        CHAIN,
        "aave",
        "3",
        VENUE,
        "supply",
        "WETH",
        hexed(ASSET),
        hexed(OWNER),
        hexed(PAYER),
        5.0,
        Decimal(5 * 10**18),
        date(1970, 1, 1),
        datetime(1970, 1, 1, 0, 17, 16),  # noqa: DTZ001
        3,
        hexed(POOL),
        hexed(digest(3, "tx0")),
        0,
        "{}",
        "exact",
    )


def test_an_event_of_an_unknown_token_has_its_raw_amount_only(indexed: Store) -> None:
    found = rows(indexed, "SELECT symbol, amount, amount_raw FROM public.lending_event WHERE block_number = 8")

    assert found == [(None, None, Decimal(10**18))]


def test_supply_counts_what_came_and_what_left(indexed: Store) -> None:
    found = rows(
        indexed,
        "SELECT transaction_type, depositor, on_behalf_of, withdrawn_to, liquidator, amount, amount_raw "
        "FROM public.lending_supply ORDER BY block_number",
    )

    assert found == [
        ("deposit", hexed(PAYER), hexed(OWNER), None, None, 5.0, Decimal(5 * 10**18)),
        ("withdraw", hexed(OWNER), None, hexed(PAYER), None, -1.0, Decimal(-(10**18))),
        ("deposit_liquidation", hexed(OWNER), None, None, hexed(PAYER), -2.0, Decimal(-2 * 10**18)),
    ]


def test_borrow_counts_what_was_lent_and_what_was_paid(indexed: Store) -> None:
    found = rows(
        indexed,
        "SELECT transaction_type, borrower, on_behalf_of, repayer, liquidator, amount "
        "FROM public.lending_borrow ORDER BY block_number",
    )

    assert found == [
        ("borrow", hexed(OWNER), hexed(OWNER), None, None, 1.0),
        ("repay", hexed(OWNER), None, hexed(PAYER), None, -0.1),
        ("borrow_liquidation", hexed(OWNER), None, None, hexed(PAYER), -1.0),
    ]


def test_a_liquidation_has_two_sides(indexed: Store) -> None:
    found = rows(
        indexed,
        "SELECT borrower, liquidator, debt_symbol, debt_amount, collateral_symbol, collateral_amount, "
        "collateral_amount_raw FROM public.lending_liquidation",
    )

    assert found == [(hexed(OWNER), hexed(PAYER), "WETH", 1.0, "WETH", 2.0, Decimal(2 * 10**18))]


def test_positions_are_open_ones_now_and_at_any_block(indexed: Store) -> None:
    now = rows(indexed, "FROM public.fct_position")
    before = rows(indexed, "SELECT protocol_raw, since_block FROM public.fct_position_at('eip155:31337', 5)")

    assert now == [
        (
            CHAIN,
            VENUE,
            hexed(OWNER),
            hexed(OWNER),
            hexed(ASSET),
            hexed(ASSET),
            "WETH",
            18,
            "supply",
            Decimal(7),
            6,
            "aave-v3/1",
            "exact",
        )
    ]
    assert before == [(Decimal(5), 3)]
    assert rows(indexed, "FROM public.fct_position_at('eip155:31337', 9)") == now
    assert rows(indexed, "FROM public.fct_position_at('eip155:1', 9)") == []


def test_positions_can_be_asked_for_by_time_as_far_as_the_chain_is_stored(indexed: Store) -> None:
    at = "FROM public.fct_position_at_time('eip155:31337', make_timestamp({} * 1000000))"

    assert rows(indexed, at.format(block(5).time)) == rows(indexed, "FROM public.fct_position_at('eip155:31337', 5)")
    assert rows(indexed, at.format(block(6).time - 1)) == rows(indexed, at.format(block(5).time))
    with pytest.raises(QueryRefused, match="not stored up to that moment"):
        rows(indexed, at.format(block(9).time + 1))


def test_prices_coverage_and_snapshots_are_there(indexed: Store) -> None:
    indexed.add_snapshot(ROW)

    assert rows(indexed, "FROM public.fct_price") == [
        (
            CHAIN,
            hexed(SOURCE),
            Decimal(200_000_000_000),
            Decimal(3),
            datetime(1970, 1, 1, 0, 17, 16),  # noqa: DTZ001
            3,
            0,
            "exact",
            None,
        )
    ]
    assert rows(indexed, "FROM public.fct_coverage") == [(CHAIN, f"{VENUE}:logs", 1, 9, "bloom", "every block's bloom")]
    assert rows(indexed, "SELECT snapshot_id, slot_time, state, manifest_hash FROM public.snapshot") == [
        (ROW.snapshot_id, datetime(2023, 11, 14, 22, 13, 20), "made", "00" * 32)  # noqa: DTZ001
    ]
