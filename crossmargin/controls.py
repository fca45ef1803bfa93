"""What venues' totals come to at the cut of a snapshot: by what the journals hold, and by what nodes say of that very block.

A venue is asked once for each block; what was answered, or that nothing was, is stored with the block's hash and is what the snapshot rests
on, however often it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from aggregator.gather import Condition
from aggregator.margin.inputs import Cut
from chains.auditing import Auditable, Controlled, Reply, WholeRecords
from chains.errors import ChainError
from chains.model import Block, Reason, VenueSnapshot, VenueSpec
from chains.ports import Chain, Cover, Outcome
from chains.registry import controls
from crossmargin.doubts import of_venue, shortfall_of
from crossmargin.watch import Clock
from indexer.store import Reader, Store
from indexer.store.controls import Findings, Look, holding_row, total_row

Connect = Callable[[str], Chain]
PATIENCE_S = 120.0
"""How long nodes are asked about one venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A venue that was weighed at a block."""

    venue: VenueSpec
    look: Look
    found: Controlled

    def doubt(self) -> Reason | None:
        """Say why the venue's accounts are not believed, `None` where nothing speaks against them."""
        wrong = [total_row(self.look, total) for total in self.found.sums if total.outcome is Outcome.DIFFERENT]
        return of_venue(self.venue.id, wrong) if wrong else None


class Controls:
    """Weighs the venues of a cut."""

    def __init__(self, store: Store, connect: Connect, clock: Clock) -> None:
        self._store = store
        self._connect = connect
        self._clock = clock

    def weigh(
        self, reader: Reader, cuts: Mapping[str, Cut], venues: Iterable[VenueSpec], *, insist: bool = False
    ) -> tuple[Weighed, ...]:
        """Weigh every venue of the chains that have a cut, by id; raises `StoreError`, and where it is to `insist`, `ChainError`.

        Else a venue whose nodes fail stays unanswered at this block.
        """
        wanted = sorted((venue for venue in venues if venue.chain_id in cuts), key=lambda venue: venue.id)
        return tuple(
            self._weighed(reader, venue, cuts[venue.chain_id].block, insist=insist)
            for venue in wanted
            if controls(venue.protocol) is not None
        )

    def _weighed(self, reader: Reader, venue: VenueSpec, at: Block, *, insist: bool) -> Weighed:
        look = Look(
            chain_id=venue.chain_id,
            checked_at=int(self._clock()),
            block_number=at.number,
            block_hash=at.hash,
            venue_id=venue.id,
        )
        snapshot, records = reader.venue_snapshot(venue, at), reader.records(venue.chain_id)
        known = reader.replies(look) if snapshot.markets else []
        try:
            found = self._controlled(snapshot, records, known)
        except ChainError:
            if insist:
                raise
            found = self._controlled(snapshot, records, [])
        if known is None:
            self._store.add_look(look, Findings(totals=found.sums, holdings=found.holdings), found.replies)
        return Weighed(venue=venue, look=look, found=found)

    def _controlled(self, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None) -> Controlled:
        return asyncio.run(_found(self._connect(snapshot.venue.chain_id), snapshot, records, known))


async def _found(
    chain: Chain, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None
) -> Controlled:
    async with aclosing(chain):
        if not isinstance(chain, Auditable) or not snapshot.markets:
            return Controlled()
        try:
            return await asyncio.wait_for(chain.control(snapshot, records, known), PATIENCE_S)
        except TimeoutError as error:
            message = (
                f"chain {snapshot.venue.chain_id}: no node answered about {snapshot.venue.id} within {PATIENCE_S:.0f} s"
            )
            raise ChainError(message) from error


def doubting(condition: Condition, weighed: Sequence[Weighed]) -> Condition:
    """Add what the weighing speaks against to what is wrong with the data anyway."""
    known = {(reason.code, reason.subject) for reason in condition.gaps}
    doubts = [doubt for each in weighed if (doubt := each.doubt()) and (doubt.code, doubt.subject) not in known]
    rows = [holding_row(each.look, held) for each in weighed for held in each.found.holdings]
    settled = {(row.venue_id, row.asset, row.market) for row in rows if row.outcome in {Cover.SHORT, Cover.COVERED}}
    before = [each for each in condition.shortfalls if (each.venue_id, each.asset, each.market) not in settled]
    short = [shortfall_of(row) for row in rows if row.outcome == Cover.SHORT]
    return replace(condition, gaps=(*condition.gaps, *doubts), shortfalls=(*before, *short))
