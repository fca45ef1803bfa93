"""What was measured of one node: plain values, for verdicts and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """One thing that a node can do, or how much of it.

    `value`: yes, no or a number; `None` where it could not be told. `whole`: nothing more was asked for, so that the true number may
    be larger (a limit), or need not be (the oldest block). `said`: the node's own words, or what went wrong.
    """

    value: bool | int | None
    whole: bool = False
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The newest block of a node: its height, its time, and the machine's own time when it came, both in Unix seconds.

    `skew_s`: how far the node's own clock is ahead of this machine's, where its HTTP answers tell.
    """

    number: int
    time: int
    seen_at: float
    skew_s: float | None

    @property
    def age_s(self) -> float:
        """Seconds since the block was made, by this machine's clock; negative where one of the two clocks is wrong."""
        return self.seen_at - self.time


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSurvey:
    """All that was measured of one address; `label` is what may be shown of it.

    `problem`: why it could not be asked at all. `served`: the CAIP-2 chain behind it. `limited`: how often it said that this were too
    many requests. `abilities` are empty where the node is not of the chain.
    """

    label: str
    requests: int
    calls: int
    problem: str | None = None
    served: str | None = None
    client: str | None = None
    latency_s: float | None = None
    limited: int = 0
    head: Sight | None = None
    abilities: Mapping[str, Ability] = field(default_factory=dict)
