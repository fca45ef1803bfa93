"""The Solana adapter: spans of slots become batches of raw and derived rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from chains.errors import ChainError, NodeBusy, NodeWrong, Unsupported
from chains.model import Block, ChainSpec, FeedSpec, Skipped, VenueSpec
from chains.ports import Batch, Head, RawReader, StateReader
from chains.registry import PROTOCOLS
from chains.rpc import NodePool
from chains.solana.dialect import SolanaDialect
from chains.solana.news import News
from chains.solana.oracles.pyth import Pyth
from chains.solana.ports import Listed, SlotBlock, SolanaProtocol
from chains.solana.source import LOOK_AROUND, NodeSource, SolanaSource, StoredSource
from chains.solana.span import Span

SPAN_FIRST, SPAN_LAST = 20_000, 2_000_000
UNSETTLED_SPAN = 500
MANY, FEW, FEWEST = 4_000, 500, 50
"""Transactions in one batch; a node that limits or lags is asked for fewer, until it gives."""


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    on_error: Callable[[str, ChainError], None] | None = None,
) -> SolanaChain:
    """Make the adapter of a cluster over its nodes, or over what was `stored` of it up to `cursor`."""
    if stored is not None and cursor is not None:
        return SolanaChain(spec, StoredSource(stored, cursor), venues, feeds, news=News(()))
    pool = NodePool(spec.id, SolanaDialect(), spec.rpc, on_error=on_error)
    return SolanaChain(spec, NodeSource(spec, pool), venues, feeds, news=News(spec.ws, on_error=on_error))


class SolanaChain:
    """One cluster with the venues and feeds that are configured on it."""

    def __init__(
        self,
        spec: ChainSpec,
        source: SolanaSource,
        venues: Sequence[VenueSpec],
        feeds: Sequence[FeedSpec],
        *,
        news: News,
    ) -> None:
        self._spec = spec
        self._news = news
        self._span = SPAN_FIRST
        self._many = MANY
        self._head: Block | None = None
        self.source = source
        self.venues = [_adapter(venue) for venue in venues if venue.chain_id == spec.id]
        self.pyth = Pyth([feed for feed in feeds if feed.chain_id == spec.id and feed.kind == "pyth-solana"])

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        return self._spec

    @property
    def watched(self) -> list[bytes]:
        """The accounts whose bytes are read with the head: prices, and what venues hold."""
        return sorted({*self.pyth.addresses, *(address for venue in self.venues for address in venue.addresses)})

    async def head(self) -> Head:
        """Return the newest block, with what the watched accounts hold there, and the newest final slot."""
        head = await self.source.look(self.watched)
        self._head = head.latest
        return head

    async def block(self, number: int) -> Block | Skipped | None:
        """Return the block of a slot, or the proof that there is none."""
        match await self.source.block(number):
            case SlotBlock(block=block):
                return block
            case other:
                return other

    async def floor(self, number: int) -> int:
        """Return the newest slot at or below one that holds a block."""
        found = await self.source.floor(number, self._spec.start_block)
        return self._spec.start_block - 1 if found is None else found

    async def news(self, timeout_s: float) -> None:
        """Wait for a notification about a watched account or the root."""
        await self._news.wait(timeout_s, self.watched, self._spec.finality)

    async def aclose(self) -> None:
        """Close connections."""
        await self._news.aclose()
        await self.source.aclose()

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold slots from `first` to at most `last`; those up to `settled` cannot change any more.

        Raises `NodeWrong` where none of them holds a block.
        """
        limit = min(last, first + (self._span if first <= settled else UNSETTLED_SPAN) - 1)
        if first <= settled:
            limit = min(limit, settled)
        listed = await self._listed(first, limit, settled)
        end, listed = await self._end(first, limit, last, listed)
        span = Span(
            self._spec.id, self.source, self.venues, self.pyth, first=first, last=end, settled=settled, state=state
        )
        try:
            batch = await span.batch(listed)
        except NodeBusy:
            self._many = max(FEWEST, self._many // 2)
            raise
        if self._head is not None and end == self._head.number and batch.last != self._head:
            raise NodeWrong(f"chain {self._spec.id}: block {end} was replaced while it was read")
        self._adapt(len(listed))
        return batch

    async def _listed(self, first: int, last: int, settled: int) -> list[Listed]:
        """List what happened to all accounts of all venues, each transaction once."""
        addresses = sorted({address for venue in self.venues for address in venue.addresses})
        found: set[Listed] = set()
        for address in addresses:
            found.update(await self.source.listed(address, first, last, settled))
        return sorted(found)

    async def _end(self, first: int, limit: int, last: int, listed: list[Listed]) -> tuple[int, list[Listed]]:
        """Choose the block that ends the batch: not too many transactions, and a slot that holds a block."""
        if len(listed) > self._many:
            end = listed[self._many - 1].slot
            return end, [item for item in listed if item.slot <= end]
        if self._head is not None and limit == self._head.number:
            return limit, listed
        below = await self.source.floor(limit, first)
        if below is not None:
            return below, listed
        above = await self._next_block(limit + 1, last)
        return above, await self._listed(first, above, above)

    async def _next_block(self, slot: int, last: int) -> int:
        """Return the first slot from `slot` on that holds a block."""
        start, width = slot, LOOK_AROUND
        while start <= last:
            found = await self.source.slots(start, min(last, start + width - 1))
            if found:
                return found[0]
            start, width = start + width, width * 4
        raise NodeWrong(f"chain {self._spec.id}: the node lists no block in slots {slot}..{last}; check the node")

    def _adapt(self, transactions: int) -> None:
        self._many = min(MANY, self._many * 2)
        if transactions > MANY:
            self._span = max(1, self._span // 2)
        elif transactions < FEW:
            self._span = min(SPAN_LAST, self._span * 2)


def _adapter(venue: VenueSpec) -> SolanaProtocol:
    if venue.protocol not in PROTOCOLS or not PROTOCOLS[venue.protocol].startswith("chains.solana."):
        raise Unsupported(f"venue {venue.id}: protocol {venue.protocol!r} is not a Solana protocol known here")
    adapter: SolanaProtocol = import_module(PROTOCOLS[venue.protocol]).adapter(venue)
    return adapter
