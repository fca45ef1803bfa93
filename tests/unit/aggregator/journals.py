"""A store of the toy protocol in memory: what `aggregator.gather.Journals` asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.margin.inputs import VenueInputs
from chains.model import Block, PriceAnswer, UnitSnapshot, VenueSnapshot, VenueSpec
from indexer.store.liabilities import LiabilityRow
from indexer.store.transfers import TransferRow


@dataclass
class ToyJournals:
    """Answers from venues that a test put together; `asked` notes whose book was opened."""

    venues: Sequence[VenueInputs]
    phases: Mapping[str, Mapping[bytes, str]] = field(default_factory=dict)
    said: Mapping[str, Mapping[bytes, PriceAnswer]] = field(default_factory=dict)
    recent: Mapping[bytes, Sequence[PriceAnswer]] = field(default_factory=dict)
    reported: Sequence[LiabilityRow] = ()
    sent: Sequence[TransferRow] = ()
    asked: list[str] = field(default_factory=list)

    def venue_snapshot(self, venue: VenueSpec, at: Block) -> VenueSnapshot:
        self.asked.append(venue.id)
        (found,) = (item.snapshot for item in self.venues if item.snapshot.venue.id == venue.id)
        assert found.at == at
        return found

    def unit_snapshots(self, venue: VenueSpec, at: Block, *, owner: bytes | None = None) -> list[UnitSnapshot]:
        (found,) = (item for item in self.venues if item.snapshot.venue.id == venue.id)
        return [unit for unit in found.units if owner in {None, unit.owner}]

    def feeds(self, chain_id: str, at: Block) -> Mapping[bytes, str]:
        return self.phases.get(chain_id, {})

    def answers(self, chain_id: str, at: Block) -> Mapping[bytes, PriceAnswer]:
        return self.said.get(chain_id, {})

    def recent_answers(
        self, chain_id: str, at: Block, sources: Sequence[bytes], window_s: int
    ) -> Mapping[bytes, Sequence[PriceAnswer]]:
        return {source: self.recent[source] for source in sources if source in self.recent}

    def liabilities(
        self, venue: VenueSpec, keys: Sequence[bytes], *, until: int, owner: bytes | None = None
    ) -> Sequence[LiabilityRow]:
        """The rows that a test put together, newest first."""
        rows = {
            row.owner: row
            for row in reversed(self.reported)
            if row.venue_id == venue.id and row.key in keys and row.as_of <= until and owner in {None, row.owner}
        }
        return list(rows.values())

    def transfers(self, recipients: Collection[str]) -> Sequence[TransferRow]:
        return [row for row in self.sent if row.recipient in recipients]
