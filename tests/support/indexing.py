"""A devnet's market as configured chains, venues and feeds, and its way into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from chains.errors import ChainError
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.ports import Batch, Chain, Head, StateReader
from chains.registry import connect
from indexer.loop import Progress, Until, index
from indexer.store import Store
from tests.devnet.evm.chain import Devnet


def raw(address: str) -> bytes:
    """The bytes of an `0x…` address."""
    return bytes.fromhex(address[2:])


@dataclass(slots=True)
class Heard:
    """A listener that remembers."""

    appended_: list[Progress] = field(default_factory=list)
    rewound_: list[tuple[str, int, int]] = field(default_factory=list)
    failed_: list[ChainError] = field(default_factory=list)

    def appended(self, progress: Progress) -> None:
        self.appended_.append(progress)

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        self.rewound_.append((chain_id, depth, to))

    def polled(self, chain_id: str, head: Head) -> None:
        pass

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        self.failed_.append(error)


def chain_of(net: Devnet, *, finality: str = "finalized", url: str | None = None) -> ChainSpec:
    """The devnet as a configured chain."""
    return ChainSpec(
        id=f"eip155:{net.chain_id}", name="devnet", rpc=(url or net.url,), finality=finality, start_block=0
    )


def venue_of(net: Devnet) -> VenueSpec:
    """The devnet's market as a configured venue."""
    return VenueSpec(
        id=f"aave-{net.chain_id}",
        protocol="aave-v3",
        chain_id=f"eip155:{net.chain_id}",
        address=raw(net.market.pool),
        start_block=net.market.start_block,
    )


def feeds_of(net: Devnet) -> list[FeedSpec]:
    """The feeds of the devnet's reserves, as configured feeds of their assets."""
    chain_id = f"eip155:{net.chain_id}"
    return [
        FeedSpec(
            asset=f"{chain_id}/erc20:{reserve.asset}",
            kind="chainlink",
            chain_id=chain_id,
            address=raw(reserve.feed.proxy),
            heartbeat_s=3_600,
            deviation=0.005,
        )
        for reserve in net.market.reserves
    ]


async def take_in(chain: Chain, store: Store, *, until: Until = "latest", heard: Heard | None = None) -> Heard:
    """Index one chain and close its connections."""
    heard = heard or Heard()
    async with aclosing(chain):
        await index(chain, store, until=until, listener=heard)
    return heard


def indexed(
    net: Devnet,
    path: Path,
    *,
    feeds: Sequence[FeedSpec] = (),
    finality: str = "finalized",
    until: Until = "latest",
    span: int | None = None,
) -> Heard:
    """Index a devnet into the store at `path`, in spans of at most `span` blocks."""
    chain: Chain = connect(chain_of(net, finality=finality), [venue_of(net)], feeds)
    chain = chain if span is None else Narrow(chain, span)
    with Store.open(path) as store:
        return asyncio.run(take_in(chain, store, until=until))


class Narrow:
    """A chain whose batches are cut to a few blocks."""

    def __init__(self, chain: Chain, span: int) -> None:
        self._chain = chain
        self._span = span
        self.head = chain.head
        self.block = chain.block
        self.floor = chain.floor
        self.attest = chain.attest
        self.examine = chain.examine
        self.news = chain.news
        self.aclose = chain.aclose

    @property
    def spec(self) -> ChainSpec:
        return self._chain.spec

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        end = min(last, first + self._span - 1)
        while await self._chain.floor(end) < first:
            end = min(last, end + self._span)
        return await self._chain.advance(first, end, settled, state)
