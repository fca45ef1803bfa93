"""What venues' totals come to at the cut of a snapshot: by what the journals hold, and by what nodes say of that very block.

A venue is asked once for each block; what was answered, or that nothing was, is stored with the block's hash and is what the snapshot rests
on, however often it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from aggregator.gather import TOTAL_DIFFERS, Condition
from aggregator.margin.inputs import Cut
from chains.agreeing import Agreed, Agreement
from chains.auditing import Agreeable, Auditable, Controlled, Provable, Reply, WholeRecords
from chains.errors import ChainError
from chains.identifiers import SOLANA, namespace_of
from chains.model import AccountBytes, Block, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import Chain, Cover, Outcome
from chains.proving import Proved, StateProof, sampled
from chains.registry import controls
from crossmargin.doubts import of_agreement, of_proof, of_venues, shortfall_of, wrong_totals
from crossmargin.watch import Clock
from indexer.store import Reader, Store
from indexer.store.controls import Findings, HoldingRow, Look, TotalRow, holding_row, total_row

Connect = Callable[[str], Chain]
PATIENCE_S = 120.0
"""How long nodes are asked about one venue."""

JUDGED = (Outcome.EQUAL.value, Outcome.WITHIN.value, Outcome.DIFFERENT.value)
"""Outcomes of a total that was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A venue that was weighed at a block."""

    venue: VenueSpec
    look: Look
    found: Controlled

    def totals(self) -> list[TotalRow]:
        """Return its totals as they are kept."""
        return [total_row(self.look, total) for total in self.found.sums]

    @property
    def disproven(self) -> StateProof | None:
        """A proof that the journals are wrong, `None` where there is none."""
        return next((proof for proof in self.found.proofs if proof.outcome is Proved.DIFFERENT), None)

    @property
    def contradicted(self) -> list[Agreement]:
        """What nodes say of accounts where they contradict each other."""
        return [each for each in self.found.agreements if each.outcome is Agreed.DIFFERENT]

    def holdings(self) -> list[HoldingRow]:
        """Return what its contracts hold, as it is kept."""
        return [holding_row(self.look, held) for held in self.found.holdings]


class Controls:
    """Weighs the venues of a cut, and has some of their units proven: `proofs` of each venue, `None` for all.

    Those on chains that are followed `elsewhere` are weighed there: what was found travels with the chain.
    """

    def __init__(
        self,
        store: Store,
        connect: Connect,
        clock: Clock,
        *,
        proofs: int | None = 0,
        elsewhere: Collection[str] = (),
    ) -> None:
        self._elsewhere = elsewhere
        self._proofs = proofs
        self._store = store
        self._connect = connect
        self._clock = clock

    def weigh(
        self, reader: Reader, cuts: Mapping[str, Cut], venues: Iterable[VenueSpec], *, insist: bool = False
    ) -> tuple[Weighed, ...]:
        """Weigh every venue of the chains that have a cut, by id; raises `StoreError`, and where it is to `insist`, `ChainError`.

        Else a venue whose nodes fail stays unanswered at this block.
        """
        here = [venue for venue in venues if venue.chain_id in cuts and venue.chain_id not in self._elsewhere]
        wanted = sorted(here, key=lambda venue: venue.id)
        return tuple(
            self._weighed(reader, venue, cuts[venue.chain_id].block, insist=insist)
            for venue in wanted
            if controls(venue.protocol) is not None or namespace_of(venue.chain_id) == SOLANA
        )

    def _weighed(self, reader: Reader, venue: VenueSpec, at: Block, *, insist: bool) -> Weighed:
        look = Look(
            chain_id=venue.chain_id,
            checked_at=int(self._clock()),
            block_number=at.number,
            block_hash=at.hash,
            venue_id=venue.id,
        )
        snapshot = reader.venue_snapshot(venue, at)
        known = reader.replies(look) if snapshot.markets else []
        try:
            found = self._controlled(reader, snapshot, known)
        except ChainError:
            if insist:
                raise
            found = self._controlled(reader, snapshot, [])
        if known is None:
            self._store.add_look(look, Findings(totals=found.sums, holdings=found.holdings), found.replies)
        return Weighed(venue=venue, look=look, found=found)

    def _controlled(self, reader: Reader, snapshot: VenueSnapshot, known: Sequence[Reply] | None) -> Controlled:
        return asyncio.run(_found(self._connect(snapshot.venue.chain_id), reader, snapshot, known, proofs=self._proofs))


async def _found(
    chain: Chain, reader: Reader, snapshot: VenueSnapshot, known: Sequence[Reply] | None, *, proofs: int | None
) -> Controlled:
    records = reader.records(snapshot.venue.chain_id)
    async with aclosing(chain):
        if not isinstance(chain, Auditable) or not snapshot.markets:
            return Controlled()
        found = await _weighed(chain, snapshot, records, known)
        if proofs == 0 or not isinstance(chain, Provable | Agreeable):
            return found
        units = await asyncio.to_thread(_sample, snapshot, records, proofs)
        if isinstance(chain, Agreeable):
            stored = reader.account_bytes(chain.spec.id, snapshot.at.number, [unit.unit_id for unit in units])
            agreed, said = await _agreed(chain, snapshot.at, stored, known)
            return replace(found, agreements=agreed, replies=(*found.replies, *said))
        proven, said = await _proven(chain, snapshot, units, known)
        return replace(found, proofs=proven, replies=(*found.replies, *said))


def _sample(snapshot: VenueSnapshot, records: WholeRecords, count: int | None) -> list[UnitSnapshot]:
    return sampled(snapshot.venue, snapshot.at, records.units_at(snapshot.venue.id, snapshot.at.number), count)


async def _agreed(
    chain: Agreeable, at: Block, stored: Mapping[bytes, AccountBytes], known: Sequence[Reply] | None
) -> tuple[tuple[Agreement, ...], tuple[Reply, ...]]:
    """Have nodes asked for accounts; what takes too long is unanswered."""
    if known is not None:
        return await chain.agree(at, stored, known)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await chain.agree(at, stored)
    except TimeoutError:
        return await chain.agree(at, stored, [])


async def _proven(
    chain: Provable, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot], known: Sequence[Reply] | None
) -> tuple[tuple[StateProof, ...], tuple[Reply, ...]]:
    """Have units proven; what takes too long is unanswered."""
    if known is not None:
        return await chain.prove(snapshot, units, known)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await chain.prove(snapshot, units)
    except TimeoutError:
        return await chain.prove(snapshot, units, [])


async def _weighed(
    chain: Auditable, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None
) -> Controlled:
    if known is not None:
        return await chain.control(snapshot, records, known)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await chain.control(snapshot, records)
    except TimeoutError as error:
        message = (
            f"chain {snapshot.venue.chain_id}: no node answered about {snapshot.venue.id} within {PATIENCE_S:.0f} s"
        )
        raise ChainError(message) from error


def doubting(condition: Condition, weighed: Sequence[Weighed], reader: Reader, cuts: Mapping[str, Cut]) -> Condition:
    """Let what was weighed at the cut itself stand for what was found of the same totals and holdings at other blocks.

    The same comes of it before the weighing is stored and after, and whatever is found later.
    """
    numbers = {chain_id: cut.block.number for chain_id, cut in cuts.items()}
    totals = [row for each in weighed for row in each.totals()]
    judged = {_total(row) for row in totals if row.outcome in JUDGED}
    others = [row for row in wrong_totals(reader, numbers) if _total(row) not in judged]
    doubts = of_venues([*others, *(row for row in totals if row.outcome == Outcome.DIFFERENT)])
    disproven = [of_proof(each.venue, proof) for each in weighed if (proof := each.disproven) is not None]
    gaps = (*(reason for reason in condition.gaps if reason.code != TOTAL_DIFFERS), *doubts, *disproven)

    rows = [row for each in weighed for row in each.holdings()]
    settled = {(row.venue_id, row.asset, row.market) for row in rows if row.outcome in {Cover.SHORT, Cover.COVERED}}
    before = [each for each in condition.shortfalls if (each.venue_id, each.asset, each.market) not in settled]
    short = [shortfall_of(row) for row in rows if row.outcome == Cover.SHORT]
    contradicted = {
        (each.venue.id, agreement.unit_id): of_agreement(each.venue, agreement)
        for each in weighed
        for agreement in each.contradicted
    }
    return replace(condition, gaps=gaps, units={**condition.units, **contradicted}, shortfalls=(*before, *short))


def _total(row: TotalRow) -> tuple[str, str, bytes, bytes]:
    return row.venue_id, row.total, row.contract, row.market
