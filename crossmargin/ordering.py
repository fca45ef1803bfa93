"""Which comes first: what is worst, and what is nearest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aggregator.margin.status import Status

SEVERITY = {status.value: place for place, status in enumerate(Status)}
FARTHEST = Decimal(10) ** 30

Badness = tuple[int, Decimal, str]


def badness(account: Mapping[str, Any]) -> Badness:
    """Order accounts worst first: unknown before liquidatable, then by the lower of the house's and the venues' health factor."""
    said = (account["health_factor"], account["min_unit_health_factor"])
    factors = [Decimal(factor) for factor in said if factor is not None]
    return -SEVERITY[account["status"]], min(factors, default=FARTHEST), account["account"]


def nearness(rung: Mapping[str, Any]) -> Decimal:
    """How far a price is from where it would liquidate, in percent; where no price does, farther than any."""
    said = rung["distance_pct"]
    return FARTHEST if said is None else abs(Decimal(said))
