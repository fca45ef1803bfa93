"""Pyth price accounts of the oracle program before the receiver: an aggregate and its last good predecessor."""

from chains.solana.oracles.pyth_legacy.account import ORACLE, LegacyPrice, NoLegacyPrice, Quote, legacy_price

__all__ = ["ORACLE", "LegacyPrice", "NoLegacyPrice", "Quote", "legacy_price"]
