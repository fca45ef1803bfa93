"""marginfi v2: groups of banks with cross-margin accounts; a unit is one account of a member."""

from chains.derivations import Change, Remedy
from chains.solana.marginfi.fold import Marginfi
from chains.solana.marginfi.unit import doubts, open_book

adapter = Marginfi

OBSERVED = True

CHANGES = (
    Change("movements of transactions whose log was cut off, and authorities that were handed over", Remedy.REBUILD),
)

__all__ = ["CHANGES", "OBSERVED", "Marginfi", "adapter", "doubts", "open_book"]
