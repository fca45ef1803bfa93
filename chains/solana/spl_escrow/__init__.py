"""A vault of SPL token accounts: deposits and withdrawals per owner of the token account on the other side."""

from chains.solana.spl_escrow.fold import SplEscrow
from chains.solana.spl_escrow.unit import open_book

adapter = SplEscrow

__all__ = ["SplEscrow", "adapter", "open_book"]
