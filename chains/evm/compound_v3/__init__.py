"""Compound III: collateral from events, base principals and indices settled by reading, the Comet's own liquidity arithmetic."""

from chains.evm.compound_v3.fold import CompoundV3
from chains.evm.compound_v3.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = CompoundV3
OWNER_IS_UNIT = True

__all__ = ["OWNER_IS_UNIT", "CompoundV3", "adapter", "open_book"]
