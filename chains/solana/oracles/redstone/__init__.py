"""Price accounts of RedStone's program on Solana."""

from chains.solana.oracles.redstone.account import Feed, NoFeed, redstone_feed

__all__ = ["Feed", "NoFeed", "redstone_feed"]
