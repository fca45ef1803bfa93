"""Vaults and margin accounts by configuration alone: what depositors hold, as events, shares or balances tell of it.

A vault behind a proxy is read as one contract; that it was upgraded is said of every unit.
"""

from chains.evm.escrow.adapter import EscrowAdapter
from chains.evm.escrow.claims import knows_shares, open_shares
from chains.evm.escrow.fold import Escrow
from chains.evm.escrow.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = EscrowAdapter

__all__ = ["Escrow", "adapter", "knows_shares", "open_book", "open_shares"]
