"""The self-audit: units, all of them in turn, and whole venues beside what their own contracts answer at a final block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from chains.auditing import Auditable, Controlled, WholeRecords
from chains.errors import ChainError
from chains.model import Block, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import Chain
from chains.registry import controls, open_views
from crossmargin.audited import audit_document
from crossmargin.cuts import Cuts
from crossmargin.documents import Document
from crossmargin.errors import NoSuchThing, NotStored, UsageError
from crossmargin.schedule import parse
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.watch import Clock, Watch
from indexer.store import Reader, Store
from indexer.store.controls import Findings, ParityRow, ParityRun, run_of

MOST_AGAIN = 200
"""Units with a difference that a run looks at again, beside those whose turn it is."""

NO_VIEWS = "its protocol has no view of a unit and no total"
NOTHING_FINAL = "nothing of its chain is final here yet"
NOTHING_NOTED = "nothing is noted of anybody there at that block"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What a run looks at in one venue; `round` and `last`: where the next one goes on."""

    snapshot: VenueSnapshot
    units: Sequence[UnitSnapshot]
    round: int
    last: bytes | None


class ParityAudit:
    """Compares, writes down what came of it, and tells."""

    def __init__(self, settings: Settings, store: Store, connect: Callable[[str], Chain], clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._connect = connect
        self._clock = clock

    def run(self, *, venue: str | None, sample: int | None, at: str | None) -> Document:
        """Compare the next units of one venue, or of each; raises `DeskError`, `StoreError` and `ChainError`.

        `sample`: how many units of each venue, those of the configuration where it is `None`; `at`: as `--at`, or the newest final block.
        """
        venues = [self._configured(venue)] if venue is not None else list(self._settings.venues)
        return self._audited(venues, sample or self._settings.audit.sample, at)

    def run_due(self, watch: Watch | None) -> Document | None:
        """Compare units of those venues whose time has come and whose chain can be believed; `None` where there are none."""
        if self._settings.audit.schedule is None:
            return None
        with self._store.reading() as reader:
            due = list(self._due(reader, parse(self._settings.audit.schedule).after, watch))
        return self._audited(due, self._settings.audit.sample, None) if due else None

    def _due(self, reader: Reader, after: Callable[[int], int], watch: Watch | None) -> Iterator[VenueSpec]:
        made = {(run.chain_id, run.venue_id): run.checked_at for run in reader.parity_runs()}
        for venue in self._settings.venues:
            last, cursor = made.get((venue.chain_id, venue.id)), reader.cursor(venue.chain_id)
            elsewhere = self._settings.chain(venue.chain_id).indexer is not None
            if cursor is None or elsewhere or not _comparable(venue):
                continue
            believed = watch is None or watch.doubt(venue.chain_id, cursor.block) is None
            if believed and (last is None or after(last) <= self._clock()):
                yield venue

    def _audited(self, venues: Sequence[VenueSpec], sample: int, at: str | None) -> Document:
        """Compare venue after venue; one whose nodes fail keeps no other from its turn."""
        done: list[tuple[ParityRun, Findings]] = []
        skipped: dict[str, str] = {}
        failures: list[ChainError] = []
        with self._store.reading() as reader:
            blocks = self._blocks(reader, at, venues)
            turns = {venue.id: _turn(reader, venue, blocks, sample) for venue in venues}
        for venue in venues:
            turn = turns[venue.id]
            try:
                made = turn if isinstance(turn, str) else self._compared(venue, turn)
            except ChainError as error:
                failures.append(error)
                made = str(error)
            if isinstance(made, str):
                skipped[venue.id] = made
            else:
                done.append(made)
        if failures and not done:
            raise failures[0]
        return audit_document(done, skipped)

    def _compared(self, venue: VenueSpec, turn: _Turn) -> tuple[ParityRun, Findings] | str:
        found = asyncio.run(_found(self._connect(venue.chain_id), turn, self._store.records(venue.chain_id)))
        if not (found.checks or found.totals or found.holdings):
            return NOTHING_NOTED
        run = run_of(
            venue,
            turn.snapshot.at,
            found.checks,
            now=int(self._clock()),
            units=len(turn.units),
            round_=turn.round,
            last=turn.last,
        )
        self._store.add_parity(run, found)
        return run, found

    def _blocks(self, reader: Reader, at: str | None, venues: Sequence[VenueSpec]) -> Mapping[str, Block]:
        """Return a final block of each chain: the newest, or that which was asked for."""
        chains = {venue.chain_id for venue in venues}
        finals = {chain_id: cursor.finalized for chain_id in chains if (cursor := reader.cursor(chain_id)) is not None}
        if at is None:
            found = {chain_id: reader.block_below(chain_id, number) for chain_id, number in finals.items()}
            return {chain_id: block for chain_id, block in found.items() if block is not None}
        rules = {chain.spec.id: chain.spec.finality for chain in self._settings.chains}
        cuts = Cuts(self._store, reader, rules, self._connect).at(at, chains)
        for chain_id in chains & cuts.keys():
            if cuts[chain_id].block.number > finals[chain_id]:
                raise NotStored(
                    f"block {cuts[chain_id].block.number} of {chain_id} can still change, the newest final one here is "
                    f"{finals[chain_id]}; ask for that or an earlier one"
                )
        return {chain_id: cuts[chain_id].block for chain_id in chains & cuts.keys()}

    def _configured(self, venue_id: str) -> VenueSpec:
        known = {venue.id: venue for venue in self._settings.venues}
        if venue_id not in known:
            raise NoSuchThing(f'there is no venue "{venue_id}"; {nearest(venue_id, known)}')
        if not _comparable(known[venue_id]):
            raise UsageError(f'venue "{venue_id}" cannot be compared: {NO_VIEWS}')
        return known[venue_id]


def _turn(reader: Reader, venue: VenueSpec, blocks: Mapping[str, Block], sample: int) -> _Turn | str:
    """Return whose turn it is in a venue, beside those with a difference; or why there is nobody."""
    at = blocks.get(venue.chain_id)
    if not _comparable(venue):
        return NO_VIEWS
    if at is None:
        return NOTHING_FINAL
    runs = {(run.chain_id, run.venue_id): run for run in reader.parity_runs()}
    before = runs.get((venue.chain_id, venue.id))
    turn, last, round_ = _next(partial(reader.units_behind, venue, at), before, sample)
    again = [
        row.unit_id for row in reader.control_doubts(ParityRow, venue.chain_id, at.number) if row.venue_id == venue.id
    ]
    units = reader.unit_snapshots(venue, at, units=sorted({*turn, *again[:MOST_AGAIN]}))
    return _Turn(snapshot=reader.venue_snapshot(venue, at), units=units, round=round_, last=last)


def _next(
    behind: Callable[[bytes | None, int], list[bytes]], before: ParityRun | None, sample: int
) -> tuple[list[bytes], bytes | None, int]:
    """Return the units whose turn it is, behind which one to go on, and how often all were visited before."""
    after, rounds = (before.last_unit, before.round) if before else (None, 0)
    if before is not None and after is None:
        rounds += 1
    turn = behind(after, sample)
    if not turn and after is not None:
        turn, rounds = behind(None, sample), rounds + 1
    return turn, (turn[-1] if len(turn) == sample else None), rounds


def _comparable(venue: VenueSpec) -> bool:
    return open_views(venue.protocol) is not None or controls(venue.protocol) is not None


async def _found(chain: Chain, turn: _Turn, records: WholeRecords) -> Findings:
    async with aclosing(chain):
        if not isinstance(chain, Auditable):
            return Findings()
        checks = await chain.audit(turn.snapshot, turn.units)
        whole = await chain.control(turn.snapshot, records) if turn.snapshot.markets else Controlled()
    return Findings(checks=checks, totals=whole.sums, holdings=whole.holdings)
