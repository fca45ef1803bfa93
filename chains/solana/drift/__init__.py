"""Drift v2: cross-margin accounts of deposits, loans and perpetual futures; a unit is one sub-account."""

from chains.derivations import Change, Remedy
from chains.solana.drift.fold import Drift
from chains.solana.drift.unit import doubts, open_book

adapter = Drift

OBSERVED = True

CHANGES = (Change("fees of liquidations of spot markets", Remedy.REBUILD),)

__all__ = ["CHANGES", "OBSERVED", "Drift", "adapter", "doubts", "open_book"]
