"""Pyth price accounts (`PriceUpdateV2` of the Solana receiver), as last seen."""

from chains.solana.oracles.pyth.fold import Pyth

__all__ = ["Pyth"]
