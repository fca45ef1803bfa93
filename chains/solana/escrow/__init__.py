"""A vault of SPL token accounts: deposits and withdrawals per owner of the token account on the other side."""

from chains.solana.escrow.fold import SplEscrow
from chains.solana.escrow.unit import open_book

adapter = SplEscrow

__all__ = ["SplEscrow", "adapter", "open_book"]
