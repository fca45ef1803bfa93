"""Euler v2: shares and debts of vaults from their events, LTVs as functions of time, the vaults' own account arithmetic."""

from chains.evm.euler_v2.fold import EulerV2
from chains.evm.euler_v2.unit import open_book
from chains.evm.ports import Adapter

adapter: Adapter = EulerV2

__all__ = ["EulerV2", "adapter", "open_book"]
