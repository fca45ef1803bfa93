"""A chain of another process's store, held here: the very rows, as far as that process has them, and whatever it takes back.

The process that indexes gives pieces (`give`), the one that mirrors takes them (`take`), each in one transaction of its store.
"""

from indexer.mirror.giving import give
from indexer.mirror.pieces import Given, Held, Marks, MirrorWrong, Outcome, Piece, Table
from indexer.mirror.taking import held_of, take

__all__ = ["Given", "Held", "Marks", "MirrorWrong", "Outcome", "Piece", "Table", "give", "held_of", "take"]
