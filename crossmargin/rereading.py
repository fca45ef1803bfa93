"""A snapshot beside nodes of whoever verifies it: the blocks of its cut, what venues answer of a sample of units, and what feeds said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from aggregator.audit.inputs import Packed
from aggregator.margin.inputs import VenueInputs
from aggregator.oracle.mark import Observation
from chains.auditing import Auditable, Carrying, Later, Quoted, Quoting, Revisiting
from chains.errors import ChainError
from chains.identifiers import SOLANA, format_address, format_hash, namespace_of
from chains.model import Block, ChainSpec, FeedSpec, PriceAnswer, UnitSnapshot
from chains.ports import Chain, Checked, Outcome
from chains.registry import connect
from chains.survey.serving import served

SAMPLE = 25
"""Units of each venue."""

ADDRESS = 20
"""Bytes of a source that is a contract; others are questions to one."""


@dataclass(slots=True)
class Reread:
    """What came of it; `compared`: how many views, feeds and accounts had a number on both sides."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """How many units of each venue are looked at, and by what they are chosen."""

    count: int
    seed: str


Hashes = Mapping[tuple[str, str], str]
"""(venue, unit as it is written) → the hash of the bytes of its account."""


def reread(packed: Packed, urls: Iterable[str], *, sample: int, seed: str, hashes: Hashes) -> Reread:
    """Ask nodes about a snapshot that follows from its inputs; `seed` and the ids of venues choose `sample` units of each."""
    return asyncio.run(_reread(packed, list(urls), _Sample(count=sample, seed=seed), hashes))


async def _reread(packed: Packed, urls: Sequence[str], sample: _Sample, hashes: Hashes) -> Reread:
    found = Reread()
    nodes: dict[str, list[str]] = {}
    for number, url in enumerate(urls, start=1):
        try:
            nodes.setdefault(await served(url), []).append(url)
        except ChainError as error:
            found.notes.append(f"node {number}: {error}")
    cuts = packed.inputs.cuts
    found.notes += [f"no block of {chain} is in the snapshot" for chain in sorted(nodes.keys() - cuts.keys())]
    for chain_id in sorted(nodes.keys() & cuts.keys()):
        await _asked(found, packed, _spec(chain_id, nodes[chain_id]), sample, hashes)
    if left := sorted(cuts.keys() - nodes.keys()):
        found.notes.append(f"no node was given for {', '.join(left)}: nothing of it was compared")
    return found


def _spec(chain_id: str, urls: Sequence[str]) -> ChainSpec:
    rpc = tuple(urls)
    return ChainSpec(id=chain_id, name=chain_id, rpc=rpc, finality="finalized", start_block=0, completeness="none")


async def _asked(found: Reread, packed: Packed, spec: ChainSpec, sample: _Sample, hashes: Hashes) -> None:
    """Compare what is of one chain; where the block is another one there, nothing else is."""
    chain_id = spec.id
    at = packed.inputs.cuts[chain_id].block
    venues = [venue.snapshot.venue for venue in packed.inputs.venues if venue.snapshot.venue.chain_id == chain_id]
    chain = connect(spec, venues if namespace_of(chain_id) == SOLANA else (), ())
    async with aclosing(chain):
        try:
            if not await _has_block(found, chain, chain_id, at):
                return
            for venue in packed.inputs.venues:
                if venue.snapshot.venue.chain_id == chain_id:
                    await _compare_units(found, chain, venue, chosen(venue, sample.count, sample.seed), hashes)
            await _compare_feeds(found, chain, at, _said(packed, chain_id))
            await _compare_sources(found, chain, _sources(packed, chain_id, sample))
        except ChainError as error:
            found.notes.append(f"{chain_id}: the node could not be asked further: {error}")


async def _has_block(found: Reread, chain: Chain, chain_id: str, at: Block) -> bool:
    there = await chain.block(at.number)
    if not isinstance(there, Block):
        found.notes.append(f"{chain_id}: the node has no block {at.number}: nothing of it was compared")
        return False
    if there.hash != at.hash or there.time != at.time:
        said, other = format_hash(chain_id, at.hash), format_hash(chain_id, there.hash)
        found.faults.append(
            f"{chain_id}: block {at.number} is {said} of {at.time} in the snapshot, {other} of {there.time} there"
        )
        return False
    found.notes.append(f"{chain_id}: block {at.number} is {format_hash(chain_id, at.hash)} there too")
    return True


def chosen(venue: VenueInputs, sample: int, seed: str) -> list[UnitSnapshot]:
    """Choose units of a venue: the same for everybody who has the seed."""
    units = sorted(venue.units, key=lambda unit: unit.unit_id)
    picked = Random(f"{seed}|{venue.snapshot.venue.id}").sample(units, min(sample, len(units)))  # noqa: S311 - no secret
    return sorted(picked, key=lambda unit: unit.unit_id)


async def _compare_units(
    found: Reread, chain: Chain, venue: VenueInputs, units: Sequence[UnitSnapshot], hashes: Hashes
) -> None:
    """Let the venue's own views say what they have of units, or their accounts what these hold now."""
    spec, at = venue.snapshot.venue, venue.snapshot.at
    about = f"{spec.id}: {len(units)} of {len(venue.units)} units at block {at.number}"
    revisited = (
        await chain.later(spec.id, at.number, [u.unit_id for u in units]) if isinstance(chain, Revisiting) else None
    )
    if revisited is not None:
        outcomes = [_revisited(found, venue, *pair, hashes) for pair in zip(units, revisited, strict=True)]
    else:
        checks: Sequence[Checked] = await chain.audit(venue.snapshot, units) if isinstance(chain, Auditable) else ()
        outcomes = [check.outcome for check in checks]
        found.faults += [
            _differs(spec.chain_id, spec.id, at, each) for each in checks if each.outcome is Outcome.DIFFERENT
        ]
    counts = Counter(outcome.value for outcome in outcomes)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    found.notes.append(f"{about}: {told or 'its protocol has no view of a unit: nothing was compared'}")
    found.compared += counts[Outcome.EQUAL] + counts[Outcome.DIFFERENT]


