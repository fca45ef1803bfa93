"""The Solana adapter: spans of slots become batches of raw and derived rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module

from chains.agreeing import Agreement, agreement
from chains.auditing import Controlled, Later, Reply, WholeRecords
from chains.completeness import SECOND_NODE
from chains.controls import StoredWhole, told
from chains.errors import HistoryGone, NodeBusy, NodeWrong, Unsupported
from chains.model import AccountBytes, Block, ChainSpec, FeedSpec, Rows, Skipped, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import Batch, Checked, Examined, Head, Observer, RawReader, Records, StateReader
from chains.registry import PROTOCOLS
from chains.rpc import NodePool
from chains.rpc.together import gathered
from chains.solana import agreeing
from chains.solana.after import After, Nothing
from chains.solana.dialect import SolanaDialect
from chains.solana.history import History
from chains.solana.later import later
from chains.solana.news import News
from chains.solana.nodes import NodeSource
from chains.solana.options import wants_transactions
from chains.solana.oracles.feeds import Feeds
from chains.solana.ports import AccountProtocol, AccountSet, Listing, Seeking, SlotBlock, SolanaProtocol
from chains.solana.programs import programs_of, watched_of
from chains.solana.second import Witness
from chains.solana.source import LOOK_AROUND, SolanaSource, Watched
from chains.solana.span import Span
from chains.solana.stored import StoredSource

SPAN_FIRST, SPAN_LAST = 20_000, 2_000_000
UNSETTLED_SPAN = 500
SEVERAL = 2
"""So many nodes can agree."""

MANY, FEW, FEWEST = 4_000, 500, 50
"""Transactions in one batch; a node that limits or lags is asked for fewer, until it gives."""


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    observer: Observer | None = None,
) -> SolanaChain:
    """Make the adapter of a cluster over its nodes, or over what was `stored` of it up to `cursor`."""
    if stored is not None and cursor is not None:
        return SolanaChain(spec, StoredSource(stored, cursor), venues, feeds, news=News(()))
    witness = Witness(observer) if spec.completeness == SECOND_NODE else None
    pool = NodePool(spec.id, SolanaDialect(), spec.rpc, observer=witness or observer)
    news = News(spec.ws, observer=observer)
    return SolanaChain(spec, NodeSource(spec, pool, news, witness), venues, feeds, news=news)


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
        self._lacking = 0
        self._others: frozenset[bytes] = frozenset()
        self._sought: tuple[AccountSet, ...] = ()
        self._stored_to: int | None = None
        self._read_to: int | None = None
        self.source = source
        adapters = [_adapter(venue) for venue in venues if venue.chain_id == spec.id]
        self.venues = [each for each in adapters if not isinstance(each, AccountProtocol)]
        self.read = [each for each in adapters if isinstance(each, AccountProtocol)]
        self.histories = [_history(each.venue) for each in self.read if wants_transactions(each.venue.options)]
        self.feeds = Feeds([feed for feed in feeds if feed.chain_id == spec.id])

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        return self._spec

    @property
    def watched(self) -> Watched:
        """The single accounts that are read with the head: prices and what venues name, programs, and what vaults hold."""
        seen = {*self.feeds.addresses, *self._others}
        programs = sorted({address for venue in self.read for address in watched_of(programs_of(venue))})
        held = {address for venue in self.venues for address in venue.addresses}
        return Watched(sorted(seen - held), programs, sorted(held))

    @property
    def _sets(self) -> list[AccountSet]:
        return list(dict.fromkeys(wanted for venue in self.read for wanted in venue.sets))

    def _to_watch(self, listed: Sequence[tuple[bytes, AccountBytes]]) -> Watched:
        """Return the accounts to read, given those of sets; at first what these name is not known otherwise."""
        if self._stored_to is None and self.read:
            rows = Rows()
            for venue in self.read:
                rows.extend(venue.fold(Nothing(), listed))
            self._others = _others_of(self.read, After(Nothing(), rows))
        return self.watched

    async def head(self) -> Head:
        """Return the newest block, with what the watched accounts hold there, and the newest final slot."""
        with self._asking():
            head = await self.source.look(self._to_watch, [*self._sets, *self._sought], self._stored_to or 0)
        self._head = head.latest
        return head

    async def block(self, number: int) -> Block | Skipped | None:
        """Return the block of a slot, or the proof that there is none."""
        with self._asking():
            found = await self.source.block(number)
        return found.block if isinstance(found, SlotBlock) else found

    async def floor(self, number: int) -> int:
        """Return the newest slot at or below one that holds a block."""
        found = await self.source.floor(number, self._spec.start_block)
        return self._spec.start_block - 1 if found is None else found

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        """Say where a lending venue's transactions are not what its accounts show; balances prove others before they are stored."""
        del state
        found = tuple(finding for history in self.histories for finding in history.findings(first, last, records))
        return Examined(first=first, last=last, findings=found)

    def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        """Refuse: what proves that no transaction is missing is not asked for afterwards."""
        del first, last, state, records, level, venues
        raise Unsupported(
            f"chain {self._spec.id}: balances prove each batch before it is stored; there is nothing to examine later"
        )

    async def audit(self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> Sequence[Checked]:
        """Ask nothing: no program has a view of a unit."""
        del snapshot, units
        return ()

    async def later(self, venue_id: str, slot: int, units: Sequence[bytes]) -> Sequence[Later] | None:
        """Return what the accounts of a venue's units are at a slot or later, as nodes say now."""
        venue = next((each for each in self.read if each.venue.id == venue_id), None)
        return None if venue is None else await later(self.source, venue, slot, units)

    async def agree(
        self, at: Block, stored: Mapping[bytes, AccountBytes], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[Agreement, ...], tuple[Reply, ...]]:
        """Ask every configured node for accounts, and compare them with each other and with what is stored."""
        several = len(self._spec.rpc) >= SEVERAL
        if known is None:
            at_once = await agreeing.asked(self._spec, sorted(stored), at.number) if stored and several else {}
            known = tuple(agreeing.replies(at_once))
        said = agreeing.said_in(known)
        if not several and not said:
            return (), ()
        found = (agreement(unit, account, said.get(unit, {})) for unit, account in sorted(stored.items()))
        return tuple(found), tuple(known)

    async def control(
        self, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None = None
    ) -> Controlled:
        """Compare a whole venue at the snapshot's block with the totals in its accounts as they were read; nobody is asked."""
        del known
        return Controlled(told=await asyncio.to_thread(lambda: told(StoredWhole.of(snapshot, records))))

    async def news(self, timeout_s: float) -> None:
        """Wait for a notification about a watched account or the root."""
        watched = self.watched
        await self._news.wait(
            timeout_s, [*self.feeds.addresses, *watched.held, *watched.seen], self._spec.finality, self._sets
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._news.aclose()
        await self.source.aclose()

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold slots from `first` to at most `last`; those up to `settled` cannot change any more.

        Raises `NodeWrong` where none of them holds a block.
        """
        if first - 1 != self._stored_to:
            self._others, self._sought = _others_of(self.read, state), _sought_of(self.read, state)
            self._read_to = None
            if not self.source.forget():
                raise NodeBusy(
                    f"chain {self._spec.id}: what is stored is not what was looked at last; looking at all again"
                )
        self._stored_to = first - 1
        with self._asking():
            batch = await self._advance(first, last, settled, state)
        self._stored_to = batch.last.number
        self._read_to = batch.last.number if self.read and _is_read(batch, self.read) else None
        if self._read_to is not None:
            self.source.stored()
        after = After(state, batch.rows)
        self._others, self._sought = _others_of(self.read, after), _sought_of(self.read, after)
        self._lacking = 0
        self.source.first()
        return batch

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask another node next, where what one said cannot be used; history is gone when all of them lack it."""
        try:
            yield
        except HistoryGone as error:
            self._lacking += 1
            if self._lacking >= self.source.another():
                raise
            raise NodeWrong(str(error)) from error
        except (NodeBusy, NodeWrong):
            self.source.another()
            raise

    async def _advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        limit = min(last, first + (self._span if first <= settled else UNSETTLED_SPAN) - 1)
        if first <= settled:
            limit = min(limit, settled)
        listings = await self._listings(first, limit, settled)
        slots = sorted(item.slot for item in {item for listing in listings.values() for item in listing.found})
        end = await self._end(first, limit, last, slots)
        listings = await self._listings(first, end, end) if end > limit else _until(listings, end)
        span = Span(
            self._spec, self.source, self.venues, self.feeds, self.read, histories=self.histories,
            first=first, last=end, settled=settled, state=state, continued=self._read_to == first - 1,
        )  # fmt: skip
        try:
            batch = await span.batch(listings)
        except NodeBusy:
            self._many = max(FEWEST, self._many // 2)
            raise
        if end > settled:
            await self._must_stand()
        self._adapt(len(slots))
        return batch

    async def _must_stand(self) -> None:
        """See that the head, known from before anything was listed, still stands: then so did all below it meanwhile."""
        if self._head is None:
            return
        number = self._head.number
        if (await self.source.blocks([number]))[number].block != self._head:
            raise NodeWrong(f"chain {self._spec.id}: block {number} was replaced while those below it were read")

    async def _listings(self, first: int, last: int, settled: int) -> dict[bytes, Listing]:
        """List what happened to every account of every venue."""
        named = {address for venue in self.venues for address in venue.addresses}
        begun = [history for history in self.histories if history.venue.start_block <= last]
        addresses = sorted(named | {address for history in begun for address in history.addresses})
        listed = await gathered(self.source.listed(address, first, last, settled) for address in addresses)
        return dict(zip(addresses, listed, strict=True))

    async def _end(self, first: int, limit: int, last: int, slots: Sequence[int]) -> int:
        """Choose the block that ends the batch: not too many of the transactions in `slots`, and a slot that holds a block."""
        if len(slots) > self._many:
            return slots[self._many - 1]
        if self._head is not None and limit == self._head.number:
            return limit
        below = await self.source.floor(limit, first)
        return await self._next_block(limit + 1, last) if below is None else below

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
            self._span = max(1, self._span * MANY // transactions)
        elif transactions < FEW:
            self._span = min(SPAN_LAST, self._span * 2)


def _is_read(batch: Batch, venues: Sequence[AccountProtocol]) -> bool:
    names = {venue.venue.id for venue in venues}
    return any(span.interest in names for span in batch.covered)


def _others_of(venues: Sequence[AccountProtocol], state: StateReader) -> frozenset[bytes]:
    return frozenset(address for venue in venues for address in venue.others(state))


def _sought_of(venues: Sequence[AccountProtocol], state: StateReader) -> tuple[AccountSet, ...]:
    return tuple(wanted for venue in venues if isinstance(venue, Seeking) for wanted in venue.sought(state))


def _until(listings: Mapping[bytes, Listing], last: int) -> dict[bytes, Listing]:
    return {address: listing.until(last) for address, listing in listings.items()}


def _history(venue: VenueSpec) -> History:
    return History(venue, import_module(f"{PROTOCOLS[venue.protocol]}.instructions").teller(venue))


def _adapter(venue: VenueSpec) -> SolanaProtocol | AccountProtocol:
    if venue.protocol not in PROTOCOLS or not PROTOCOLS[venue.protocol].startswith("chains.solana."):
        raise Unsupported(f"venue {venue.id}: protocol {venue.protocol!r} is not a Solana protocol known here")
    adapter: SolanaProtocol | AccountProtocol = import_module(PROTOCOLS[venue.protocol]).adapter(venue)
    return adapter
