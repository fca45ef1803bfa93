"""What a store lacks of a chain as it is configured, and what it is asked to read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chains.identifiers import PYTH, SOLANA, format_address, namespace_of
from chains.model import FEEDS, ChainSpec, FeedSpec, VenueSpec
from chains.ports import Chain, Covered
from indexer.spans import gap, gap_of, names_of
from indexer.steps import Interest
from indexer.store import Reader
from indexer.store.register import identity

Connect = Callable[[ChainSpec, Sequence[VenueSpec], Sequence[FeedSpec]], Chain]
"""Makes the adapter of a chain, with some of what is configured on it, over its nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """One chain with the venues and feeds that are configured on it."""

    spec: ChainSpec
    venues: tuple[VenueSpec, ...]
    feeds: tuple[FeedSpec, ...]

    def without(self, lack: Lack | None) -> Configured:
        """The same without what it lacks."""
        if lack is None:
            return self
        venues = tuple(venue for venue in self.venues if venue not in lack.venues)
        return replace(self, venues=venues, feeds=tuple(feed for feed in self.feeds if feed not in lack.feeds))

    def having(self, more: Lack) -> Configured:
        """The same with what was read again, in an order of its own."""
        venues = {venue.id: venue for venue in (*self.venues, *more.venues)}
        feeds = dict.fromkeys((*self.feeds, *more.feeds))
        return replace(self, venues=tuple(venues[name] for name in sorted(venues)), feeds=tuple(feeds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What is to be read of a chain: venues and feeds, from block `first` on; `cause` says why.

    `interests`: each venue from the block on from which it is incomplete, and the feeds if all of them are read again. `start`: the first
    block that can matter to any of it.
    """

    venues: tuple[VenueSpec, ...]
    feeds: tuple[FeedSpec, ...]
    interests: tuple[Interest, ...]
    start: int
    first: int
    cause: str


def lacking(reader: Reader, here: Configured) -> Lack | None:
    """Return what is missing of a chain up to the cursor, `None` where nothing is."""
    spec = here.spec
    held = reader.cursor(spec.id)
    if held is None or namespace_of(spec.id) in {SOLANA, PYTH}:
        return None
    spans, last = reader.coverage(spec.id), held.block.number
    gaps = [(venue, first) for venue in here.venues if (first := gap_of(spans, venue, last)) is not None]
    feeds = feeds_lacking(reader, here, spans, last)
    if not gaps and not feeds:
        return None
    named = [*(venue.id for venue, _ in gaps), *(format_address(spec.id, feed.address) for feed in feeds)]
    firsts = [first for _, first in gaps] + [spec.start_block for _ in feeds[:1]]
    return lack_of(spec, gaps, feeds, first=min(firsts), whole=False, cause=f"not indexed before: {', '.join(named)}")


def again(reader: Reader, here: Configured, venue_id: str | None, first: int, cause: str) -> Lack:
    """Return what is to be read when a venue, or with none named everything, is read again from a block on."""
    spec, whole = here.spec, venue_id is None
    held, spans = reader.cursor(spec.id), reader.coverage(spec.id)
    last = held.block.number if held else -1
    begins = []
    for venue in here.venues:
        if whole or venue.id == venue_id:
            missing = gap_of(spans, venue, last)
            begins.append((venue, max(venue.start_block, first if missing is None else min(first, missing))))
    feeds = list(here.feeds) if whole else []
    late = bool(whole and feeds_lacking(reader, here, spans, last))
    firsts = [begin for _, begin in begins] + (
        [spec.start_block if late else max(spec.start_block, first)] if whole else []
    )
    return lack_of(spec, begins, feeds, first=min(firsts), whole=whole, cause=cause)


def feeds_lacking(reader: Reader, here: Configured, spans: Sequence[Covered], last: int) -> list[FeedSpec]:
    """Return the feeds that were not followed from the chain's first block on."""
    if here.spec.start_block > last:
        return []
    complete, late = reader.complete_feeds(), gap(spans, (FEEDS,), here.spec.start_block, last) is not None
    return [feed for feed in here.feeds if late or identity(feed) not in complete]


def lack_of(
    spec: ChainSpec,
    begins: Sequence[tuple[VenueSpec, int]],
    feeds: Sequence[FeedSpec],
    *,
    first: int,
    whole: bool,
    cause: str,
) -> Lack:
    """Put together what is to be read: venues, each from a block on, and feeds; `whole`: all there is."""
    interests = [Interest(names_of(venue.id)[1], venue.id, begin) for venue, begin in begins]
    if whole:
        interests.append(Interest(FEEDS, FEEDS, first))
    starts = [venue.start_block for venue, _ in begins]
    return Lack(
        venues=tuple(venue for venue, _ in begins),
        feeds=tuple(feeds),
        interests=tuple(interests),
        start=spec.start_block if feeds or whole else min(starts),
        first=first,
        cause=cause,
    )
