"""Save (formerly Solend): obligations, reserves and prices as their accounts say, valued as the program's own refresh does."""

from chains.derivations import Change, Remedy
from chains.solana.save.fold import Save
from chains.solana.save.unit import doubts, open_book

adapter = Save

OBSERVED = True

CHANGES = (Change("bonuses and fees of liquidations of reserves", Remedy.REBUILD),)

__all__ = ["CHANGES", "OBSERVED", "Save", "adapter", "doubts", "open_book"]
