"""Student variables of four and of five degrees of freedom, in closed form: what a copula of heavy tails is drawn with."""

from __future__ import annotations

import math

import numpy as np

from aggregator.risk.history import Floats

FREEDOM = 4
_TABLE = np.sinh(np.linspace(-9.0, 9.0, 20_001))
"""Values between which quantiles are interpolated; beyond ±4,000 lies less than one in 10¹⁴."""


def quantiles_of_four(shares: Floats) -> Floats:
    """Return the quantiles of a Student variable of four degrees of freedom, variance 2."""
    spread = 4 * shares * (1 - shares)
    root = np.cos(np.arccos(np.sqrt(spread)) / 3) / np.sqrt(spread)
    return np.asarray(np.copysign(2 * np.sqrt(np.maximum(root - 1, 0.0)), shares - 0.5), np.float64)


def quantiles_of_five(shares: Floats) -> Floats:
    """Return the quantiles of a Student variable of five degrees of freedom, by a table."""
    return np.interp(shares, share_of_five(_TABLE), _TABLE)


def share_of_five(values: Floats) -> Floats:
    """Return how likely a Student variable of five degrees of freedom is below each value."""
    angle = np.arctan(values / math.sqrt(5))
    cosine = np.cos(angle)
    return np.asarray(0.5 + (angle + np.sin(angle) * cosine * (1 + 2 / 3 * cosine * cosine)) / math.pi, np.float64)


def given(market: Floats, correlation: float, shares: Floats) -> Floats:
    """Draw a variable that goes with `market` by a t-copula of four degrees of freedom; all have them, and variance 2.

    Given one of two, the other is √((4 + x²)/5 · (1 − ρ²)) times a Student variable of five degrees of freedom, about ρ·x.
    """
    spread = np.sqrt((FREEDOM + market * market) / (FREEDOM + 1) * (1 - correlation * correlation))
    return np.asarray(correlation * market + spread * quantiles_of_five(shares), np.float64)
