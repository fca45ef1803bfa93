"""Price accounts of a devnet in a real store: what changed is a row, what is gone is a tombstone, what was lost is undone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chains.model import FEEDS
from chains.registry import connect
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.pyth import FEED_IDS, RECEIVER, PriceUpdate, price_account
from tests.support.indexing import take_in
from tests.support.solana_indexing import chain_of, feeds_of

SOL = "SOL/USD"
ACCOUNT = price_account(SOL)
UPDATE = PriceUpdate(
    account=ACCOUNT,
    feed_id=FEED_IDS[SOL],
    price=100,
    confidence=1,
    exponent=-8,
    publish_time=1_738_726_400,
    previous_publish_time=0,
    ema_price=0,
    ema_confidence=0,
    posted_slot=5,
)


@dataclass(slots=True)
class Prices:
    """A chain with one price account, and a store that has looked at it."""

    net: Devnet
    store: Store

    def post(self, price: int, **changes: Any) -> None:
        replace(UPDATE, price=price, **changes).post(self.net.ledger)
        self.net.ledger.idle(2)

    def look(self) -> None:
        (feed,) = [feed for feed in feeds_of(self.net) if feed.address == bytes(ACCOUNT)]
        adapter = connect(chain_of(self.net, finality="confirmed"), [], [feed])
        asyncio.run(take_in(adapter, self.store))

    @property
    def rows(self) -> list[tuple[int, bool]]:
        """Every stored state of the account: what the account held, and whether it was gone."""
        raw = self.store.raw(self.net.chain_id).table("solana_account", 0, 2**62).to_pylist()
        return [(int.from_bytes(row["data"][73:81], "little"), row["closed"]) for row in raw]

    @property
    def last(self) -> tuple[int | None, str | None, str | None]:
        """The last answer, with the phase's fault and problem."""
        state = self.store.state(self.net.chain_id)
        phase = json.loads(state.markets(FEEDS)[bytes(ACCOUNT), "phase"])
        return state.answers().get(bytes(ACCOUNT)), phase["fault"], phase["problem"]


@pytest.fixture
def prices(tmp_path: Path) -> Iterator[Prices]:
    with (
        build(seed=5, users=1, actions=0, skips=False, wrapped_sol=True) as net,
        Store.open(tmp_path / "store.duckdb") as store,
    ):
        yield Prices(net, store)


def test_bytes_that_did_not_change_are_no_row(prices: Prices) -> None:
    prices.post(100)
    prices.look()
    for _ in range(3):
        prices.net.ledger.idle(2)
        prices.look()

    assert prices.rows == [(100, False)]
    assert prices.last == (100, None, None)


def test_an_account_that_goes_leaves_a_tombstone_and_one_that_comes_back_is_believed_again(prices: Prices) -> None:
    prices.post(100)
    prices.look()
    prices.net.ledger.close(ACCOUNT)
    prices.net.ledger.idle(2)
    prices.look()
    prices.look()
    gone = prices.last
    prices.post(101)
    prices.look()

    assert gone == (100, None, "there is no account at this address")
    assert prices.rows == [(100, False), (0, True), (101, False)]
    assert prices.last == (101, None, None)


def test_an_account_that_never_was_is_a_tombstone_from_the_first(prices: Prices) -> None:
    prices.look()

    assert prices.rows == [(0, True)]
    assert prices.last == (None, None, "there is no account at this address")


def test_faults_come_and_go_with_the_bytes(prices: Prices) -> None:
    prices.post(100, signatures=5)
    prices.look()
    partial = prices.last
    prices.post(101, feed_id=b"\x01" * 32)
    prices.look()
    other = prices.last
    prices.net.ledger.set_account(ACCOUNT, owner=Pubkey.default(), data=UPDATE.encoded())
    prices.net.ledger.idle(2)
    prices.look()
    stolen = prices.last
    prices.net.ledger.set_account(ACCOUNT, owner=RECEIVER, data=UPDATE.encoded())
    prices.post(102)
    prices.look()

    assert partial[0] == 100
    assert str(partial[1]).startswith("only 5 guardian signatures")
    assert str(other[1]).startswith("the account holds the price of feed 0101")
    assert str(stolen[2]).startswith("the account belongs to program 1111")
    assert prices.last == (102, None, None)


@pytest.mark.parametrize("after", ["another price", "no account"])
def test_what_a_lost_fork_did_to_an_account_is_undone(after: str, prices: Prices) -> None:
    prices.post(100)
    prices.look()
    if after == "another price":
        prices.post(77, signatures=3)
    else:
        prices.net.ledger.close(ACCOUNT)
        prices.net.ledger.idle(2)
    prices.look()
    lost = prices.last
    prices.net.rollback(2, reuse_slots=True)
    prices.net.ledger.idle(4)
    prices.look()

    assert lost != (100, None, None)
    assert prices.rows == [(100, False)]
    assert prices.last == (100, None, None)
