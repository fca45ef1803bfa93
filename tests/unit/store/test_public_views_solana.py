"""The same views over a chain that writes its addresses in base 58, and over both kinds at once."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import END_OF_BLOCK, FEEDS, Basis, ChainSpec, FeedSpec, Rows, VenueSpec
from indexer.store import Registry, Store
from tests.unit.store.builders import ASSET, CHAIN, append, batch, digest, event, finalize, market, position, price
from tests.unit.store.slots import ALICE, BOB, CLUSTER, signature, slot_batch, slot_block

ESCROW = VenueSpec(id="vault", protocol="spl-escrow", chain_id=CLUSTER, address=b"\x0a" * 32, start_block=1)
EVM_ESCROW = VenueSpec(id="safe", protocol="escrow", chain_id=CHAIN, address=b"\x0b" * 20, start_block=1)
MINT = b"\x00" + b"\x07" * 31
PRICE_ACCOUNT = b"\x08" * 32
FEED_ID = b"\xef" * 32


@pytest.fixture
def indexed(store: Store) -> Store:
    store.register(
        Registry(
            chains=[ChainSpec(id=CLUSTER, name="cluster", rpc=(), finality="confirmed", start_block=1)],
            venues=[ESCROW, EVM_ESCROW],
            feeds=[
                FeedSpec(
                    asset=f"{CLUSTER}/token:{base58(MINT)}",
                    kind="pyth-solana",
                    chain_id=CLUSTER,
                    address=PRICE_ACCOUNT,
                    heartbeat_s=60,
                    deviation=0.01,
                    feed_id=FEED_ID,
                    max_confidence=0.02,
                )
            ],
        )
    )
    phase = f'{{"aggregator":"0x{PRICE_ACCOUNT.hex()}","decimals":8,"fault":null,"problem":null}}'
    token = '{"decimals":6,"symbol":"USDC"}'
    rows = Rows(
        markets=[
            market(3, token, venue_id="vault", market=MINT, aspect="token"),
            market(3, '{"balance":"5","claims":"5"}', venue_id="vault", market=MINT, aspect="vault"),
            market(4, phase, ordinal=END_OF_BLOCK, venue_id=FEEDS, market=PRICE_ACCOUNT, aspect="phase"),
        ],
        positions=[position(4, 2_500_000, owner=ALICE, market=MINT, venue_id="vault")._replace(asset=MINT)],
        prices=[price(4, 7_282_000_000, source=PRICE_ACCOUNT, ordinal=END_OF_BLOCK, confidence_raw=4_100_000)],
        events=[
            event(4, 2_500_000, venue_id="vault", owner=ALICE, asset=MINT, counterparty=BOB)._replace(
                tx_hash=signature(4, 0)
            )
        ],
    )
    append(store, slot_batch(1, 9, rows, skipped={3}, transactions=[(4, 0)]))
    finalize(store, 8, CLUSTER)
    return store


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.query(sql, timeout_s=20, max_rows=999).rows


def test_a_chain_tells_how_far_it_is_indexed(indexed: Store) -> None:
    assert rows(indexed, "FROM public.dim_chain") == [
        (CLUSTER, "cluster", "confirmed", 1, 9, base58(slot_block(9).hash), datetime(1970, 1, 1, 0, 16, 44), 8)  # noqa: DTZ001
    ]


def test_names_are_readable(indexed: Store) -> None:
    assert rows(indexed, "FROM public.dim_venue WHERE venue_id = 'vault'") == [
        ("vault", "spl-escrow", CLUSTER, base58(b"\x0a" * 32), 1)
    ]
    assert rows(indexed, "FROM public.dim_feed") == [
        (
            f"{CLUSTER}/token:{base58(MINT)}",
            "pyth-solana",
            CLUSTER,
            base58(PRICE_ACCOUNT),
            60,
            0.01,
            base58(PRICE_ACCOUNT),
            8,
            "0x" + "ef" * 32,
            0.02,
        )
    ]
    assert rows(indexed, "FROM public.dim_market") == [
        ("vault", CLUSTER, base58(MINT), base58(MINT), None, "USDC", 6, *[None] * 7)
    ]
    assert base58(MINT).startswith("1")


def test_a_feed_without_a_source_now_has_none(indexed: Store) -> None:
    gone = market(10, '{"aggregator":null,"decimals":null}', venue_id=FEEDS, market=PRICE_ACCOUNT, aspect="phase")
    append(indexed, slot_batch(10, 10, Rows(markets=[gone])))

    assert rows(indexed, "SELECT source_address, answer_decimals FROM public.dim_feed") == [(None, None)]


def test_an_event_reads_like_a_sentence(indexed: Store) -> None:
    assert rows(indexed, "FROM public.lending_event") == [
        (
            CLUSTER,
            "spl-escrow",
            None,
            "vault",
            "supply",
            "USDC",
            base58(MINT),
            base58(ALICE),
            base58(BOB),
            2.5,
            Decimal(2_500_000),
            date(1970, 1, 1),
            datetime(1970, 1, 1, 0, 16, 42),  # noqa: DTZ001
            4,
            base58(b"\x0a" * 32),
            base58(signature(4, 0)),
            0,
            "{}",
            "exact",
        )
    ]


def test_supply_and_positions_are_of_both_kinds_of_chains(indexed: Store) -> None:
    token = market(2, '{"decimals":18,"symbol":null}', venue_id="safe", market=ASSET, aspect="token")
    held = position(5, 10**18, market=ASSET, venue_id="safe")
    append(
        indexed,
        batch(1, 9, Rows(markets=[token], positions=[held], events=[event(5, 10**18, venue_id="safe", asset=ASSET)])),
    )

    assert rows(
        indexed,
        "SELECT blockchain, symbol, on_behalf_of, amount, block_time, tx_hash, basis FROM public.lending_supply ORDER BY 1",
    ) == [
        (CHAIN, None, "0x" + "0c" * 20, 1.0, datetime(1970, 1, 1, 0, 17, 40), f"0x{digest(5, 'tx0').hex()}", "exact"),  # noqa: DTZ001
        (CLUSTER, "USDC", base58(ALICE), 2.5, datetime(1970, 1, 1, 0, 16, 42), base58(signature(4, 0)), "exact"),  # noqa: DTZ001
    ]
    found = rows(
        indexed,
        "SELECT chain_id, unit_id, owner_address, market_address, asset_address, symbol, decimals, protocol_raw "
        "FROM public.fct_position ORDER BY 1",
    )
    assert found == [
        (CHAIN, *["0x" + "0c" * 20] * 2, *["0x" + "0a" * 20] * 2, None, 18, Decimal(10**18)),
        (CLUSTER, base58(ALICE), base58(ALICE), base58(MINT), base58(MINT), "USDC", 6, Decimal(2_500_000)),
    ]
    at = "SELECT unit_id, symbol FROM public.fct_position_at('{}', {})"
    assert rows(indexed, at.format(CLUSTER, 4)) == [(base58(ALICE), "USDC")]
    assert rows(indexed, at.format(CLUSTER, 2)) == []
    assert rows(indexed, at.format(CHAIN, 9)) == [("0x" + "0c" * 20, None)]


def test_every_view_of_history_says_how_a_line_came_about(indexed: Store) -> None:
    seen = [
        event(5, 10**18, venue_id="safe", ordinal=number, kind=kind, basis=Basis.OBSERVED)
        for number, kind in enumerate(("supply", "withdraw", "borrow", "repay", "liquidation"))
    ]
    append(indexed, batch(1, 9, Rows(events=[*seen, event(6, 1, venue_id="safe", kind="borrow")])))

    of = "SELECT transaction_type, basis FROM public.{} WHERE venue_id = 'safe' ORDER BY block_number, evt_index, 1"
    assert rows(indexed, of.format("lending_supply")) == [
        ("deposit", "observed"), ("withdraw", "observed"), ("deposit_liquidation", "observed"),
    ]  # fmt: skip
    assert rows(indexed, of.format("lending_borrow")) == [
        ("borrow", "observed"), ("repay", "observed"), ("borrow_liquidation", "observed"), ("borrow", "exact"),
    ]  # fmt: skip
    assert rows(indexed, "SELECT basis FROM public.lending_liquidation") == [("observed",)]


def test_a_price_has_its_confidence(indexed: Store) -> None:
    found = rows(indexed, "SELECT source_address, answer_raw, confidence_raw FROM public.fct_price")

    assert found == [(base58(PRICE_ACCOUNT), Decimal(7_282_000_000), Decimal(4_100_000))]


def test_an_address_can_be_looked_for_as_people_write_it(indexed: Store) -> None:
    ask = "SELECT count(*) FROM public.fct_position WHERE owner_address = '{}'"

    assert rows(indexed, ask.format(base58(ALICE))) == [(1,)]
    assert rows(indexed, ask.format(base58(BOB))) == [(0,)]
