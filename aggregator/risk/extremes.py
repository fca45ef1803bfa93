"""Scenarios that are made of estimates and of other scenarios: everything falls at once, and how much of a scenario is too much."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence

from aggregator.risk.grid import CHANCES
from aggregator.risk.scenarios import (
    NOTHING_LEFT,
    PLACES,
    Applied,
    Held,
    Library,
    Rule,
    Scenario,
    ScenarioError,
)

TOGETHER = "together"
LARGEST_MULTIPLE = 64.0
HALVINGS = 40


def together(library: Library, held: Sequence[Held], swings: Mapping[str, float], minima: Sequence[float]) -> Scenario:
    """Let everything that is not worth a dollar fall at once by what a day goes beyond with the library's chance.

    `swings`: identity → the deviation of a day, `minima`: see `RiskInputs`. What has no swing falls by the market's, times beta and
    excess. Raises `ScenarioError` where nobody knows how far days go, or the market itself is not estimated and is needed.
    """
    if not minima:
        raise ScenarioError("nobody knows how far days go, so nothing can fall together: import histories with lows")
    place = min(bisect.bisect_right(CHANCES, library.together) - 1, len(minima) - 1)
    deviations = minima[max(place, 0)]
    return Scenario(
        id=TOGETHER,
        name=f"everything falls by what a day exceeds with a chance of {library.together:g}",
        moves=tuple(_falls(library, each, swings, deviations) for each in held),
        facts={"chance": library.together, "deviations": round(deviations, PLACES)},
    )


def _falls(library: Library, held: Held, swings: Mapping[str, float], deviations: float) -> Applied:
    if held.usd_like:
        return Applied(asset=held.asset, move=0.0, rule=Rule.UNTOUCHED)
    if held.identity in swings:
        return Applied(asset=held.asset, move=_fall(swings[held.identity], deviations), rule=Rule.ESTIMATED)
    market = swings.get(library.mapping.market)
    if market is None:
        raise ScenarioError(
            f"nothing is estimated of {held.identity}, nor of {library.mapping.market}, which it would follow: import a history of either"
        )
    beta = library.mapping.beta if held.beta is None else held.beta
    move = max(_fall(market, deviations) * beta * library.mapping.excess, NOTHING_LEFT)
    return Applied(asset=held.asset, move=round(move, PLACES), rule=Rule.BETA)


def _fall(swing: float, deviations: float) -> float:
    """Return the relative move of so many deviations down; swings are of log prices."""
    return round(math.expm1(-max(deviations, 0.0) * swing), PLACES)


def smallest_multiple(lost: Callable[[float], float], limit: float) -> float | None:
    """Return the smallest multiple at which more than `limit` is lost, up to rounding never too large; `None`: none is found.

    `lost` is tried at 1/64, 1/32 … 64 and halved between the first that loses too much and the one before: where losses fall again
    in between, an earlier multiple may be missed.
    """
    below = 0.0
    if lost(below) > limit:
        return 0.0
    multiple = 1 / LARGEST_MULTIPLE
    while lost(multiple) <= limit:
        below, multiple = multiple, multiple * 2
        if multiple > LARGEST_MULTIPLE:
            return None
    for _ in range(HALVINGS):
        middle = (below + multiple) / 2
        if lost(middle) > limit:
            multiple = middle
        else:
            below = middle
    return below
