"""How far a mark may be relied on, and the numbers by which that is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """From best to worst; what may rest on which is `Validity`."""

    OK = "ok"
    DEGRADED = "degraded"
    HELD = "held"
    STALE = "stale"
    UNCERTAIN = "uncertain"
    VOLATILE = "volatile"
    NO_QUORUM = "no_quorum"
    NON_POSITIVE = "non_positive"


SEVERITY = {state: severity for severity, state in enumerate(State)}


def worst(states: Iterable[State]) -> State:
    """Return the worst of some states; of none, `ok`."""
    return max(states, key=SEVERITY.__getitem__, default=State.OK)


class Mode(StrEnum):
    """What the middle of a mark is: a median holds while less than half of the weight is wrong, a mean gives way to any of it."""

    MEDIAN = "median"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRules:
    """The numbers of `docs/methodology.md`, chapter Marks; fractions are of the price, times are seconds.

    `outlier`, `outlier_mads`: of three prices and more, one farther from the middle than the larger of both is left out.
    `interval_multiple`: of a feed's own half-width. `age_deviations`, `most_widening`: of the daily deviation, for age.
    `par_classes`: asset classes whose tokens their issuers redeem for one USD.
    """

    mode: Mode = Mode.MEDIAN
    quorum: int = 2
    demand_quorum: bool = False
    outlier: float = 0.01
    outlier_mads: float = 3.0
    interval_multiple: float = 2.12
    age_deviations: float = 2.326
    most_widening: float = 0.2
    most_spread: float = 0.02
    volatile_ratio: float = 5.0
    jump: float = 0.15
    jump_deviations: float = 6.0
    hold_s: int = 900
    peg_haircut: float = 0.125
    par_classes: tuple[str, ...] = ()


DEFAULT = MarkRules()
