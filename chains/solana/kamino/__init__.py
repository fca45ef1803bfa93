"""Kamino Lend (klend): the obligations of one lending market, as its accounts stand and as its own refresh would value them."""

from chains.derivations import Change, Remedy
from chains.solana.kamino.fold import Kamino
from chains.solana.kamino.unit import doubts, open_book

adapter = Kamino

OBSERVED = True

CHANGES = (Change("bonuses, fees and limits of liquidations", Remedy.REBUILD),)

__all__ = ["CHANGES", "OBSERVED", "Kamino", "adapter", "doubts", "open_book"]
