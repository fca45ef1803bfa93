"""What a simulation of liquidations knows beside the book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.liquidating import Curves
from aggregator.risk.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside the book, by identity: prices of days before its cuts, and what sales lose."""

    series: Mapping[str, Series] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
