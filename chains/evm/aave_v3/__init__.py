"""Aave v3: scaled balances from token events, terms from configurator events, the pool's own account arithmetic."""

from chains.evm.aave_v3.fold import AaveV3
from chains.evm.aave_v3.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = AaveV3
OWNER_IS_UNIT = True

__all__ = ["OWNER_IS_UNIT", "AaveV3", "adapter", "open_book"]