def _revisited(found: Reread, venue: VenueInputs, unit: UnitSnapshot, now: Later, hashes: Hashes) -> Outcome:
    """Compare a unit with its account as it is now; where a transaction may have changed it since, a difference says nothing."""
    spec = venue.snapshot.venue
    name = format_address(spec.chain_id, unit.unit_id)
    amounts = {key: raw for key, raw in unit.positions.items() if raw}
    said = hashes.get((spec.id, name))
    there = sha256(now.account.data).hexdigest()
    if now.amounts == amounts and said in {None, there}:
        return Outcome.EQUAL
    if now.touched is None or now.touched:
        since = "since" if now.touched else "since or not, which the node does not keep"
        found.notes.append(f"{spec.id}/{name}: its account is another at slot {now.account.slot}, changed {since}")
        return Outcome.UNANSWERED
    what = "holds other amounts" if now.amounts != amounts else f"has the hash {there}, not {said},"
    found.faults.append(
        f"{spec.id}/{name}: its account {what} at slot {now.account.slot}, and no transaction changed it since"
    )
    return Outcome.DIFFERENT


def _differs(chain_id: str, venue_id: str, at: Block, check: Checked) -> str:
    unit, contract = format_address(chain_id, check.unit_id), format_address(chain_id, check.contract)
    market = f" of {format_address(chain_id, check.market)}" if check.market else ""
    theirs = "refuses to answer" if check.theirs is None else f"answers {_listed(check.theirs)}"
    ours = _listed(check.ours or {})
    return (
        f"{venue_id}/{unit}: {check.view}{market} of {contract} {theirs} at block {at.number}, the snapshot has {ours}"
    )


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _said(packed: Packed, chain_id: str) -> list[tuple[FeedSpec, Observation]]:
    """Return the feeds of a chain with what they say in the snapshot; those that it cannot tell apart are left out."""
    observations: dict[tuple[str, str, bytes], list[Observation]] = {}
    for each in packed.inputs.observations:
        if each.chain_id == chain_id and each.reading is not None:
            observations.setdefault((each.asset, each.kind, each.feed), []).append(each)
    feeds = [feed for feed in packed.inputs.catalogue.feeds if feed.chain_id == chain_id]
    pairs = [(feed, observations.get((feed.asset, feed.kind, feed.address), ())) for feed in feeds]
    return [(feed, said[0]) for feed, said in pairs if len(said) == 1]


async def _compare_feeds(found: Reread, chain: Chain, at: Block, said: Sequence[tuple[FeedSpec, Observation]]) -> None:
    """Compare what feeds answer; a time is compared where it makes an answer fresher than the node says it is."""
    if not isinstance(chain, Quoting) or not said:
        return
    quoted = await chain.quoted(at, [feed for feed, _ in said])
    pairs = [(feed, item, there) for (feed, item), there in zip(said, quoted, strict=True) if there is not None]
    found.compared += len(pairs)
    found.notes.append(f"{chain.spec.id}: {len(pairs)} of {len(said)} feeds answered at block {at.number}")
    for feed, item, there in pairs:
        found.faults += _feed_faults(feed, item, there, at)


def _sources(packed: Packed, chain_id: str, sample: _Sample) -> list[tuple[bytes, PriceAnswer]]:
    """Choose sources that venues take prices of, with their answers; those that are no contract are left out."""
    found = {
        source: answer
        for venue in packed.inputs.venues
        if venue.snapshot.venue.chain_id == chain_id
        for source, answer in venue.snapshot.answers.items()
        if len(source) == ADDRESS
    }
    picked = Random(f"{sample.seed}|{chain_id}").sample(sorted(found), min(sample.count, len(found)))  # noqa: S311 - no secret
    return [(source, found[source]) for source in sorted(picked)]


async def _compare_sources(found: Reread, chain: Chain, sources: Sequence[tuple[bytes, PriceAnswer]]) -> None:
    """Look for what sources answered in the receipts of the blocks that carried it."""
    if not isinstance(chain, Carrying) or not sources:
        return
    outcomes = await chain.carried(sources)
    counts = Counter(each.outcome.value for each in outcomes)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    found.notes.append(
        f"{chain.spec.id}: answers of {len(sources)} price sources in the receipts of their blocks: {told}"
    )
    found.notes += sorted({each.detail for each in outcomes if each.outcome is Outcome.UNANSWERED})
    found.compared += counts[Outcome.EQUAL] + counts[Outcome.DIFFERENT]
    for (source, answer), each in zip(sources, outcomes, strict=True):
        if each.outcome is Outcome.DIFFERENT:
            name = format_address(chain.spec.id, source)
            found.faults.append(
                f"{name} answered {answer.answer_raw} of {answer.updated_at} in the snapshot, {each.detail}"
            )


def _feed_faults(feed: FeedSpec, said: Observation, there: Quoted, at: Block) -> Iterator[str]:
    reading = said.reading
    about = f"{feed.kind} {format_address(feed.chain_id, feed.address)} of {feed.asset}"
    if reading is None:
        return
    if reading.answer_raw != there.answer_raw:
        yield f"{about} answers {there.answer_raw} at block {at.number}, the snapshot has {reading.answer_raw}"
    elif there.updated_at is not None and reading.updated_at > there.updated_at:
        yield f"{about} answered at {there.updated_at}, the snapshot says at {reading.updated_at}"
