"""What analysts see of a group: banks as markets of their tokens, and what was observed as history in tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chains.identifiers import base58
from chains.model import ChainSpec
from indexer.store import Registry, Store
from tests.support.marginfi_runs import Journals
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    ANNS,
    GROUP_KEY,
    SOL,
    SOL_MINT,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    balance,
    bank,
    group,
    member,
    seen,
    venue,
)
from tests.unit.store.builders import append
from tests.unit.store.slots import CLUSTER, slot_batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    journals = Journals(replace(venue(), chain_id=CLUSTER))
    journals.fold(
        [
            (GROUP_KEY, seen(group(), slot=4)),
            (SOL, seen(bank(), slot=4)),
            (USDC, seen(bank(USDC_MINT, USDC_PRICE, mint_decimals=6), slot=4)),
            (ANNS, seen(member(ANN, balance(SOL, held=3 * 10**9)), slot=4)),
        ]
    )
    journals.fold([(ANNS, seen(member(ANN, balance(SOL, held=3 * 10**9), balance(USDC, owed=5 * 10**6)), slot=6))])
    chain = ChainSpec(id=CLUSTER, name="cluster", rpc=(), finality="confirmed", start_block=1)
    with Store.open(tmp_path / "store.duckdb") as store:
        store.register(Registry(chains=[chain], venues=[journals.venue]))
        append(store, slot_batch(1, 9, journals.rows))
        yield store


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return store.query(sql, timeout_s=20, max_rows=99).rows


def test_banks_are_markets_of_their_mints_with_their_terms(store: Store) -> None:
    sql = "SELECT market_address, asset_address, decimals, ltv_bps, liquidation_threshold_bps FROM public.dim_market ORDER BY 1"

    assert rows(store, sql) == sorted(
        [
            (base58(SOL), base58(SOL_MINT), 9, 7500, 8750),
            (base58(USDC), base58(USDC_MINT), 6, 7500, 8750),
        ]
    )


def test_an_observed_change_is_history_in_tokens(store: Store) -> None:
    sql = "SELECT transaction_type, token_address, amount, amount_raw FROM public.lending_event"

    assert rows(store, sql) == [("borrow", base58(USDC_MINT), 5, Decimal(5 * 10**6))]


def test_each_position_is_shown_once_with_its_tokens_decimals(store: Store) -> None:
    sql = "SELECT market_address, side, decimals FROM public.fct_position ORDER BY side DESC"

    assert rows(store, sql) == [(base58(SOL), "supply", 9), (base58(USDC), "borrow", 6)]
