"""Which haircut the days that were would have, and which one may be published next: never far at once, lower only after long calm.

The target is a mixture as in `aggregator.risk.models`, at the tail and the horizon of either margin. What was learnt by a challenger may
raise it and never lower it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aggregator.risk.history import Floats
from aggregator.risk.market import DAY_S
from aggregator.risk.models import (
    SLOW,
    STRESS_SHARE,
    WINDOW,
    WORST_DAYS,
    Publishing,
    deviations,
    fall,
    moving_quantile,
    residuals,
)


class Move(StrEnum):
    """What becomes of a haircut: `alert`: it must rise by more than one day may, which somebody has to decide."""

    KEEP = "keep"
    RAISE = "raise"
    ALERT = "alert"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a haircut of a tier never leaves, as fractions of the price."""

    least: float = 0.0
    most: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`current` → `proposed`, toward the `target` of the last day; `calm_days`: how many days in a row it was lower by the slack.

    `binding`: the largest part of the target (`filtered`, `history`, `long-run`, `challenger`), or the bound that it met (`least`, `most`).
    """

    current: float
    target: float
    proposed: float
    move: Move
    calm_days: int
    binding: str


LONG_RUN_SHARE = 0.5
"""The haircut is never below so much of the same quantile of all days that ever were: calm years do not take it to nothing."""


def targets(returns: Floats, *, tail: float, horizon_s: int) -> dict[str, Floats]:
    """Return the parts of the target for each day from `WINDOW` on and for the one to come, as fractions of the price.

    A horizon of up to a day takes its root of a day's move, a longer one that of its days.
    """
    root = math.sqrt(horizon_s / DAY_S)
    padded = np.append(returns, 0.0)
    swings = deviations(returns, SLOW)[WINDOW:]
    filtered = fall(root * moving_quantile(np.append(residuals(returns), 0.0), tail) * swings)
    ends = range(WINDOW, len(padded))
    stressed = np.array([float(np.mean(fall(root * np.sort(returns[:day])[:WORST_DAYS]))) for day in ends])
    ever = np.array([float(np.quantile(returns[:day], tail)) for day in ends])
    return {
        "filtered": (1 - STRESS_SHARE) * filtered + STRESS_SHARE * stressed,
        "history": fall(root * moving_quantile(padded, tail)),
        "long-run": LONG_RUN_SHARE * fall(root * ever),
    }


def advise(
    parts: dict[str, Floats], current: float, bounds: Bounds | None = None, rules: Publishing | None = None
) -> Advice:
    """Propose what follows `current`, by the targets of the last days (each n ≥ 1 long); raises `ValueError` for none or no numbers."""
    bounds, rules = bounds or Bounds(), rules or Publishing()
    if not parts or any(len(each) == 0 for each in parts.values()):
        raise ValueError("there is no day that tells a target")
    whole = np.max(np.stack(list(parts.values())), axis=0)
    if not np.isfinite(whole).all():
        raise ValueError("a target is not a number, and would pass for a calm day")
    kept = np.clip(np.ceil(np.round(whole / rules.step, 9)) * rules.step, bounds.least, bounds.most)
    target, calm = round(float(kept[-1]), 9), _calm_days(kept, current - rules.slack)
    if target > current + 1e-12:
        most = current + rules.rise
        proposed, move = min(target, most), Move.ALERT if target > most + 1e-12 else Move.RAISE
    elif calm >= rules.patience:
        proposed, move = max(current - rules.fall, target), Move.LOWER
    else:
        proposed, move = current, Move.KEEP
    return Advice(
        current=current,
        target=target,
        proposed=round(proposed, 9),
        move=move,
        calm_days=calm,
        binding=_binding(parts, float(whole[-1]), bounds),
    )


def _calm_days(kept: Floats, below: float) -> int:
    higher = np.flatnonzero(kept >= below)
    return len(kept) - 1 - int(higher[-1]) if len(higher) else len(kept)


def _binding(parts: dict[str, Floats], whole: float, bounds: Bounds) -> str:
    if whole < bounds.least:
        return "least"
    if whole > bounds.most:
        return "most"
    return max(parts, key=lambda name: float(parts[name][-1]))
