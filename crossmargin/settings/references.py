"""What a configuration says twice, and what it names but does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import combinations, product
from typing import TYPE_CHECKING

from chains.identifiers import SOLANA, format_address, namespace_of, token
from chains.model import FeedSpec, VenueSpec
from chains.registry import REDEMPTION_RATE
from crossmargin.settings.escrows import ACCOUNTS
from crossmargin.settings.model import Settings
from crossmargin.settings.names import chain_of
from crossmargin.settings.rates import baseless
from crossmargin.settings.section import unknown

if TYPE_CHECKING:
    from chains.evm.escrow.terms import Custody

PYTHS = frozenset({"pyth-solana", "pyth-hermes"})
"""Kinds of feeds whose prices Pyth publishes."""

SHARES_FOLLOWED, HELD_IN_CUSTODY = "shares", "custody"
"""What `holdings` of an escrow says; see `chains.evm.escrow.terms`."""

COIN = b""
"""The chain's own coin, which has no address."""


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
    yield from _same_balance(settings)
    yield from _same_shares(settings)
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


def _same_balance(settings: Settings) -> Iterator[str]:
    """Custodies may share an address, and may hold one token; what an address has of a token belongs to one of them."""
    found: dict[tuple[str, bytes, bytes], list[str]] = {}
    for venue, custody in _custodies(settings):
        held = (*custody.tokens, *([COIN] if custody.coin is not None else []))
        for holder, token_held in product(custody.holders, held):
            found.setdefault((venue.chain_id, holder, token_held), []).append(f'"{venue.id}"')
    twice: dict[tuple[str, ...], list[tuple[str, bytes, bytes]]] = {}
    for balance, ids in found.items():
        if len(ids) > 1:
            twice.setdefault(tuple(ids), []).append(balance)
    for names, balances in twice.items():
        (chain_id, holder, token_held), more = balances[0], len(balances) - 1
        what = "the chain's coin" if token_held == COIN else format_address(chain_id, token_held)
        beside = f" (and {more} more such {'balance' if more == 1 else 'balances'})" if more else ""
        yield (
            f"[[venue]] what {format_address(chain_id, holder)} has of {what} on {chain_id}{beside} is in custody of "
            f"{' and '.join(names)}, and would count double; name it in one"
        )


def _same_shares(settings: Settings) -> Iterator[str]:
    """Shares of a vault that is followed count there for whoever holds them; in custody they may only be shown."""
    vaults = {
        (venue.chain_id, venue.address): venue.id for venue in settings.venues if _holdings(venue) == SHARES_FOLLOWED
    }
    if not vaults:
        return
    from aggregator.margin.policy import DEFAULT_CLASS  # noqa: PLC0415 - loaded only where there is such a venue

    valued = {asset.id for asset in settings.assets if asset.asset_class != DEFAULT_CLASS}
    for venue, custody in _custodies(settings):
        for share in custody.tokens:
            vault = vaults.get((venue.chain_id, share))
            if vault is not None and str(token(venue.chain_id, share)) in valued:
                yield (
                    f'[[venue]] "{venue.id}": tokens names {format_address(venue.chain_id, share)}, the shares of "{vault}", '
                    "which counts them for whoever holds them, and they would count double; leave them out, or give their "
                    f'[[asset]] class = "{DEFAULT_CLASS}", by which they are only shown'
                )


def _custodies(settings: Settings) -> Iterator[tuple[VenueSpec, Custody]]:
    """Yield what is held in custody on EVM chains; of one address once, which is refused in any case if it is written twice."""
    venues = {
        (venue.chain_id, venue.address): venue for venue in settings.venues if _holdings(venue) == HELD_IN_CUSTODY
    }
    if not venues:
        return
    from chains.evm.escrow.terms import custody_of  # noqa: PLC0415 - loaded only where there is such a venue

    for venue in venues.values():
        yield venue, custody_of(venue.address, venue.options)


def _holdings(venue: VenueSpec) -> object:
    return venue.options.get("holdings") if venue.protocol == "escrow" else None


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
