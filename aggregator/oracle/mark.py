"""Observations become a mark: a price of one identity, with bounds, a state, and every observation that was left out.

Doubt falls on the outer side: `low` is the lower and `high` the upper of what the middle observations allow. All of it follows from
what was said within a window before the cut; nothing is remembered from one answer to the next.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from aggregator.oracle.combined import About, View, combined
from aggregator.oracle.observation import (
    MAX_CONFIDENCE,
    WINDOW_S,
    Discarded,
    Mark,
    Observation,
    Reading,
    Refusal,
    Unpriced,
    Used,
)
from aggregator.oracle.rules import DEFAULT, MarkRules
from aggregator.oracle.window import accepted, sound

__all__ = [
    "MAX_CONFIDENCE",
    "About",
    "Discarded",
    "Mark",
    "Observation",
    "Reading",
    "Refusal",
    "Unpriced",
    "Used",
    "age_limit_s",
    "mark",
    "marks_of",
    "refusal",
]

DAY_S = 86_400
NOTHING_KNOWN = About()


def age_limit_s(heartbeat_s: int) -> int:
    """Return how old an answer may be: a tenth and a minute beyond the heartbeat."""
    return heartbeat_s * 11 // 10 + 60


def refusal(reading: Reading | None, *, now: int, heartbeat_s: int | None) -> Refusal | None:
    """Say why an answer may not be used at the time `now` of its own chain, or `None` when it may."""
    if reading is None:
        return Refusal.NO_ANSWER
    if reading.answer_raw <= 0:
        return Refusal.NON_POSITIVE
    if reading.updated_at > now:
        return Refusal.FROM_THE_FUTURE
    if heartbeat_s is not None and now - reading.updated_at > age_limit_s(heartbeat_s):
        return Refusal.STALE
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all marks of one answer share: the time of each chain's block, chains without a recent one, and the rules."""

    times: Mapping[str, int]
    stale_chains: Collection[str]
    rules: MarkRules
    newest: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "newest", max(self.times.values(), default=0))

    def lag_s(self, chain_id: str) -> int:
        """How far a chain that stands still is behind the others, in seconds."""
        return self.newest - self.times[chain_id] if chain_id in self.stale_chains and chain_id in self.times else 0


def mark(
    identity: str,
    observations: Sequence[Observation],
    times: Mapping[str, int],
    stale_chains: Collection[str] = (),
    bases: Mapping[str, Mark | Unpriced] | None = None,
    *,
    rules: MarkRules = DEFAULT,
    about: About = NOTHING_KNOWN,
) -> Mark | Unpriced:
    """Combine what feeds say of one identity; `bases`: the marks that rates are multiplied with, `about`: what is known of it.

    `times`: chain → time of the block from which its feeds are seen; any other chain's answers are refused. What a stale
    chain says is used only where no other chain says anything.
    """
    scene = Scene(times=times, stale_chains=stale_chains, rules=rules)
    used: list[Used] = []
    discarded: list[Discarded] = []
    for observation in observations:
        match _judged(observation, scene, bases or {}, about.daily_deviation):
            case Used() as item:
                used.append(item)
            case Discarded() as item:
                discarded.append(item)
            case other:
                assert_never(other)
    once, again = _once(used)
    discarded += [_without(item, Refusal.SAID_TWICE) for item in again]
    live = [item for item in once if item.chains.isdisjoint(stale_chains)]
    if live:
        discarded += [_without(item, Refusal.STALE_CHAIN) for item in once if item not in live]
    if not once:
        return Unpriced(identity=identity, discarded=tuple(discarded))
    view = View(times=times, stale_chains=frozenset(stale_chains), rules=rules, about=about)
    return combined(identity, live or once, discarded, view)


def _once(used: Sequence[Used]) -> tuple[list[Used], list[Used]]:
    """Part what is said from what is said again: of one feed the word with the widest bounds is kept."""
    places: dict[tuple[str, bytes, str | None], int] = {}
    for place, item in enumerate(used):
        key = (item.observation.chain_id, item.observation.feed, item.observation.of)
        if key not in places or _preferred(item) < _preferred(used[places[key]]):
            places[key] = place
    first = set(places.values())
    return [used[place] for place in sorted(first)], [item for place, item in enumerate(used) if place not in first]


