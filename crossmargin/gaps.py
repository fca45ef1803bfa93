"""What is known to be missing or wrong at a cut: rows in quarantine, blocks that were not read, logs that were contradicted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from aggregator.margin.inputs import Cut
from chains.model import FEEDS, Reason, VenueSpec
from chains.registry import is_observed, venue_doubts
from indexer.spans import gap, gap_of
from indexer.store import Reader

QUARANTINE = "rows_quarantined"
FILLING = "venue_filling"
CONTRADICTED = "logs_contradicted"


def gaps_at(reader: Reader, cuts: Mapping[str, Cut], venues: Collection[VenueSpec]) -> Iterator[Reason]:
    """Say what is missing at a cut; the `subject` of a reason is a chain or a venue."""
    yield from _quarantined(reader, cuts)
    yield from _incomplete(venues, reader, cuts)
    yield from _contradicted(reader, cuts)


def _quarantined(reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A row that fitted nowhere may have changed any number of its venue, or of a feed any price of its chain."""
    for chain_id, cut in cuts.items():
        for venue_id in reader.doubtful(chain_id, cut.block):
            subject = chain_id if venue_id == FEEDS else venue_id
            yield Reason(QUARANTINE, subject, f"{chain_id} said something that could not be understood; see quarantine")


def _incomplete(venues: Collection[VenueSpec], reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A venue of which blocks up to the cut are missing may hold any debt of anybody."""
    for chain_id, cut in cuts.items():
        spans = reader.coverage(chain_id)
        for venue in venues:
            if venue.chain_id != chain_id:
                continue
            if is_observed(venue.protocol):
                if gap(spans, (venue.id,), cut.block.number, cut.block.number) is not None:
                    yield Reason(
                        FILLING, venue.id, "its accounts were not read at this block; they are with each new head"
                    )
                yield from venue_doubts(reader.venue_snapshot(venue, cut.block))
            elif (first := gap_of(spans, venue, cut.block.number)) is not None:
                detail = f"blocks from {first} on are missing of it; `crossmargin index` or `run` fills them in"
                yield Reason(FILLING, venue.id, detail)


def _contradicted(reader: Reader, cuts: Mapping[str, Cut]) -> Iterator[Reason]:
    """A log that is known to be missing, or not to be there, may have changed any number of its venue, or of a feed any price."""
    for chain_id, cut in cuts.items():
        wrong = {finding.interest for finding in reader.findings(chain_id) if finding.block <= cut.block.number}
        for interest in sorted(wrong):
            subject = chain_id if interest == FEEDS else interest.removeprefix("venue:")
            detail = (
                "what is stored is known to be wrong; `crossmargin status` says where, `crossmargin restate` mends it"
            )
            yield Reason(CONTRADICTED, subject, detail)
