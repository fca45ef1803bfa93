"""Switchboard price accounts: pull feeds of the On-Demand program, and aggregators of the program before it."""

from chains.solana.oracles.switchboard.account import DECIMALS, PROGRAM, NoFeed, PullFeed, pull_feed
from chains.solana.oracles.switchboard.aggregator import AGGREGATORS, Aggregator, aggregator

__all__ = ["AGGREGATORS", "DECIMALS", "PROGRAM", "Aggregator", "NoFeed", "PullFeed", "aggregator", "pull_feed"]
