"""A devnet with a lending market and a vault, taken into stores that are registered and restated as the product does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.ports import Chain
from chains.registry import connect
from indexer.lacking import Configured
from indexer.loop import Until
from indexer.restating import Restater
from indexer.store import Registry, Restatement, Store
from tests.devnet.evm.chain import Devnet
from tests.devnet.evm.vault import Custody
from tests.support.indexing import Heard, Narrow, raw

AT = 1_700_000_000
"""When tests restate, Unix seconds."""


@dataclass(slots=True)
class HeardBeside(Heard):
    """A listener that remembers what was restated, too."""

    restated_: list[Restatement] = field(default_factory=list)
    abandoned_: list[Exception] = field(default_factory=list)

    def restated(self, line: Restatement) -> None:
        self.restated_.append(line)

    def abandoned(self, chain_id: str, error: Exception) -> None:
        self.abandoned_.append(error)


def vault_of(custody: Custody) -> VenueSpec:
    """The vault as a configured venue."""
    return VenueSpec(
        id="vault",
        protocol="escrow",
        chain_id=f"eip155:{custody.chain_id}",
        address=raw(custody.vault.address),
        start_block=custody.vault.start_block,
        options={},
    )


def spec_of(net: Devnet, *, finality: str = "finalized", rpc: Sequence[str] = ()) -> ChainSpec:
    """The devnet as a configured chain, perhaps over other nodes."""
    return ChainSpec(
        id=f"eip155:{net.chain_id}", name="devnet", rpc=tuple(rpc) or (net.url,), finality=finality, start_block=0
    )


def restater(
    store: Store,
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec] = (),
    *,
    span: int | None = None,
    heard: HeardBeside | None = None,
) -> Restater:
    """Register a configuration with a store and make what takes its chain in, in batches of at most `span` blocks."""

    def made(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> Chain:
        chain: Chain = connect(spec, venues, feeds)
        return chain if span is None else Narrow(chain, span)

    store.register(Registry(chains=[spec], venues=venues, feeds=feeds))
    here = Configured(spec=spec, venues=tuple(venues), feeds=tuple(feeds))
    told = heard or HeardBeside()
    return Restater(here=here, store=store, connect=made, listener=Heard(), told=told, clock=lambda: AT)


def indexed(
    path: Path,
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec] = (),
    *,
    until: Until = "latest",
    span: int | None = None,
) -> HeardBeside:
    """Index a chain into the store at `path` and fill in what is lacking there."""
    heard = HeardBeside()
    with Store.open(path) as store:
        asyncio.run(restater(store, spec, venues, feeds, span=span, heard=heard).index(until))
    return heard
