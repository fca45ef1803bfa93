"""Venues where an account has nothing, but which know what shares are a claim on that it holds elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aggregator.margin.health import open_units
from aggregator.margin.inputs import Cut, VenueInputs
from aggregator.margin.lookthrough import shares_of
from aggregator.margin.valuation import OpenUnit
from chains.model import VenueSpec
from chains.registry import knows_shares

if TYPE_CHECKING:
    from aggregator.gather import Journals


def with_issuers(
    journals: Journals, consulted: Sequence[VenueSpec], cuts: Mapping[str, Cut], busy: Sequence[VenueInputs]
) -> Iterator[VenueInputs]:
    """Add, without any units, venues that know what shares are a claim on which are held elsewhere; in the order of their ids."""
    by_id = {venue.snapshot.venue.id: venue for venue in busy}
    issuers = [spec for spec in consulted if knows_shares(spec) and spec.id not in by_id]
    held = {(unit.venue.chain_id, each.asset) for unit in _opened(busy, issuers) for each in unit.unit.positions}
    for spec in consulted:
        if spec.id in by_id:
            yield by_id[spec.id]
        elif spec in issuers:
            snapshot = journals.venue_snapshot(spec, cuts[spec.chain_id].block)
            if held & shares_of([snapshot]).keys():
                yield VenueInputs(snapshot=snapshot, units=())


def _opened(venues: Iterable[VenueInputs], issuers: Sequence[VenueSpec]) -> Iterator[OpenUnit]:
    """Open the units of venues; none where nobody would know anything of shares among them."""
    return (held_in for venue in venues if issuers for held_in in open_units(venue))
