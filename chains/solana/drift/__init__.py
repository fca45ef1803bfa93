"""Drift v2: cross-margin accounts of deposits, loans and perpetual futures; a unit is one sub-account."""

from chains.solana.drift.fold import Drift
from chains.solana.drift.unit import doubts, open_book

adapter = Drift

OBSERVED = True

__all__ = ["OBSERVED", "Drift", "adapter", "doubts", "open_book"]
