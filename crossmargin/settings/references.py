"""What a configuration says twice, and what it names but does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

from crossmargin.settings.model import Settings
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
    if chains_read and settings.chains:
        yield from _other_chains(settings)
        yield from _late_chains(settings)


def _twice(place: str, keys: Iterable[Hashable]) -> Iterator[str]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield f'{place} "{key}" is written {count} times; write it once'


def _same_contract(settings: Settings) -> Iterator[str]:
    """A contract that is read as two venues, or a feed that is combined with itself, would count double."""
    venues = Counter((venue.chain_id, venue.address) for venue in settings.venues)
    for (chain_id, address), count in venues.items():
        if count > 1:
            yield f"[[venue]] 0x{address.hex()} on {chain_id} is written {count} times; write it once"
    feeds = Counter((feed.asset, feed.address) for feed in settings.feeds)
    for (asset, address), count in feeds.items():
        if count > 1:
            yield f"[[feed]] 0x{address.hex()} of {asset} is written {count} times; write it once"


def _other_chains(settings: Settings) -> Iterator[str]:
    known = [chain.spec.id for chain in settings.chains]
    named = [
        *((f'[[venue]] "{venue.id}": chain', venue.chain_id) for venue in settings.venues),
        *((f'[[feed]] "{feed.asset}": asset', feed.chain_id) for feed in settings.feeds),
        *((f'[[asset]] "{asset.id}": id', asset.id.partition("/")[0]) for asset in settings.assets),
        *(
            (f'[[account]] "{account.id}": member {member}', member.rpartition(":")[0])
            for account in settings.accounts
            for member in account.members
        ),
    ]
    for place, chain_id in named:
        if chain_id not in known:
            yield f"{place} is on a chain that is not configured: {unknown('chain', chain_id, known)}"


def _late_chains(settings: Settings) -> Iterator[str]:
    """A chain that starts after a venue would leave out what happened there before."""
    starts = {chain.spec.id: chain.spec.start_block for chain in settings.chains}
    for venue in settings.venues:
        start = starts.get(venue.chain_id, 0)
        if start > venue.start_block:
            yield (
                f'[[venue]] "{venue.id}": starts at block {venue.start_block}, and its chain only at {start}; '
                "let the chain start no later"
            )
