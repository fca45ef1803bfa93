"""Observations become a mark: a price of one identity, with bounds, and every observation that was left out.

Doubt falls on the outer side: `low` is the lower and `high` the upper of what the middle observations allow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple, assert_never

MAX_CONFIDENCE = 0.02
"""The widest interval that is believed, as a fraction of the price, of a feed that gives one and has no limit of its own."""


class Reading(NamedTuple):
    """The last answer of a feed, `answer_raw` / `unit_raw` USD, at `updated_at` (Unix seconds) in `block`.

    `confidence_raw`: the half-width of the feed's own interval at the same scale, `None` for a feed that gives none.
    """

    answer_raw: int
    unit_raw: int
    updated_at: int
    block: int
    confidence_raw: int | None = None

    @property
    def confidence(self) -> float | None:
        """The half-width of the interval in USD."""
        return None if self.confidence_raw is None else self.confidence_raw / self.unit_raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one feed says of one asset, or `None` where it has said nothing (yet).

    `heartbeat_s`: the longest silence that the feed promises; `None`: its answer does not age (`fixed`).
    `deviation`: the move, as a fraction of the price, below which the feed may stay silent.
    `fault`: why the feed is not to be believed, whatever it says.
    `max_confidence`: the widest interval that is believed, as a fraction of the price; `None`: `MAX_CONFIDENCE`.
    `of`: the identity whose mark is multiplied by the answer, which then is a rate and no price.
    `caveat`: what is to be said with an answer that is used all the same.
    """

    asset: str
    kind: str
    chain_id: str
    feed: bytes
    heartbeat_s: int | None
    deviation: float
    reading: Reading | None
    fault: str | None = None
    max_confidence: float | None = None
    of: str | None = None
    caveat: str | None = None


