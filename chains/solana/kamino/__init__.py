"""Kamino Lend (klend): the obligations of one lending market, as its accounts stand and as its own refresh would value them."""

from chains.solana.kamino.fold import Kamino
from chains.solana.kamino.unit import doubts, open_book

adapter = Kamino

OBSERVED = True

__all__ = ["OBSERVED", "Kamino", "adapter", "doubts", "open_book"]
