"""What a configuration says twice, and what it names but does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

from chains.identifiers import format_address
from crossmargin.settings.escrows import ACCOUNTS
from crossmargin.settings.model import Settings
from crossmargin.settings.names import chain_of
from crossmargin.settings.rates import baseless
from crossmargin.settings.section import unknown


def unresolved(settings: Settings, *, chains_read: bool) -> Iterator[str]:
    """Yield every problem between sections; a missing chain is one only when each [[chain]] could be read."""
    if chains_read and not settings.chains:
        yield "no chain is configured; add a [[chain]] with an id and rpc"
    yield from _twice("[[chain]]", (chain.spec.id for chain in settings.chains))
    yield from _twice("[[venue]]", (venue.id for venue in settings.venues))
    yield from _twice("[[asset]]", (asset.id for asset in settings.assets))
    yield from _twice("[[account]]", (account.id for account in settings.accounts))
    yield from _same_contract(settings)
    yield from baseless(settings)
    if chains_read and settings.chains:
        yield from _other_chains(settings)
        yield from late_chains(settings)


def _twice(place: str, keys: Iterable[Hashable]) -> Iterator[str]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield f'{place} "{key}" is written {count} times; write it once'


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
