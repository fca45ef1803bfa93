"""Shared storage into which several indexers publish what is final, and from which readers see all chains at one cut-off."""

from indexer.lake.joining import Joined, NotJoinable, join
from indexer.lake.parts import Parts, ledgers
from indexer.lake.sets import ChainCut, LakeBroken, LakeFile, LakeSet, read_set
from indexer.lake.storage import Lake, LakeRefused
from indexer.lake.taking import take
from indexer.lake.tidying import tidy

__all__ = [
    "ChainCut",
    "Joined",
    "Lake",
    "LakeBroken",
    "LakeFile",
    "LakeRefused",
    "LakeSet",
    "NotJoinable",
    "Parts",
    "join",
    "ledgers",
    "read_set",
    "take",
    "tidy",
]
