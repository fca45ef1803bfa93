"""What state an account is in, and its score from 0 to 100."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise

from aggregator.margin.numbers import WAD
from aggregator.margin.policy import StatusPolicy
from aggregator.margin.venue import answers
from chains.model import VenueUnit

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


def unit_status(unit: VenueUnit, policy: StatusPolicy) -> Status:
    """Return the state of one unit by its venue's own health factor."""
    if not unit.has_debt:
        return Status.NO_DEBT
    if not answers(unit) or unit.health_factor_wad is None:
        return Status.UNKNOWN
    if unit.liquidatable:
        return Status.LIQUIDATABLE
    return band(unit.health_factor_wad / WAD, policy)


def house_status(low: float, mid: float, policy: StatusPolicy) -> Status:
    """Return the state by the house health factor: its middle decides, and a low end below 1 is danger at best."""
    return worst([band(mid, policy), Status.DANGER if low < 1 else Status.NO_DEBT])


def band(health_factor: float, policy: StatusPolicy) -> Status:
    if health_factor < 1:
        return Status.LIQUIDATABLE
    if health_factor < policy.danger_below:
        return Status.DANGER
    if health_factor < policy.watch_below:
        return Status.WATCH
    return Status.HEALTHY


def score(status: Status, health_factor: float | None, policy: StatusPolicy) -> int | None:
    """Return 0 to 100 for the lowest health factor of house and units, capped by the status; `None` when unknown."""
    if status is Status.UNKNOWN:
        return None
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
