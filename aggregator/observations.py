"""What the configured feeds say at the cuts: their last answers, and those of the window before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aggregator.margin.inputs import Asset, Cut
from aggregator.margin.valuation import identity_of
from aggregator.oracle.mark import Observation, Reading
from aggregator.oracle.observation import WINDOW_S
from chains.model import Block, FeedSpec, PriceAnswer, Reason
from chains.registry import REDEMPTION_RATE, SEQUENCER_UPTIME, WHOLE_INTERVALS, current_answer, operator_of


class Answers(Protocol):
    """What is asked of the store for it."""

    def feeds(self, chain_id: str, at: Block) -> Mapping[bytes, str]: ...

    def answers(self, chain_id: str, at: Block) -> Mapping[bytes, PriceAnswer]: ...

    def recent_answers(
        self, chain_id: str, at: Block, sources: Sequence[bytes], window_s: int
    ) -> Mapping[bytes, Sequence[PriceAnswer]]: ...


def observe(
    journals: Answers, feeds: Sequence[FeedSpec], cuts: Mapping[str, Cut], assets: Sequence[Asset]
) -> tuple[Observation, ...]:
    """Ask every feed for its last answer at the cut of its own chain, and for those of the window before it."""
    feeds = [feed for feed in feeds if feed.kind != SEQUENCER_UPTIME]
    chains = sorted({feed.chain_id for feed in feeds} & cuts.keys())
    said = {chain: _said(journals, cuts[chain].block, chain, feeds) for chain in chains}
    return tuple(observation_of(feed, said.get(feed.chain_id), assets) for feed in feeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedsAt:
    """What the journals say of a chain's price sources at a block; see `VenueSnapshot`. `recent`: within the window before it."""

    at: Block
    feeds: Mapping[bytes, str]
    answers: Mapping[bytes, PriceAnswer]
    recent: Mapping[bytes, Sequence[PriceAnswer]] = field(default_factory=dict)


def _said(journals: Answers, at: Block, chain_id: str, feeds: Sequence[FeedSpec]) -> FeedsAt:
    phases = journals.feeds(chain_id, at)
    followed = {phases.get(feed.address) for feed in feeds if feed.chain_id == chain_id}
    sources = {source for phase in followed if phase is not None and (source := _source(json.loads(phase)))}
    recent = journals.recent_answers(chain_id, at, sorted(sources), WINDOW_S) if sources else {}
    return FeedsAt(at=at, feeds=phases, answers=journals.answers(chain_id, at), recent=recent)


def _source(state: Mapping[str, Any]) -> bytes | None:
    """Return the source whose answers are what a feed says; one that is computed has no past."""
    source = None if state.get("rule") else state.get("aggregator")
    return bytes.fromhex(source.removeprefix("0x")) if source else None


def observation_of(feed: FeedSpec, said: FeedsAt | None, assets: Sequence[Asset] = ()) -> Observation:
    """Return what a feed says: the last answer of the source that its phase points to, at the scale that it declares."""
    if feed.kind == REDEMPTION_RATE:
        return _rate_of(feed, said, {asset.id: asset for asset in assets})
    phase = said.feeds.get(feed.address) if said else None
    state = json.loads(phase) if phase is not None else {}
    reading = _reading(feed, state, said) if said else None
    return Observation(
        asset=feed.asset,
        kind=feed.kind,
        chain_id=feed.chain_id,
        feed=feed.address,
        heartbeat_s=feed.heartbeat_s,
        deviation=feed.deviation,
        reading=reading,
        fault=state.get("fault") or state.get("problem"),
        max_confidence=feed.max_confidence,
        caveat=state.get("caveat"),
        operator=operator_of(feed),
        whole_interval=feed.kind in WHOLE_INTERVALS,
        past=_past(state, said, reading) if said and reading else (),
    )


def _past(state: Mapping[str, Any], said: FeedsAt, reading: Reading) -> tuple[Reading, ...]:
    """Return what the same source said before its last answer, at the scale of today."""
    return tuple(
        Reading(answer.answer_raw, reading.unit_raw, answer.updated_at, answer.block, answer.confidence_raw)
        for answer in said.recent.get(_source(state) or b"", ())
        if (answer.updated_at, answer.block) < (reading.updated_at, reading.block)
    )


def _rate_of(feed: FeedSpec, said: FeedsAt | None, assets: Mapping[str, Asset]) -> Observation:
    """Return what a contract says that one of an asset is worth; read at the block, a rate does not age."""
    told = current_answer(said, feed.address + (feed.feed_id or b"")) if said else None
    unit = feed.unit_raw or 1
    return Observation(
        asset=feed.asset,
        kind=feed.kind,
        chain_id=feed.chain_id,
        feed=feed.address,
        heartbeat_s=None,
        deviation=feed.deviation,
        reading=_rate(told, unit, said.at) if said and isinstance(told, PriceAnswer) else None,
        fault=told.detail if isinstance(told, Reason) else None,
        of=identity_of(feed.of, assets) if feed.of is not None else None,
    )


def _rate(told: PriceAnswer, unit: int, at: Block) -> Reading:
    """Return a rate as of the block; one that tells no time of its own is as it was when it was looked at."""
    return Reading(told.answer_raw, unit, told.updated_at or at.time, told.block)


def _reading(feed: FeedSpec, state: Mapping[str, Any], said: FeedsAt) -> Reading | None:
    source, decimals = state.get("aggregator"), state.get("decimals")
    answer = said.answers.get(bytes.fromhex(source.removeprefix("0x"))) if source else None
    if state.get("rule") and not state["fault"]:
        computed = current_answer(said, feed.address)
        answer = None if isinstance(computed, Reason) else computed
    if answer is None or decimals is None:
        return None
    return Reading(answer.answer_raw, 10**decimals, answer.updated_at, answer.block, answer.confidence_raw)
