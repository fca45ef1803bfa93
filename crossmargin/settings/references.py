"""What a configuration says twice, and what it names but does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import combinations

from chains.identifiers import SOLANA, format_address, namespace_of
from chains.model import FeedSpec
from chains.registry import REDEMPTION_RATE
from crossmargin.settings.escrows import ACCOUNTS
from crossmargin.settings.model import Settings
from crossmargin.settings.names import chain_of
from crossmargin.settings.rates import baseless
from crossmargin.settings.section import unknown

PYTHS = frozenset({"pyth-solana", "pyth-hermes"})
"""Kinds of feeds whose prices Pyth publishes."""


def unresolved(settings: Settings, *, chains_read: bool) -> Iterator[str]:
    """Yield every problem between sections; a missing chain is one only when each [[chain]] could be read."""
    if chains_read and not settings.chains:
        yield "no chain is configured; add a [[chain]] with an id and rpc"
    yield from _twice("[[chain]]", (chain.spec.id for chain in settings.chains))
    yield from _twice("[[venue]]", (venue.id for venue in settings.venues))
    yield from _twice("[[asset]]", (asset.id for asset in settings.assets))
    yield from _twice("[[account]]", (account.id for account in settings.accounts))
    yield from _twice("[[bridge]]", (f"{each.protocol} {each.chain}" for each in settings.bridges))
    yield from _twice("[[bridge]]", (f"{each.protocol} {each.number}" for each in settings.bridges))
    yield from _other_guardians(settings)
    yield from _same_contract(settings)
    yield from baseless(settings)
    if chains_read and settings.chains:
        yield from _other_chains(settings)
        yield from late_chains(settings)
        yield from _unfindable(settings)


def _twice(place: str, keys: Iterable[Hashable]) -> Iterator[str]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield f'{place} "{key}" is written {count} times; write it once'


def _other_guardians(settings: Settings) -> Iterator[str]:
    """A guardian set is the same for prices and for messages."""
    signing = {each.number: each for chain in settings.chains for each in chain.spec.guardian_sets}
    for each in settings.guardian_sets:
        if signing.get(each.number, each) != each:
            yield f"[trust] guardian set {each.number} is another one than in [[chain]]; write the same"


def _same_contract(settings: Settings) -> Iterator[str]:
    """A contract that is read as two venues, or a feed that is combined with itself, would count double."""
    venues = Counter((venue.chain_id, venue.address) for venue in settings.venues if ACCOUNTS not in venue.options)
    for (chain_id, address), count in venues.items():
        if count > 1:
            yield f"[[venue]] {format_address(chain_id, address)} on {chain_id} is written {count} times; write it once"
    yield from _same_account(settings)
    feeds = Counter((feed.asset, feed.chain_id, feed.address) for feed in settings.feeds)
    for (asset, chain_id, address), count in feeds.items():
        if count > 1:
            yield f"[[feed]] {format_address(chain_id, address)} of {asset} is written {count} times; write it once"
    yield from _same_source(settings)
    yield from _same_publisher(settings)
    yield from _two_meanings(settings)


def _same_account(settings: Settings) -> Iterator[str]:
    """Vaults of Solana may share an authority; a token account belongs to one of them."""
    venues: dict[tuple[str, str], list[str]] = {}
    for venue in settings.venues:
        for account in venue.options.get(ACCOUNTS, ()):
            venues.setdefault((venue.chain_id, account), []).append(f'"{venue.id}"')
    for (_, account), ids in venues.items():
        if len(ids) > 1:
            yield f"[[venue]] accounts: {account} is named by {' and '.join(ids)}, and would count double; name it in one"


def _same_source(settings: Settings) -> Iterator[str]:
    """Assets with one price identity share their feeds, so that a feed of two of them would count double."""
    identities = {asset.id: asset.same_as or asset.id for asset in settings.assets}
    assets: dict[tuple[str, str, bytes], dict[str, None]] = {}
    for feed in settings.feeds:
        key = (identities.get(feed.asset, feed.asset), feed.chain_id, feed.address)
        assets.setdefault(key, {})[feed.asset] = None
    for (identity, chain_id, address), ids in assets.items():
        if len(ids) > 1:
            yield (
                f"[[feed]] {format_address(chain_id, address)} on {chain_id} is written for {' and '.join(ids)}, "
                f'which are one as "{identity}" and share their feeds; write it for one of them'
            )


def _same_publisher(settings: Settings) -> Iterator[str]:
    """A price of Pyth is one opinion, by whichever way it comes: in two accounts, or in one and from an endpoint."""
    identities = {asset.id: asset.same_as or asset.id for asset in settings.assets}
    found: dict[str, list[FeedSpec]] = {}
    for feed in settings.feeds:
        if feed.kind in PYTHS:
            found.setdefault(identities.get(feed.asset, feed.asset), []).append(feed)
    for identity, feeds in found.items():
        for one, other in combinations(feeds, 2):
            apart = one.feed_id and other.feed_id and one.feed_id != other.feed_id
            if not apart and (one.chain_id, one.address) != (other.chain_id, other.address):
                yield (
                    f'[[feed]] {_named(one)} and {_named(other)} give one price of Pyth for "{identity}", or do not say that'
                    " theirs are two, and it would count double; write one of them, or the feed_id of each"
                )


def _two_meanings(settings: Settings) -> Iterator[str]:
    """An account of Solana is a price of one thing: of a feed_id, or of the one token of a pool."""
    for one, other in combinations([feed for feed in settings.feeds if namespace_of(feed.chain_id) == SOLANA], 2):
        if (one.chain_id, one.address) != (other.chain_id, other.address):
            continue
        ids = {feed.feed_id for feed in (one, other)} - {None}
        if len(ids) > 1 or (one.kind == REDEMPTION_RATE and one.asset != other.asset):
            yield f"[[feed]] {_named(one)} is written for {one.asset} and {other.asset} as two prices; an account is one"


def _named(feed: FeedSpec) -> str:
    return f"{format_address(feed.chain_id, feed.address)} on {feed.chain_id}"


def _other_chains(settings: Settings) -> Iterator[str]:
    known = [chain.spec.id for chain in settings.chains]
    named = [
        *((f'[[venue]] "{venue.id}": chain', venue.chain_id) for venue in settings.venues),
        *((f'[[feed]] "{feed.asset}": asset', chain_of(feed.asset)) for feed in settings.feeds),
        *(
            (f'[[feed]] "{feed.asset}": chain', feed.chain_id)
            for feed in settings.feeds
            if feed.chain_id != chain_of(feed.asset)
        ),
        *((f'[[asset]] "{asset.id}": id', chain_of(asset.id)) for asset in settings.assets),
        *(
            (f'[[account]] "{account.id}": member {member}', member.rpartition(":")[0])
            for account in settings.accounts
            for member in account.members
        ),
    ]
    for place, chain_id in named:
        if chain_id not in known:
            yield f"{place} is on a chain that is not configured: {unknown('chain', chain_id, known)}"


def _unfindable(settings: Settings) -> Iterator[str]:
    """Where a contract begins is asked of nodes, and a chain with an indexer has none here."""
    indexed = {chain.spec.id for chain in settings.chains if chain.indexer is not None}
    for venue in settings.venues:
        if venue.id in settings.auto and venue.chain_id in indexed:
            yield (
                f'[[venue]] "{venue.id}": start_block = "auto" asks nodes, and {venue.chain_id} comes from an indexer;'
                " write the block that `crossmargin status` shows there"
            )


def late_chains(settings: Settings) -> Iterator[str]:
    """A chain that starts after a venue would leave out what happened there before; one that is to be found cannot be late."""
    starts = {chain.spec.id: chain.spec.start_block for chain in settings.chains}
    for venue in settings.venues:
        start = starts.get(venue.chain_id, 0)
        if start > venue.start_block and venue.id not in settings.auto:
            yield (
                f'[[venue]] "{venue.id}": starts at block {venue.start_block}, and its chain only at {start}; '
                "let the chain start no later"
            )
