"""The composition root: the only place that makes chains, stores and policies out of settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep, time
from typing import Protocol

from aggregator.margin.policy import Policy
from chains import registry
from chains.errors import FollowedElsewhere
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.ports import Chain, Observer
from chains.redaction import label
from crossmargin.policies import terms_of
from crossmargin.settings import Settings
from indexer.lacking import Configured
from indexer.loop import Listener
from indexer.remote import RemoteChain
from indexer.restating import Restater, Told
from indexer.store import Store, StoreLocked, StoreMissing, Telling
from indexer.store.register import AssetRow, MemberRow, Registry


class Connect(Protocol):
    """Makes the chain of a configuration with an id, or a part of it."""

    def __call__(
        self, settings: Settings, chain_id: str, observer: Observer | None = None, part: Configured | None = None
    ) -> Chain: ...


LOCK_WAIT_S = 5.0
LOCK_PAUSE_S = 0.1


def must_exist(settings: Settings) -> None:
    """Refuse to answer from a store that was never written; raises `StoreMissing`."""
    if not settings.store.exists():
        raise StoreMissing(f"{settings.store}: there is no store here; run `crossmargin index`, or check [store] path")


@contextmanager
def opened(
    settings: Settings, *, read_only: bool = False, wait_s: float = LOCK_WAIT_S, memory: str | None = None
) -> Iterator[Store]:
    """Open the store, waiting a moment for another command to finish with it; raises `StoreError`."""
    with unlocked(settings, read_only=read_only, wait_s=wait_s, memory=memory) as store:
        if not read_only:
            store.telling = Telling(settings.events.keep_s, time)
            store.register(registry_of(settings))
        yield store


def unlocked(
    settings: Settings, *, read_only: bool = False, wait_s: float = LOCK_WAIT_S, memory: str | None = None
) -> Store:
    """Open the store as it is, whatever the configuration says; raises `StoreError`."""
    allowed = [settings.snapshot.folder, settings.backups, settings.publish.folder]
    allowed += [] if settings.lake is None else [settings.lake.work]
    deadline = monotonic() + wait_s
    while True:
        try:
            return Store.open(settings.store, read_only=read_only, allowed=allowed, memory=memory)
        except StoreLocked:
            if monotonic() >= deadline:
                raise
            sleep(LOCK_PAUSE_S)


def registry_of(settings: Settings) -> Registry:
    """What the configuration names, as the store keeps it."""
    return Registry(
        chains=[chain.spec for chain in settings.chains],
        venues=settings.venues,
        feeds=settings.feeds,
        assets=[AssetRow(asset.id, asset.symbol, asset.asset_class, asset.same_as) for asset in settings.assets],
        members=[MemberRow(account.id, member) for account in settings.accounts for member in account.members],
    )


def configured(settings: Settings, chain_id: str) -> Configured:
    """One chain with all that is configured on it."""
    return Configured(
        spec=settings.chain(chain_id).spec,
        venues=tuple(settings.venues_of(chain_id)),
        feeds=tuple(settings.feeds_of(chain_id)),
    )


def must_follow_here(settings: Settings, *chain_ids: str) -> None:
    """Refuse what only the process can do that follows a chain; raises `FollowedElsewhere`, which says where that is."""
    for chain_id in chain_ids:
        indexer = settings.chain(chain_id).indexer
        if indexer is not None:
            raise FollowedElsewhere(
                f"chain {chain_id} is followed by the indexer at {label(indexer.url)}, and has no nodes and no raw rows here;"
                " do this there"
            )


def connect(
    settings: Settings, chain_id: str, observer: Observer | None = None, part: Configured | None = None
) -> Chain:
    """Make the adapter of a configured chain over its nodes; `observer` is told of all that passes, also of mended faults.

    Raises `FollowedElsewhere`.
    """
    must_follow_here(settings, chain_id)
    here = part or configured(settings, chain_id)
    return registry.connect(here.spec, here.venues, here.feeds, observer=observer)


def connect_apart(
    settings: Settings, chain_id: str, observer: Observer | None = None, part: Configured | None = None
) -> Chain:
    """Make the same chain, read by a process of its own, so that whoever serves here answers while history comes in."""
    must_follow_here(settings, chain_id)
    here = part or configured(settings, chain_id)
    return RemoteChain(here.spec, here.venues, here.feeds, observer=observer)


def restater(
    settings: Settings,
    chain_id: str,
    store: Store,
    *,
    listener: Listener,
    told: Told,
    observer: Observer | None = None,
    make: Connect = connect,
) -> Restater:
    """Make what takes a configured chain into a store and fills in what the store lacks of it."""

    def some(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> Chain:
        return make(settings, chain_id, observer, Configured(spec=spec, venues=tuple(venues), feeds=tuple(feeds)))

    return Restater(here=configured(settings, chain_id), store=store, connect=some, listener=listener, told=told)


def policy_of(settings: Settings) -> Policy:
    """Read the policy, and check that it has every class that an asset names, and names what there is; raises `SettingsError`."""
    return terms_of(settings).policy
