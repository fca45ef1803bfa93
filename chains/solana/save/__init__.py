"""Save (formerly Solend): obligations, reserves and prices as their accounts say, valued as the program's own refresh does."""

from chains.solana.save.fold import Save
from chains.solana.save.unit import doubts, open_book

adapter = Save

OBSERVED = True

__all__ = ["OBSERVED", "Save", "adapter", "doubts", "open_book"]
