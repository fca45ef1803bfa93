"""First blocks that the configuration leaves open: found once, kept in the store, the same from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from chains.model import VenueSpec
from chains.ports import Start
from chains.registry import find_start
from crossmargin.app import unlocked
from crossmargin.settings import Settings, SettingsError
from crossmargin.settings.references import late_chains
from indexer.store import Store, StoreError

Starts = Mapping[tuple[str, bytes], Start]
"""By chain and address."""

NO_VENUE = (
    'start_block = "auto" is the first block of any venue on the chain, and it has none; write the first block to index'
)


def told(settings: Settings) -> Settings:
    """Return the settings with the first blocks that were found before, as far as the store can be read; others stay open."""
    if not settings.auto or not settings.store.exists():
        return settings
    try:
        with unlocked(settings, read_only=True, wait_s=0.0) as store:
            return _filled(settings, store.starts())
    except StoreError:
        return settings


def stored(settings: Settings, *, writes: bool = False) -> Settings:
    """Return the settings with the first blocks that were found before; raises `SettingsError` where one was not yet, and `StoreError`.

    `writes`: the store is opened for writing next, and so may be brought up to date now.
    """
    if not settings.auto:
        return settings
    with unlocked(settings, read_only=not writes) as store:
        return _whole(settings, store.starts())


def stored_in(settings: Settings, store: Store) -> Settings:
    """Return the settings with the first blocks that an open store knows; raises `SettingsError` where it lacks one."""
    return _whole(settings, store.starts()) if settings.auto else settings


async def found(settings: Settings) -> Settings:
    """Return the settings with every first block; those that were not found before are asked for. Raises `ChainError`, `StoreError`."""
    if not settings.auto:
        return settings
    with unlocked(settings) as store:
        known = store.starts()
        missing = [venue for venue in settings.venues if venue.id in settings.auto and _key(venue) not in known]
        for venue, start in zip(missing, await _asked(settings, missing), strict=True):
            store.note_start(*_key(venue), start)
        return _whole(settings, store.starts())


async def _asked(settings: Settings, venues: Collection[VenueSpec]) -> list[Start]:
    return await asyncio.gather(*(find_start(settings.chain(venue.chain_id).spec, venue.address) for venue in venues))


def _whole(settings: Settings, starts: Starts) -> Settings:
    filled = _filled(settings, starts)
    open_ = [venue for venue in settings.venues if venue.id in filled.auto]
    names = ", ".join(f'"{venue.id}"' for venue in open_)
    problems = (
        [f'start_block = "auto" of {names}: nobody looked yet where it was deployed; run `crossmargin index`']
        if open_
        else []
    )
    problems += [
        f'[[chain]] "{name}": {NO_VENUE}' for name in sorted(filled.auto - {venue.id for venue in open_}) if not open_
    ]
    problems += late_chains(filled)
    if problems:
        raise SettingsError(settings.path, tuple(problems))
    return filled


def _filled(settings: Settings, starts: Starts) -> Settings:
    """Fill in what is known: venues, and chains of which every venue is."""
    venues = tuple(
        replace(venue, start_block=starts[_key(venue)].block)
        if venue.id in settings.auto and _key(venue) in starts
        else venue
        for venue in settings.venues
    )
    open_ = {venue.id for venue in settings.venues if venue.id in settings.auto and _key(venue) not in starts}
    first: dict[str, int] = {}
    for venue in venues:
        first[venue.chain_id] = min(venue.start_block, first.get(venue.chain_id, venue.start_block))
    for venue in venues:
        if venue.id in open_:
            first.pop(venue.chain_id, None)
    chains = tuple(
        replace(chain, spec=replace(chain.spec, start_block=first[chain.spec.id]))
        if chain.spec.id in settings.auto and chain.spec.id in first
        else chain
        for chain in settings.chains
    )
    waiting = {chain.spec.id for chain in chains if chain.spec.id in settings.auto and chain.spec.id not in first}
    return replace(settings, venues=venues, chains=chains, auto=frozenset(open_ | waiting))


def _key(venue: VenueSpec) -> tuple[str, bytes]:
    return venue.chain_id, venue.address
