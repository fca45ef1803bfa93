"""marginfi v2: groups of banks with cross-margin accounts; a unit is one account of a member."""

from chains.solana.marginfi.fold import Marginfi
from chains.solana.marginfi.unit import doubts, open_book

adapter = Marginfi

OBSERVED = True

__all__ = ["OBSERVED", "Marginfi", "adapter", "doubts", "open_book"]