class Refusal(StrEnum):
    """Why an observation is not used."""

    NO_ANSWER = "no_answer"
    IN_DOUBT = "in_doubt"
    NON_POSITIVE = "non_positive"
    FROM_THE_FUTURE = "from_the_future"
    STALE = "stale"
    TOO_WIDE = "confidence_too_wide"
    STALE_CHAIN = "stale_chain"
    BASE_UNPRICED = "base_unpriced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """An observation that the mark rests on, as a price with the bounds that its deviation and its confidence allow.

    `base`: the mark that a rate was multiplied with; `age_s` is then that of the oldest answer of both.
    """

    observation: Observation
    age_s: int
    low: float
    price: float
    high: float
    base: Mark | None = None

    @property
    def chains(self) -> set[str]:
        """The chains whose word this rests on."""
        below = self.base.used if self.base else ()
        return {self.observation.chain_id}.union(*(item.chains for item in below))


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """An observation that was left out; `age_s` is `None` where there was no answer."""

    observation: Observation
    age_s: int | None
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The price of one identity in USD: `low` ≤ `mid` ≤ `high`."""

    identity: str
    low: float
    mid: float
    high: float
    used: tuple[Used, ...]
    discarded: tuple[Discarded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """No observation of this identity can be used; with none at all, `discarded` is empty."""

    identity: str
    discarded: tuple[Discarded, ...]

    @property
    def cause(self) -> str:
        """One word: `no_feed`, or why the observations were left out."""
        causes = sorted({item.refusal.value for item in self.discarded})
        return "+".join(causes) or "no_feed"


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


def mark(
    identity: str,
    observations: Sequence[Observation],
    times: Mapping[str, int],
    stale_chains: Collection[str] = (),
    bases: Mapping[str, Mark | Unpriced] | None = None,
) -> Mark | Unpriced:
    """Combine what feeds say of one identity; `bases`: the marks that rates are multiplied with.

    `times`: chain → time of the block from which its feeds are seen; any other chain's answers are refused. What a stale
    chain says is used only where no other chain says anything.
    """
    used: list[Used] = []
    discarded: list[Discarded] = []
    for observation in observations:
        match judge(observation, times.get(observation.chain_id, 0), bases or {}):
            case Used() as item:
                used.append(item)
            case Discarded() as item:
                discarded.append(item)
            case other:
                assert_never(other)
    live = [item for item in used if item.chains.isdisjoint(stale_chains)]
    if live:
        discarded += [outdated(item) for item in used if item not in live]
    if not used:
        return Unpriced(identity=identity, discarded=tuple(discarded))
    return combine(identity, tuple(live or used), tuple(discarded))


def outdated(item: Used) -> Discarded:
    """Leave out what a stale chain says."""
    return Discarded(observation=item.observation, age_s=item.age_s, refusal=Refusal.STALE_CHAIN)


def marks_of(
    observed: Mapping[str, Sequence[Observation]], times: Mapping[str, int], stale_chains: Collection[str] = ()
) -> dict[str, Mark | Unpriced]:
    """Return the mark of every identity that feeds speak of, those that rest on others after them; a circle prices nothing."""
    done: dict[str, Mark | Unpriced] = {}

    def settle(identity: str, above: tuple[str, ...]) -> None:
        if identity in done or identity in above or identity not in observed:
            return
        for base in sorted({item.of for item in observed[identity] if item.of is not None}):
            settle(base, (*above, identity))
        known = {base: mark for base, mark in done.items() if base not in above}
        done[identity] = mark(identity, observed[identity], times, stale_chains, known)

    for identity in observed:
        settle(identity, ())
    return done


def judge(observation: Observation, now: int, bases: Mapping[str, Mark | Unpriced]) -> Used | Discarded:
    """Turn one observation into a price, or into the reason that it is none."""
    reading = observation.reading
    doubted = Refusal.IN_DOUBT if observation.fault and reading is not None else None
    reason = doubted or refusal(reading, now=now, heartbeat_s=observation.heartbeat_s)
    age_s = None if reading is None else now - reading.updated_at
    if reading is None or age_s is None or reason is not None:
        return Discarded(observation=observation, age_s=age_s, refusal=reason or Refusal.NO_ANSWER)
    if too_wide(reading, observation.max_confidence):
        return Discarded(observation=observation, age_s=age_s, refusal=Refusal.TOO_WIDE)
    price, confidence = reading.answer_raw / reading.unit_raw, reading.confidence or 0.0
    if observation.of is not None:
        return redeemed(observation, age_s, price, bases.get(observation.of))
    return Used(
        observation=observation,
        age_s=age_s,
        low=max(0.0, price * (1 - observation.deviation) - confidence),
        price=price,
        high=price * (1 + observation.deviation) + confidence,
    )


def redeemed(observation: Observation, age_s: int, rate: float, base: Mark | Unpriced | None) -> Used | Discarded:
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
    )


def too_wide(reading: Reading, max_confidence: float | None) -> bool:
    """Whether a positive answer comes with an interval that is no interval, or wider than is believed."""
    if reading.confidence_raw is None:
        return False
    limit = MAX_CONFIDENCE if max_confidence is None else max_confidence
    return not 0 <= reading.confidence_raw / reading.answer_raw <= limit


def combine(identity: str, used: tuple[Used, ...], discarded: tuple[Discarded, ...]) -> Mark:
    """Take weighted medians: the lower of the lows, the upper of the highs, the middle of the prices."""
    return Mark(
        identity=identity,
        low=lower_median(used, lambda item: item.low),
        mid=(lower_median(used, lambda item: item.price) + upper_median(used, lambda item: item.price)) / 2,
        high=upper_median(used, lambda item: item.high),
        used=used,
        discarded=discarded,
    )


def weight(_: Used) -> int:
    """How much an observation says: all the same in this version."""
    return 1


def lower_median(used: Sequence[Used], value: Callable[[Used], float]) -> float:
    """Return the smallest value at or below which lies at least half of the weight."""
    ordered = sorted(used, key=value)
    below = accumulate(weight(item) for item in ordered)
    half = Fraction(sum(map(weight, used)), 2)
    return next(value(item) for item, weight_below in zip(ordered, below, strict=True) if weight_below >= half)


def upper_median(used: Sequence[Used], value: Callable[[Used], float]) -> float:
    """Return the largest value at or above which lies at least half of the weight."""
    return -lower_median(used, lambda item: -value(item))
