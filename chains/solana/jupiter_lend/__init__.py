"""Jupiter Lend's vaults (Fluid on Solana): isolated markets whose positions lie on ticks; a unit is one position."""

from chains.solana.jupiter_lend.fold import JupiterLend
from chains.solana.jupiter_lend.unit import doubts, open_book

adapter = JupiterLend

OBSERVED = True

__all__ = ["OBSERVED", "JupiterLend", "adapter", "doubts", "open_book"]
