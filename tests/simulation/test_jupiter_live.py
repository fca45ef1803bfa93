"""A vault of Jupiter Lend on a ledger: what the adapter stores of it is what the vault holds, and who holds a position's token owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import duckdb
import pytest
from solders.pubkey import Pubkey

from chains.model import ChainSpec, Side, VenueSpec, VenueUnit
from chains.registry import connect, open_book
from chains.solana.jupiter_lend.layout import ORACLES
from chains.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from indexer.loop import index, rebuild
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.support.indexing import Heard
from tests.support.jupiter_accounts import (
    VENUE,
    Accounts,
    Setting,
    accounts_of,
    derived,
    position_address,
    position_mint,
    token_account,
)
from tests.support.jupiter_crowd import Crowd
from tests.support.programs import deploy
from tests.support.tables import assert_same_tables

WALLETS = [bytes([letter]) * 32 for letter in b"wxyz"]


@pytest.fixture
def net() -> Iterator[Devnet]:
    with build(seed=5, users=2, actions=0) as net:
        yield net


class World:
    """A crowd whose vault is on the ledger, and whose positions' tokens go from wallet to wallet."""

    def __init__(self, net: Devnet, seed: int) -> None:
        self.ledger = net.ledger
        for program in (VENUE.address, ORACLES):
            deploy(net.ledger, program, net.ledger.tip.slot)
        self.crowd = Crowd(seed)
        self.random = Random(seed)
        self.wallets: dict[int, bytes] = {}
        self.on_ledger: Accounts = {}

    def live(self, steps: int) -> None:
        self.crowd.live(steps)
        time = self.ledger.tip.time
        wanted = accounts_of(self.crowd.vault, replace(Setting(), time=time, price=self.crowd.rate // 10**7), 0)
        for position in self.crowd.vault.positions:
            if position not in self.wallets or self.random.random() < 0.15:
                self.wallets[position] = self.random.choice(WALLETS)
            wanted |= self._tokens(position)
        for address in self.on_ledger.keys() - wanted.keys():
            self.ledger.close(Pubkey(address))
        for address, account in wanted.items():
            if self.on_ledger.get(address) != account:
                self.ledger.set_account(Pubkey(address), owner=Pubkey(account.owner), data=account.data)
        self.on_ledger = wanted
        self.ledger.mine()
        self.ledger.idle(1)

    def _tokens(self, position: int) -> Accounts:
        """The wallet's token account; some wallets that had the token keep theirs, empty."""
        mint, program = position_mint(7, position), TOKEN_2022_PROGRAM if position % 3 == 0 else TOKEN_PROGRAM
        holder = self.wallets[position]
        found = {derived(mint, holder): token_account(mint, holder, 1, 0, program)}
        emptied = [wallet for wallet in WALLETS[::2] if wallet != holder and derived(mint, wallet) in self.on_ledger]
        return found | {derived(mint, wallet): token_account(mint, wallet, 0, 0, program) for wallet in emptied}

    def compare(self, units: dict[bytes, VenueUnit], held: dict[bytes, dict[Side, int]]) -> int:
        """Compare every position with the vault's own, and its owner with who has its token."""
        vault = self.crowd.vault
        for number in vault.positions:
            unit, expected = units[position_address(7, number)], vault.fetch(number)
            assert unit.native is not None, unit.reasons
            assert (unit.native["col_raw"], unit.native["debt_raw"]) == (expected.supply, expected.debt)
            stored = held[unit.unit_id]
            assert (stored.get(Side.SUPPLY, 0), stored.get(Side.BORROW, 0)) == (expected.supply, expected.debt)
            assert unit.owner == self.wallets[number]
        return len(vault.positions)


def spec(net: Devnet) -> ChainSpec:
    return ChainSpec(
        id=net.chain_id, name="devnet", rpc=(net.url,), finality="confirmed", start_block=net.ledger.first_slot
    )


def venue(net: Devnet) -> VenueSpec:
    return replace(VENUE, chain_id=net.chain_id, start_block=net.ledger.first_slot)


def stored(net: Devnet, store: Store) -> tuple[dict[bytes, VenueUnit], dict[bytes, dict[Side, int]]]:
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    with store.reading() as reader:
        value = open_book("jupiter-lend")(reader.venue_snapshot(venue(net), cursor.block))
        snapshots = reader.unit_snapshots(venue(net), cursor.block)
    held = {each.unit_id: {side: amount for (_, side), amount in each.positions.items()} for each in snapshots}
    return {each.unit_id: value(each) for each in snapshots}, held


def views(path: Path) -> dict[str, set[tuple[str, str | int]]]:
    """What people see of the tables: decimals by side, and what is an alert."""
    asked = {
        "dim_market": "SELECT DISTINCT 'borrow', decimals FROM public.dim_market",
        "fct_position": "SELECT DISTINCT side, decimals FROM public.fct_position",
        "venue_alert": "SELECT DISTINCT kind, aspect FROM public.venue_alert",
    }
    with duckdb.connect(str(path), read_only=True) as con:
        return {name: {(row[0], row[1]) for row in con.execute(query).fetchall()} for name, query in asked.items()}


def test_positions_and_their_owners_are_found_at_every_head_and_derive_alike(net: Devnet, tmp_path: Path) -> None:
    world, path = World(net, seed=5), tmp_path / "store.duckdb"

    async def live(store: Store) -> int:
        chain, compared = connect(spec(net), [venue(net)], []), 0
        for _ in range(6):
            world.live(25)
            for _ in range(3):  # what is there, who has its token, and again where that has moved
                await index(chain, store, until="latest", listener=Heard())
                net.ledger.idle(1)
            compared += world.compare(*stored(net, store))
        await chain.aclose()
        return compared

    with Store.open(path) as store:
        assert asyncio.run(live(store)) > 100
    assert views(path) == {
        "dim_market": {("borrow", 6)},
        "fct_position": {("supply", 9), ("borrow", 6)},
        "venue_alert": {("implementation", "code"), ("listing", "params"), ("terms", "terms"), ("oracle", "oracle")},
    }
    assert sum(branch.status > 0 for branch in world.crowd.vault.branches.values()) > 0
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    with Store.open(copy) as store:
        asyncio.run(rebuild(spec(net), [venue(net)], [], store, listener=Heard()))
        assert world.compare(*stored(net, store)) > 20
    assert assert_same_tables(path, copy) > 50


def test_an_adapter_that_starts_anew_looks_for_holders_from_its_second_look_on(net: Devnet, tmp_path: Path) -> None:
    world = World(net, seed=7)
    world.live(30)

    async def looks(store: Store, count: int) -> None:
        chain = connect(spec(net), [venue(net)], [])
        for _ in range(count):
            await index(chain, store, until="latest", listener=Heard())
            net.ledger.idle(1)
        await chain.aclose()

    with Store.open(tmp_path / "store.duckdb") as store:
        asyncio.run(looks(store, 1))
        owners = {unit.owner for unit in stored(net, store)[0].values()}
        assert owners == {position_mint(7, number) for number in world.crowd.vault.positions}
        asyncio.run(looks(store, 2))
        assert world.compare(*stored(net, store)) > 3
