"""Morpho Blue: one contract that holds isolated markets; a unit is one owner's position in one market."""

from chains.evm.morpho_blue.fold import MorphoBlue
from chains.evm.morpho_blue.shares import knows_shares, open_shares
from chains.evm.morpho_blue.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = MorphoBlue

__all__ = ["MorphoBlue", "adapter", "knows_shares", "open_book", "open_shares"]
