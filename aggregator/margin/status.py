"""What state an account is in, and its score from 0 to 100."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from aggregator.margin.numbers import WAD
from aggregator.margin.policy import StatusPolicy
from aggregator.margin.valuation import OpenUnit
from aggregator.margin.venue import answers
from aggregator.risk.breach import breach_score

BREACH_UNCONFIRMED = "breach_unconfirmed"
"""Reason why what is judged by house marks is not called liquidatable by them."""

WATCH_SCORE = 66
DANGER_SCORE = 33
FULL_SCORE = 100


class Status(StrEnum):
    """From best to worst; `unknown` is worst of all, for nothing may be concluded."""

    NO_DEBT = "no_debt"
    HEALTHY = "healthy"
    WATCH = "watch"
    DANGER = "danger"
    LIQUIDATABLE = "liquidatable"
    UNKNOWN = "unknown"


BEST_SCORE = {
    Status.NO_DEBT: FULL_SCORE,
    Status.HEALTHY: FULL_SCORE,
    Status.WATCH: WATCH_SCORE,
    Status.DANGER: DANGER_SCORE - 1,
    Status.LIQUIDATABLE: 0,
}
_SEVERITY = {status: severity for severity, status in enumerate(Status)}


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of some states; of none, `no_debt`."""
    return max(statuses, key=_SEVERITY.__getitem__, default=Status.NO_DEBT)


def unit_status(held_in: OpenUnit, policy: StatusPolicy) -> Status:
    """Return the state of one unit by its venue's own health factor, or by house marks where these judge it."""
    unit, adverse_wad = held_in.unit, held_in.adverse_wad
    if not unit.has_debt:
        return Status.NO_DEBT
    if not answers(unit) or unit.health_factor_wad is None:
        return Status.UNKNOWN
    if unit.liquidatable:
        return Status.LIQUIDATABLE
    found = band((unit.health_factor_wad if adverse_wad is None else adverse_wad) / WAD, policy)
    unconfirmed = adverse_wad is not None or any(reason.code == BREACH_UNCONFIRMED for reason in unit.reasons)
    return Status.DANGER if unconfirmed and found is Status.LIQUIDATABLE else found


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFactors:
    """The house health factor of an account as prices may be: all at their outer side (`low`), and all at their middle (`mid`).

    `worst`: at the worst middles of the window; `adverse`, `favourable`: with the prices that confirm no breach at either outer side,
    and all others at their middle.
    """

    low: float
    mid: float
    worst: float
    adverse: float
    favourable: float


def house_status(factors: HealthFactors, policy: StatusPolicy) -> Status:
    """Return the state by the house health factor: its middle decides, and a low end below 1 is danger at best.

    A price that confirms no breach counts at its adverse side; by it alone nobody is called liquidatable.
    """
    low_end = Status.DANGER if factors.low < 1 else Status.NO_DEBT
    found = worst([held_band(factors.adverse, min(factors.worst, factors.adverse), policy), low_end])
    unconfirmed = found is Status.LIQUIDATABLE and factors.favourable >= 1
    return Status.DANGER if unconfirmed else found


def may_be_held(health_factor: float, policy: StatusPolicy) -> bool:
    """Whether the worst of the window may decide about the band of a health factor; beyond, nobody needs to know it."""
    return 1 <= health_factor < policy.watch_below * (1 + policy.leave_margin)


def held_band(mid: float, window_worst: float, policy: StatusPolicy) -> Status:
    """Return the band of a health factor; a worse one is left only when the window's worst is out of it too, or by a margin."""
    if mid < 1:
        return Status.LIQUIDATABLE
    for bound, inside in ((policy.danger_below, Status.DANGER), (policy.watch_below, Status.WATCH)):
        if mid < bound or (window_worst < bound and mid < bound * (1 + policy.leave_margin)):
            return inside
    return Status.HEALTHY


def band(health_factor: float, policy: StatusPolicy) -> Status:
    """Return the band of a health factor; 1 itself is not liquidatable."""
    if health_factor < 1:
        return Status.LIQUIDATABLE
    if health_factor < policy.danger_below:
        return Status.DANGER
    if health_factor < policy.watch_below:
        return Status.WATCH
    return Status.HEALTHY


def score(status: Status, health_factor: float | None, probability: float | None, policy: StatusPolicy) -> int | None:
    """Return 0 to 100 for the chance of being liquidatable within a day; `None` when the status is unknown.

    Where the chance is not known, it goes by bands: by the lowest health factor of house and units, capped by the status.
    """
    if status is Status.UNKNOWN:
        return None
    if status is Status.LIQUIDATABLE:
        return 0
    if probability is not None:
        return breach_score(probability)
    if health_factor is None:
        return BEST_SCORE[status]
    return min(int(_scale(health_factor, policy)), BEST_SCORE[status])


def _scale(health_factor: float, policy: StatusPolicy) -> float:
    """Interpolate: 1 → 0, danger_below → 33, watch_below → 67, full_score_at → 100; flat outside."""
    knots = (
        (1.0, 0),
        (policy.danger_below, DANGER_SCORE),
        (policy.watch_below, WATCH_SCORE + 1),
        (policy.full_score_at, FULL_SCORE),
    )
    if health_factor >= knots[-1][0]:
        return FULL_SCORE
    for (left, floor), (right, ceiling) in pairwise(knots):
        if left <= health_factor < right:
            return floor + (ceiling - floor) * (health_factor - left) / (right - left)
    return 0
