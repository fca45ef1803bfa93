"""Venues where an account has nothing, but which know what shares are a claim on that it holds elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aggregator.margin.health import open_units
from aggregator.margin.inputs import Cut, VenueInputs
from aggregator.margin.lookthrough import Shares, shares_of
from aggregator.margin.valuation import OpenUnit
from chains.model import VenueSpec
from chains.registry import knows_shares

if TYPE_CHECKING:
    from aggregator.gather import Journals


def with_issuers(
    journals: Journals, consulted: Sequence[VenueSpec], cuts: Mapping[str, Cut], busy: Sequence[VenueInputs]
) -> Iterator[VenueInputs]:
    """Add, without any units, venues that know what shares are a claim on which are held elsewhere, or stand behind such; by their ids."""
    by_id = {venue.snapshot.venue.id: venue for venue in busy}
    issuers = [spec for spec in consulted if knows_shares(spec) and spec.id not in by_id]
    held = {(unit.venue.chain_id, each.asset) for unit in _opened(busy, issuers) for each in unit.unit.positions}
    there = {spec.id: journals.venue_snapshot(spec, cuts[spec.chain_id].block) for spec in issuers if held}
    opened = {name: shares_of([snapshot]) for name, snapshot in there.items()}
    needed = _needed(held, shares_of(venue.snapshot for venue in busy), opened)
    for spec in consulted:
        if spec.id in by_id:
            yield by_id[spec.id]
        elif spec.id in needed:
            yield VenueInputs(snapshot=there[spec.id], units=())


def _needed(held: set[tuple[str, bytes]], known: Shares, others: Mapping[str, Shares]) -> set[str]:
    """Return which of the other venues know shares that are held, or shares that stand behind those."""
    needed: set[str] = set()
    while True:
        held = _with_assets(held, known)
        more = {name for name, shares in others.items() if name not in needed and held & shares.keys()}
        if not more:
            return needed
        needed |= more
        known = {share: claim for name in more for share, claim in others[name].items()} | dict(known)


def _with_assets(held: set[tuple[str, bytes]], shares: Shares) -> set[tuple[str, bytes]]:
    """Add what shares are a claim on, through as many vaults as there are."""
    while True:
        behind = {(chain_id, shares[chain_id, token](0).asset) for chain_id, token in held & shares.keys()}
        if behind <= held:
            return held
        held = held | behind


def _opened(venues: Iterable[VenueInputs], issuers: Sequence[VenueSpec]) -> Iterator[OpenUnit]:
    """Open the units of venues; none where nobody would know anything of shares among them."""
    return (held_in for venue in venues if issuers for held_in in open_units(venue))
