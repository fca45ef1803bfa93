"""A Solana devnet's vault and prices as configured chains, venues and feeds, and what a store says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solders.pubkey import Pubkey

from chains.escrow import VAULT
from chains.identifiers import base58
from chains.model import Block, ChainSpec, FeedSpec, Side, VenueSpec
from chains.ports import Chain
from chains.registry import connect
from indexer.loop import Until
from indexer.store import Store
from tests.devnet.solana.chain import Devnet
from tests.devnet.solana.pyth import FEED_IDS, FEEDS, price_account
from tests.support.indexing import Heard, Narrow, take_in

VENUE = "spl-vault"
ASSETS = {"SOL/USD": "WSOL", "USDC/USD": "USDC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a store says of a vault at a block: nets by (owner, mint), gifts by mint, raw amounts by token account."""

    nets: dict[tuple[str, str], int]
    unattributed: dict[str, int]
    accounts: dict[str, int]


def chain_of(net: Devnet, *, finality: str = "finalized", url: str | None = None, ws: bool = False) -> ChainSpec:
    """The devnet as a configured chain."""
    return ChainSpec(
        id=net.chain_id,
        name="solana-devnet",
        rpc=(url or net.url,),
        finality=finality,
        start_block=net.ledger.first_slot,
        ws=(net.ws_url,) if ws else (),
    )


def venue_of(net: Devnet, *, liabilities: str = "none") -> VenueSpec:
    """The devnet's vault as a configured venue."""
    return VenueSpec(
        id=VENUE,
        protocol="spl-escrow",
        chain_id=net.chain_id,
        address=bytes(net.vault.authority),
        start_block=net.ledger.first_slot,
        options={"accounts": tuple(map(str, net.vault.all_accounts)), "liabilities": liabilities},
    )


def feeds_of(net: Devnet) -> list[FeedSpec]:
    """The price accounts of the devnet as feeds of its tokens."""
    return [
        FeedSpec(
            asset=f"{net.chain_id}/token:{net.mints[ASSETS[symbol]].address}",
            kind="pyth-solana",
            chain_id=net.chain_id,
            address=bytes(price_account(symbol)),
            heartbeat_s=60,
            deviation=0.005,
            feed_id=FEED_IDS[symbol],
            max_confidence=0.02,
        )
        for symbol in FEEDS
        if symbol in ASSETS
    ]


def solana_chain(
    net: Devnet,
    *,
    finality: str = "finalized",
    span: int | None = None,
    feeds: Sequence[FeedSpec] | None = None,
    url: str | None = None,
) -> Chain:
    """The adapter over the devnet's node, in spans of at most `span` slots."""
    found = feeds_of(net) if feeds is None else feeds
    chain: Chain = connect(chain_of(net, finality=finality, url=url), [venue_of(net)], found)
    return chain if span is None else Narrow(chain, span)


def indexed(
    net: Devnet,
    path: Path,
    *,
    finality: str = "finalized",
    until: Until = "latest",
    span: int | None = None,
    feeds: Sequence[FeedSpec] | None = None,
) -> Heard:
    """Index a devnet into the store at `path`."""
    with Store.open(path) as store:
        chain = solana_chain(net, finality=finality, span=span, feeds=feeds)
        return asyncio.run(take_in(chain, store, until=until))


def holdings(net: Devnet, store: Store, at: Block | None = None) -> Holdings:
    """What the store says of the vault at a block, or at the last one."""
    cursor = store.cursor(net.chain_id)
    assert cursor is not None
    venue = venue_of(net)
    with store.reading() as reader:
        units = reader.unit_snapshots(venue, at or cursor.block)
        markets = reader.venue_snapshot(venue, at or cursor.block).markets
    vaults = {base58(market): json.loads(text) for (market, aspect), text in markets.items() if aspect == VAULT}
    return Holdings(
        nets={
            (base58(unit.owner), base58(market)): amount
            for unit in units
            for (market, side), amount in unit.positions.items()
            if side is Side.SUPPLY
        },
        unattributed={mint: int(vault["unattributed"]) for mint, vault in vaults.items() if int(vault["unattributed"])},
        accounts={account: int(amount) for vault in vaults.values() for account, amount in vault["accounts"].items()},
    )


def token_amount(net: Devnet, account: str, slot: int) -> int:
    """What the token program's own bytes said after a slot; 0 for an account that was not there."""
    state = net.ledger.account_at(Pubkey.from_string(account), slot)
    return 0 if state is None else int.from_bytes(state.data[64:72], "little")
