"""The price of every asset: of each identity with a feed, and of everything else that a venue lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aggregator.gather import Catalogue, sorted_feeds, sorted_venues, with_sequencers
from aggregator.margin import views
from aggregator.margin.health import open_units
from aggregator.margin.inputs import Cut, VenueInputs
from aggregator.margin.numbers import rfc3339
from aggregator.margin.valuation import Context, OpenUnit, ValuedPosition, make_context, value_positions
from aggregator.observations import observe
from aggregator.oracle.mark import Mark, Unpriced
from chains.identifiers import format_hash
from chains.model import Side, UnitSnapshot
from chains.registry import ESCROWS
from crossmargin.cuts import Scene
from crossmargin.documents import Document
from indexer.store import Reader

NOBODY = bytes(20)
ANY_AMOUNT = 10**18


def quotes(scene: Scene) -> Document:
    """Return the prices document: the marks of health documents at the same cut."""
    context, cuts, catalogue = _context(scene), scene.cuts, scene.catalogue
    units = list(_holding_everything(scene.reader, cuts, catalogue))
    priceless = [held_in for held_in in units if held_in.venue.protocol in ESCROWS]
    pricing = [held_in for held_in in units if held_in.venue.protocol not in ESCROWS]
    marks = {**_listed(context, priceless), **_listed(context, pricing), **context.feed_marks}
    return {
        "as_of": {
            chain_id: {
                "block": cut.block.number,
                "hash": format_hash(chain_id, cut.block.hash),
                "time": rfc3339(cut.block.time),
                "finality": cut.finality.value,
            }
            for chain_id, cut in cuts.items()
        },
        "prices": [
            views.price_view(marks[identity]).model_dump(mode="json")
            | {"assets": sorted(asset.id for asset in catalogue.assets if (asset.same_as or asset.id) == identity)}
            for identity in sorted(marks)
        ],
    }


def listed_positions(scene: Scene) -> tuple[ValuedPosition, ...]:
    """Return a position in each market of every venue, with its mark."""
    units = list(_holding_everything(scene.reader, scene.cuts, scene.catalogue))
    return value_positions(_context(scene), units)


def _context(scene: Scene) -> Context:
    catalogue = scene.catalogue
    return make_context(
        as_of=scene.cuts,
        assets=catalogue.assets,
        policy=catalogue.policy,
        feeds=catalogue.feeds,
        observations=observe(scene.reader, sorted_feeds(catalogue), scene.cuts, catalogue.assets),
        stale_chains=with_sequencers(scene.reader, scene.cuts, catalogue, scene.condition).stale_chains,
        risk=scene.risk,
    )


def _listed(context: Context, units: Sequence[OpenUnit]) -> dict[str, Mark | Unpriced]:
    return {item.identity: item.mark for item in value_positions(context, units)}


def _holding_everything(reader: Reader, cuts: Mapping[str, Cut], catalogue: Catalogue) -> Iterator[OpenUnit]:
    """Yield for every venue a unit that holds some of each market: so the venue itself says what it lists, and its prices."""
    for spec in sorted_venues(catalogue, cuts, cuts):
        snapshot = reader.venue_snapshot(spec, cuts[spec.chain_id].block)
        holding = {(market, Side.SUPPLY): ANY_AMOUNT for market, _ in snapshot.markets if market}
        unit = UnitSnapshot(unit_id=NOBODY, owner=NOBODY, positions=holding, settings={})
        yield from open_units(VenueInputs(snapshot=snapshot, units=(unit,)))
