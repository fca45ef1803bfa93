"""SPL vaults on a devnet with the real token programs: exact at every block, however often one looked, and undone with a lost fork."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chains.controls import StoredWhole, told
from chains.model import Block
from chains.ports import Outcome
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.support.solana_indexing import VENUE, Holdings, holdings, indexed, token_amount, venue_of

SEEDS = (11, 12, 13)


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed-{seed}")
def net(request: pytest.FixtureRequest) -> Iterator[Devnet]:
    with build(seed=request.param, users=30, actions=400, price_every=20, rare=request.param == SEEDS[-1]) as net:
        net.finalize()
        yield net


@pytest.fixture(scope="module")
def store(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("store") / "store.duckdb"
    indexed(net, path)
    with Store.open(path) as store:
        yield store


def test_at_the_head_every_depositor_has_what_the_token_programs_moved(net: Devnet, store: Store) -> None:
    cursor = store.cursor(net.chain_id)

    assert cursor is not None
    assert_exact(net, holdings(net, store), cursor.block.number)
    assert len(net.expected_at(cursor.block.number).nets) > 50


def test_so_it_was_after_every_block_with_a_transaction(net: Devnet, store: Store) -> None:
    blocks = blocks_with_transactions(net, store)

    for block in blocks[::9]:
        assert_exact(net, holdings(net, store, block), block.number)
    assert len(blocks) > 80


def test_nothing_was_set_aside(net: Devnet, store: Store) -> None:
    with store.reading() as reader:
        assert reader.counts(net.chain_id)["quarantine"] == 0
        assert reader.counts(net.chain_id)["solana_transaction"] > 200
        assert VENUE in {covered.interest for covered in reader.coverage(net.chain_id)}


def blocks_with_transactions(net: Devnet, store: Store) -> list[Block]:
    slots = set(store.raw(net.chain_id).table("solana_transaction", 0, net.ledger.tip.slot)["slot"].to_pylist())
    return [block for block in store.raw(net.chain_id).blocks(0, net.ledger.tip.slot) if block.number in slots]


def assert_exact(net: Devnet, found: Holdings, slot: int) -> None:
    expected = net.expected_at(slot)
    assert found.nets == expected.nets
    assert found.unattributed == expected.donations
    assert found.accounts == {account: token_amount(net, account, slot) for account in found.accounts}


def test_what_the_accounts_hold_is_what_depositors_put_in_and_what_is_nobody_s(net: Devnet, store: Store) -> None:
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    with store.reading() as reader:
        for block in (cursor.block, *blocks_with_transactions(net, store)[::29]):
            snapshot = reader.venue_snapshot(venue_of(net), block)
            totals = told(StoredWhole.of(snapshot, reader.records(net.chain_id)))
            assert {total.outcome for total in totals} == {Outcome.EQUAL}, totals
            assert {total.name for total in totals} == {"balance of all accounts", "claims"}
