"""Scope's price accounts (`OraclePrices`): 512 dated prices each, which protocols combine in chains."""

from chains.solana.oracles.scope.account import DatedPrice, NoPrice, chain_price, dated_prices

__all__ = ["DatedPrice", "NoPrice", "chain_price", "dated_prices"]
