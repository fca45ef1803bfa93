"""Chainlink: a proxy without events points to the aggregator of its current phase, which emits every answer."""

from chains.evm.oracles.answer import current_answer
from chains.evm.oracles.chainlink.fold import Chainlink

__all__ = ["Chainlink", "current_answer"]
