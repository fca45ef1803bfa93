"""The self-audit: a sample of units, all of them in turn, beside what their venues' own contracts answer at a final block."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from aggregator.gather import DoubtedUnits
from chains.identifiers import format_address, format_hash
from chains.model import Block, Reason, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import Auditable, Chain, Checked, Outcome
from chains.registry import open_views
from crossmargin.cuts import Cuts
from crossmargin.documents import Document, moment
from crossmargin.errors import NoSuchThing, NotStored, UsageError
from crossmargin.schedule import parse
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest
from crossmargin.watch import Clock, Watch
from indexer.store import Reader, Store
from indexer.store.parity import ParityRow, ParityRun, run_of, text_of

PARITY = "parity_differs"
MOST_AGAIN = 200
"""Units with a difference that a run looks at again, beside those whose turn it is."""

NO_VIEWS = "its protocol has no view of a unit"
NOTHING_FINAL = "nothing of its chain is final here yet"
NO_UNITS = "nothing is noted of anybody there at that block"


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
            if cursor is None or open_views(venue.protocol) is None:
                continue
            believed = watch is None or watch.doubt(venue.chain_id, cursor.block) is None
            if believed and (last is None or after(last) <= self._clock()):
                yield venue

    def _audited(self, venues: Sequence[VenueSpec], sample: int, at: str | None) -> Document:
        done: list[ParityRun] = []
        differences: list[dict[str, Any]] = []
        skipped: list[dict[str, str]] = []
        with self._store.reading() as reader:
            blocks = self._blocks(reader, at, venues)
            turns = {venue.id: _turn(reader, venue, blocks, sample) for venue in venues}
        for venue in venues:
            turn = turns[venue.id]
            if isinstance(turn, str):
                skipped.append({"venue": venue.id, "reason": turn})
                continue
            checks = asyncio.run(_checked(self._connect(venue.chain_id), turn))
            done.append(self._entered(venue, turn, checks))
            differences += [_difference(venue, turn.snapshot.at, c) for c in checks if c.outcome is Outcome.DIFFERENT]
        return {"venues": [run_document(run) for run in done], "differences": differences, "skipped": skipped}

    def _entered(self, venue: VenueSpec, turn: _Turn, checks: Sequence[Checked]) -> ParityRun:
        run = run_of(
            venue,
            turn.snapshot.at,
            checks,
            now=int(self._clock()),
            units=len(turn.units),
            round_=turn.round,
            last=turn.last,
        )
        self._store.add_parity(run, checks)
        return run

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
        if open_views(known[venue_id].protocol) is None:
            raise UsageError(f'venue "{venue_id}" cannot be compared: {NO_VIEWS}')
        return known[venue_id]


def _turn(reader: Reader, venue: VenueSpec, blocks: Mapping[str, Block], sample: int) -> _Turn | str:
    """Return whose turn it is in a venue, beside those with a difference; or why there is nobody."""
    at = blocks.get(venue.chain_id)
    if open_views(venue.protocol) is None:
        return NO_VIEWS
    if at is None:
        return NOTHING_FINAL
    runs = {(run.chain_id, run.venue_id): run for run in reader.parity_runs()}
    before = runs.get((venue.chain_id, venue.id))
    turn, last, round_ = _next(partial(reader.units_behind, venue, at), before, sample)
    again = [row.unit_id for row in reader.parity_doubts(venue.chain_id, at.number) if row.venue_id == venue.id]
    units = reader.unit_snapshots(venue, at, units=sorted({*turn, *again[:MOST_AGAIN]}))
    if not units:
        return NO_UNITS
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


async def _checked(chain: Chain, turn: _Turn) -> Sequence[Checked]:
    async with aclosing(chain):
        return await chain.audit(turn.snapshot, turn.units) if isinstance(chain, Auditable) else ()


def run_document(run: ParityRun) -> dict[str, Any]:
    """Return what a run came to; `parity` is the share of compared views that are equal, `None` where none was compared."""
    return {
        "venue": run.venue_id,
        "chain": run.chain_id,
        "checked_at": moment(run.checked_at),
        "block": run.block_number,
        "hash": format_hash(run.chain_id, run.block_hash),
        "units": run.units,
        "equal": run.equal,
        "different": run.different,
        "unanswered": run.unanswered,
        "unknown": run.unknown,
        "parity": share(run.equal, run.different),
        "round": run.round,
    }


def parity_documents(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return by chain the last run over each venue, and how its views stand by the newest check of each."""
    standing, found = reader.parity_standing(), dict[str, list[dict[str, Any]]]()
    for run in reader.parity_runs():
        views = standing.get((run.chain_id, run.venue_id), {})
        counts = {outcome.value: views.get(outcome.value, 0) for outcome in Outcome}
        line = {"last": run_document(run), "views": counts, "parity": share(counts["equal"], counts["different"])}
        found.setdefault(run.chain_id, []).append({"venue": run.venue_id, **line})
    return found


def share(equal: int, different: int) -> str | None:
    """Return which part of what was compared is equal, with six places, down: 1.000000 means all of it."""
    compared = equal + different
    if not compared:
        return None
    millionths = equal * 1_000_000 // compared
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def _difference(venue: VenueSpec, at: Block, check: Checked) -> dict[str, Any]:
    ours, theirs = text_of(check.ours), text_of(check.theirs)
    return {
        "venue": venue.id,
        "chain": venue.chain_id,
        "block": at.number,
        "unit": format_address(venue.chain_id, check.unit_id),
        "view": check.view,
        "contract": format_address(venue.chain_id, check.contract),
        "market": format_address(venue.chain_id, check.market) if check.market else None,
        "ours": None if ours is None else json.loads(ours),
        "theirs": None if theirs is None else json.loads(theirs),
    }


def said(difference: Mapping[str, Any]) -> str:
    """Return one line about a difference's document."""
    market = f" of {difference['market']}" if difference["market"] else ""
    theirs = f"answers {_listed(difference['theirs'])}" if difference["theirs"] else "refuses to answer"
    return (
        f"{difference['venue']}/{difference['unit']}: {difference['view']}{market} of {difference['contract']} {theirs} "
        f"at block {difference['block']}, we have {_listed(difference['ours'])}"
    )


def _listed(numbers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in numbers.items())


def doubted_units(reader: Reader, numbers: Mapping[str, int]) -> DoubtedUnits:
    """Return why units are not believed at these blocks: their venue's contracts said otherwise, and have not agreed since."""
    rows = [row for chain_id, number in numbers.items() for row in reader.parity_doubts(chain_id, number)]
    rows.sort(key=_unit_of)
    return {unit: _reason(list(found)) for unit, found in groupby(rows, _unit_of)}


def _unit_of(row: ParityRow) -> tuple[str, bytes]:
    return row.venue_id, row.unit_id


def _reason(rows: Collection[ParityRow]) -> Reason:
    first = min(rows, key=lambda row: (row.block_number, row.view, row.market))
    subject = f"{first.venue_id}/{format_address(first.chain_id, first.unit_id)}"
    views = ", ".join(sorted({row.view for row in rows}))
    detail = (
        f"at block {first.block_number} the venue's own contracts answered something else ({views}); "
        "public.fct_parity_check says what, `crossmargin restate` mends what is stored"
    )
    return Reason(PARITY, subject, detail)
