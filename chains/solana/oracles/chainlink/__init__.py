"""Price accounts of Chainlink's store program on Solana."""

from chains.solana.oracles.chainlink.account import STORE, Feed, NoFeed, chainlink_feed

__all__ = ["STORE", "Feed", "NoFeed", "chainlink_feed"]
