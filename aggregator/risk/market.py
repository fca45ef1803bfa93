"""The market layer of a haircut: how far a price may fall within a horizon, estimated from its own history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aggregator.risk.draws import fractions
from aggregator.risk.history import Floats, History
from aggregator.risk.models import SLOW, WINDOW, deviations, residuals

DAY_S = 86_400
PATHS = 10_000
PRIMES = (
    2,
    3,
    5,
    7,
    11,
    13,
    17,
    19,
    23,
    29,
    31,
    37,
    41,
    43,
    47,
    53,
    59,
    61,
    67,
    71,
    73,
    79,
    83,
    89,
    97,
    101,
    103,
    107,
    109,
    113,
)
LONGEST_DAYS = len(PRIMES)
"""Paths go no further."""

UNSURE = 1.25
"""What the deviation of a short history is multiplied with."""

FEWEST_DAYS = 30
"""A shorter history says nothing."""

_FREEDOM = 4


class Basis(StrEnum):
    """What an estimate rests on: the asset's own residuals, or a Student distribution where these are too few or hold no falls."""

    FILTERED = "fhs"
    STUDENT = "student"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLayer:
    """The `haircut` as a fraction of the price; `deviation`: the log return's of one day.

    `quantile`: in deviations of the horizon, negative; `None` for a horizon of more than a day, whose paths are simulated.
    """

    haircut: float
    horizon_s: int
    tail: float
    deviation: float
    quantile: float | None
    days: int
    basis: Basis


def market_layer(history: History, *, horizon_s: int, tail: float) -> MarketLayer | None:
    """Estimate the fall that is gone beyond with the chance `tail` within `horizon_s` seconds; `None` where the history is too
    short, or the price never moved.

    Up to a day the deviation grows with the root of time. Beyond, whole days are drawn from the residuals, each moving the deviation
    of the next; a part of a day counts as a day. Raises `ValueError` beyond `LONGEST_DAYS`.
    """
    return layer_of(history.returns, horizon_s=horizon_s, tail=tail)


def layer_of(returns: Floats, *, horizon_s: int, tail: float, rising: bool = False) -> MarketLayer | None:
    """Estimate as `market_layer` does from daily log returns; `rising`: the rise instead, as a fraction that may be above 1."""
    if horizon_s > LONGEST_DAYS * DAY_S:
        raise ValueError(f"a horizon of {horizon_s} s is longer than {LONGEST_DAYS} days")
    deviation = float(deviations(returns, SLOW)[-1]) if len(returns) >= FEWEST_DAYS else 0.0
    if not deviation:
        return None
    pool = _pool(-returns if rising else returns)
    quantile = float(np.quantile(pool, tail)) if len(pool) >= WINDOW else 0.0
    basis = Basis.FILTERED if quantile < 0 else Basis.STUDENT
    if basis is Basis.STUDENT:
        deviation *= UNSURE
        quantile = student_quantile(tail)
    if horizon_s <= DAY_S:
        fallen = quantile * deviation * math.sqrt(horizon_s / DAY_S)
    else:
        fallen = float(np.quantile(_paths(pool, basis, deviation, -(-horizon_s // DAY_S)), tail))
    return MarketLayer(
        haircut=max(0.0, math.expm1(-fallen) if rising else -math.expm1(fallen)),
        horizon_s=horizon_s,
        tail=tail,
        deviation=deviation,
        quantile=quantile if horizon_s <= DAY_S else None,
        days=len(returns),
        basis=basis,
    )


def student_quantile(tail: float) -> float:
    """Return the quantile of a Student variable of four degrees of freedom, scaled to variance 1; exact."""
    spread = 4 * tail * (1 - tail)
    root = math.cos(math.acos(math.sqrt(spread)) / 3) / math.sqrt(spread)
    return math.copysign(2 * math.sqrt(max(root - 1, 0.0)), tail - 0.5) / math.sqrt(_FREEDOM / (_FREEDOM - 2))


def _pool(returns: Floats) -> Floats:
    """Return the residuals in their order by size; a day on which no deviation was expected has none, however far the price moved."""
    return np.sort(residuals(returns)[deviations(returns, SLOW)[:-1] > 0])


def _paths(pool: Floats, basis: Basis, deviation: float, days: int) -> Floats:
    """Return the log returns of paths over several days, drawn evenly, not by chance: each day steps by the root of its own prime."""
    variance = np.full(PATHS, deviation * deviation)
    fallen = np.zeros(PATHS)
    for prime in PRIMES[:days]:
        share = fractions(np.arange(1, PATHS + 1, dtype=np.float64) * math.sqrt(prime))
        drawn = pool[(share * len(pool)).astype(np.int64)] if basis is Basis.FILTERED else _student_quantiles(share)
        moved = drawn * np.sqrt(variance)
        fallen += moved
        variance = SLOW * variance + (1 - SLOW) * moved * moved
    return fallen


def _student_quantiles(shares: Floats) -> Floats:
    return np.array([student_quantile(share) for share in shares.tolist()])
