"""What feeds say, what becomes of each word, and the mark that is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from aggregator.oracle.rules import State

MAX_CONFIDENCE = 0.02
"""The widest interval that is believed, as a fraction of the price, of a feed that gives one and has no limit of its own."""

WINDOW_S = 3600
"""How much of the past a mark is made of, counted back from the block of the feed's own chain."""

ESTIMATED, RULE = "estimated", "rule"


class Reading(NamedTuple):
    """An answer of a feed, `answer_raw` / `unit_raw` USD, at `updated_at` (Unix seconds) in `block`.

    `confidence_raw`: the half-width of the feed's own interval at the same scale, `None` for a feed that gives none.
    """

    answer_raw: int
    unit_raw: int
    updated_at: int
    block: int
    confidence_raw: int | None = None

    @property
    def price(self) -> float:
        return self.answer_raw / self.unit_raw

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
    `whole_interval`: its interval is meant to cover the price as it is, and not one scale of its error.
    `operator`: who answers for it; feeds of one operator are one opinion. `None`: nobody of its own, as with a rate.
    `past`: answers before `reading`, oldest first: the last of each minute of the window, and the one before the window.
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
    operator: str | None = None
    past: tuple[Reading, ...] = ()
    whole_interval: bool = False


Path = tuple[tuple[int, float], ...]
"""Since when (Unix seconds) which price was said, or was the middle, oldest first; the first may have begun before the window."""


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
    SAID_TWICE = "said_twice"
    OUTLIER = "outlier"
    UNCONFIRMED = "jump_unconfirmed"
    NOT_VALID = "state_not_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """An observation that the mark rests on, as a price with the bounds that deviation, confidence and age allow.

    `base`: the mark that a rate was multiplied with; `age_s` is then that of the oldest answer of both. `steps`: what it said within
    the window, the present price last.
    """

    observation: Observation
    age_s: int
    low: float
    price: float
    high: float
    base: Mark | None = None
    steps: Path = ()

    @property
    def chains(self) -> set[str]:
        """The chains whose word this rests on."""
        below = self.base.used if self.base else ()
        return {self.observation.chain_id}.union(*(item.chains for item in below))

    @property
    def operators(self) -> frozenset[str]:
        """Who answers for it; for a rate those who answer for what it multiplies."""
        own = self.observation.operator
        below = self.base.operators if self.base else ()
        return frozenset(below if own is None else (own,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """An observation that was left out; `age_s` is `None` where there was no answer."""

    observation: Observation
    age_s: int | None
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The price of one identity in USD: `low` ≤ `mid` ≤ `high`.

    `confidence`: the half-width of the feeds' intervals, or of what parts them. `twap_…`: means of the middle over time, `None`
    where the past does not reach as far. `reasons`: what made it that state. `basis`: `estimated` where age widens by an estimated
    deviation, else `rule`. `path`: how the middle went within the window.
    """

    identity: str
    low: float
    mid: float
    high: float
    used: tuple[Used, ...]
    discarded: tuple[Discarded, ...]
    state: State = State.OK
    reasons: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    confidence: float = 0.0
    age_s: int = 0
    twap_5m: float | None = None
    twap_1h: float | None = None
    basis: str = RULE
    path: Path = ()

    @property
    def lowest(self) -> float:
        """The lowest middle within the window."""
        return min((self.mid, *(price for _, price in self.path)))

    @property
    def highest(self) -> float:
        """The highest middle within the window."""
        return max((self.mid, *(price for _, price in self.path)))


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

    @property
    def state(self) -> State:
        """`non_positive` where a feed says that it is worth nothing or less; else nobody is left to ask."""
        said = {item.refusal for item in self.discarded}
        return State.NON_POSITIVE if Refusal.NON_POSITIVE in said else State.NO_QUORUM

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(sorted({item.refusal.value for item in self.discarded})) or ("no_feed",)
