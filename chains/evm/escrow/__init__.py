"""ERC-20 vaults: what depositors put in and took out, by the two events with which a vault tells of it.

A vault behind a proxy is read as one contract: an upgrade that changes its events, or moves balances without them, is out of scope.
"""

from chains.evm.escrow.fold import Escrow
from chains.evm.escrow.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = Escrow

__all__ = ["Escrow", "adapter", "open_book"]