def _preferred(item: Used) -> tuple[float, float, str]:
    return (item.low, -item.high, item.observation.asset)


def _without(item: Used, why: Refusal) -> Discarded:
    return Discarded(observation=item.observation, age_s=item.age_s, refusal=why)


def marks_of(
    observed: Mapping[str, Sequence[Observation]],
    times: Mapping[str, int],
    stale_chains: Collection[str] = (),
    *,
    rules: MarkRules = DEFAULT,
    about: Mapping[str, About] | None = None,
) -> dict[str, Mark | Unpriced]:
    """Return the mark of every identity that feeds speak of, those that rest on others after them; a circle prices nothing."""
    done: dict[str, Mark | Unpriced] = {}

    def settle(identity: str, above: tuple[str, ...]) -> None:
        if identity in done or identity in above or identity not in observed:
            return
        for base in sorted({item.of for item in observed[identity] if item.of is not None}):
            settle(base, (*above, identity))
        known = (about or {}).get(identity, NOTHING_KNOWN)
        done[identity] = mark(identity, observed[identity], times, stale_chains, done, rules=rules, about=known)

    for identity in observed:
        settle(identity, ())
    return done


def _judged(
    observation: Observation, scene: Scene, bases: Mapping[str, Mark | Unpriced], daily_deviation: float | None
) -> Used | Discarded:
    """Turn one observation into a price, or into the reason that it is none."""
    reading, now = observation.reading, scene.times.get(observation.chain_id, 0)
    doubted = Refusal.IN_DOUBT if observation.fault and reading is not None else None
    reason = doubted or refusal(reading, now=now, heartbeat_s=observation.heartbeat_s)
    age_s = None if reading is None else now - reading.updated_at
    if reading is None or age_s is None or reason is not None:
        return Discarded(observation=observation, age_s=age_s, refusal=reason or Refusal.NO_ANSWER)
    if not sound(reading, observation.max_confidence):
        return Discarded(observation=observation, age_s=age_s, refusal=Refusal.TOO_WIDE)
    if observation.of is not None:
        return _redeemed(observation, age_s, reading.price, bases.get(observation.of))
    move = moved(observation, age_s + scene.lag_s(observation.chain_id), scene.rules, daily_deviation)
    multiple = 1.0 if observation.whole_interval else scene.rules.interval_multiple
    interval = multiple * (reading.confidence or 0.0)
    return Used(
        observation=observation,
        age_s=age_s,
        low=max(0.0, reading.price * (1 - move) - interval),
        price=reading.price,
        high=reading.price * (1 + move) + interval,
        steps=accepted(observation, now) if observation.heartbeat_s is not None else ((now - WINDOW_S, reading.price),),
    )


def moved(observation: Observation, age_s: int, rules: MarkRules, daily_deviation: float | None) -> float:
    """Return how far a price may have gone since its answer, as a fraction of it.

    While a feed keeps its promise that is its deviation; whether it does is the less sure the older the answer. Without an estimate
    of the daily deviation its own stands for what a price does within a heartbeat.
    """
    heartbeat_s = observation.heartbeat_s
    if heartbeat_s is None:
        return observation.deviation
    if daily_deviation is None:
        since = observation.deviation * math.sqrt(age_s / heartbeat_s) if heartbeat_s else 0.0
    else:
        since = rules.age_deviations * daily_deviation * math.sqrt(age_s / DAY_S)
    return max(observation.deviation, min(since, rules.most_widening))


def _redeemed(observation: Observation, age_s: int, rate: float, base: Mark | Unpriced | None) -> Used | Discarded:
    """Multiply a rate with the mark of what is redeemed."""
    if not isinstance(base, Mark):
        return Discarded(observation=observation, age_s=age_s, refusal=Refusal.BASE_UNPRICED)
    return Used(
        observation=observation,
        age_s=max(age_s, *(item.age_s for item in base.used)),
        low=rate * base.low * (1 - observation.deviation),
        price=rate * base.mid,
        high=rate * base.high * (1 + observation.deviation),
        base=base,
        steps=tuple((time, rate * price) for time, price in base.path),
    )
