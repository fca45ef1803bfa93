"""The chances at which the lowest prices of a day are told: `RiskInputs.minima` has one quantile for each."""

from __future__ import annotations

from typing import Final

RAREST: Final = 1e-4
POINTS: Final = 201

CHANCES: Final[tuple[float, ...]] = tuple(RAREST ** (1 - number / (POINTS - 1)) for number in range(POINTS))
"""From `RAREST` to 1, evenly spaced by their logarithms, each the one before times about 1.047.

The quantile beside a chance p is the standardised fall of a day, lows included, that is reached or gone beyond with chance p; so
quantiles never rise along the grid. A fall is positive, in the deviations that were expected of the day; where the low was no
lower than the close before it is zero or less.
"""
