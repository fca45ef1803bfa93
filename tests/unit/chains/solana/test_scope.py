"""Scope's price accounts, made of their fields: there is no recorded one."""

from __future__ import annotations

import hashlib

import pytest

from chains.solana.oracles.scope import DatedPrice, NoPrice, chain_price, dated_prices
from chains.solana.oracles.scope.account import ENTRIES, NONE, ORACLE_PRICES
from tests.support.kamino_accounts import scope

ENTRY = DatedPrice(15_000, 2, 7, 1000)


def test_the_account_has_the_size_and_the_beginning_of_its_kind() -> None:
    assert ORACLE_PRICES.size == 28_712
    assert ORACLE_PRICES.discriminator == hashlib.sha256(b"account:OraclePrices").digest()[:8]


def test_entries_are_read_by_index_and_what_was_never_written_is_zero() -> None:
    data = scope({0: ENTRY, 511: (1, 18, 9, 2000)}).data

    assert dated_prices(data, [511, 0, 3]) == {
        0: ENTRY,
        3: DatedPrice(0, 0, 0, 0),
        511: DatedPrice(1, 18, 9, 2000),
    }


def test_an_index_beyond_the_end_has_no_entry() -> None:
    assert dated_prices(scope({0: ENTRY}).data, [ENTRIES, NONE]) == {}


@pytest.mark.parametrize("data, problem", [(b"", "has 0 bytes"), (bytes(28_712), "begins with 0000000000000000")])
def test_another_account_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(NoPrice, match=problem):
        dated_prices(data, [0])


def test_a_chain_ends_at_the_first_index_that_does_not_exist() -> None:
    prices = {1: DatedPrice(3, 1, 9, 50), 2: DatedPrice(7, 2, 8, 60), 3: DatedPrice(11, 0, 1, 1)}

    assert chain_price(prices, [1, 2, NONE, 3]) == DatedPrice(21, 3, 8, 50)
    assert chain_price(prices, [1, NONE, NONE, NONE]) == prices[1]


@pytest.mark.parametrize(
    "chain, problem",
    [([0, 0, 0, 0], "not set"), ([NONE] * 4, "empty"), ([1, 1, 1, 1], "does not fit 128 bits")],
)
def test_a_chain_without_a_price_is_refused(chain: list[int], problem: str) -> None:
    with pytest.raises(NoPrice, match=problem):
        chain_price({1: DatedPrice(2**63, 0, 1, 1)}, chain)
