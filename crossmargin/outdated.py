"""What a store lacks that an earlier version of this program made: venue by venue, with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chains.derivations import Change, Lack, Remedy, lack_of, version_of
from chains.identifiers import EVM, namespace_of
from chains.model import FEEDS, FeedSpec, Reason, VenueSpec
from chains.registry import derivation_changes, feed_changes
from indexer.store import Reader

OUTDATED = "store_outdated"
NEWER = "a later version of this program made it; upgrade the program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """Rows of a venue, or of a chain's price sources (`venue_id` is `None`), that another version made than this program would make."""

    chain_id: str
    venue_id: str | None
    version: int
    current: int
    lacks: str
    mend: str

    @property
    def sentence(self) -> str:
        """What is so, what is lacking, and what to do."""
        what = f"venue {self.venue_id}" if self.venue_id else f"price sources of {self.chain_id}"
        return (
            f"{what}: stored by derivation {self.version}, this program has {self.current}: {self.lacks}; {self.mend}"
        )

    @property
    def reason(self) -> Reason:
        """Why nobody there is believed."""
        return Reason(OUTDATED, self.venue_id or self.chain_id, self.sentence)


def outdated(reader: Reader, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> Iterator[Outdated]:
    """Yield what of a store's venues and price sources is not of this program's making."""
    kept = reader.makers()
    for venue in venues:
        if (version := kept.get((venue.chain_id, venue.id))) is not None:
            yield from _judged(venue.chain_id, venue.id, version, derivation_changes(venue.protocol))
    for chain_id in sorted({venue.chain_id for venue in venues} | {feed.chain_id for feed in feeds}):
        if (version := kept.get((chain_id, FEEDS))) is not None:
            yield from _judged(chain_id, None, version, feed_changes(chain_id))


def _judged(chain_id: str, venue_id: str | None, version: int, changes: Sequence[Change]) -> Iterator[Outdated]:
    current = version_of(changes)
    lack = lack_of(changes, version, reread=namespace_of(chain_id) == EVM)
    if version > current:
        lacks, mend = "what it holds is not known here", NEWER
    elif lack is not None:
        lacks, mend = "; ".join(lack.what), _mend(lack, chain_id, venue_id)
    else:
        return
    yield Outdated(chain_id=chain_id, venue_id=venue_id, version=version, current=current, lacks=lacks, mend=mend)


def _mend(lack: Lack, chain_id: str, venue_id: str | None) -> str:
    match lack.remedy:
        case Remedy.REBUILD:
            return "`crossmargin rebuild` derives it again"
        case Remedy.RESTATE:
            only = f" --venue {venue_id}" if venue_id else ""
            return f"`crossmargin restate --chain {chain_id}{only}` reads it again"
        case Remedy.ANEW:
            return "index into a new store ([store] path)"
