"""Shared storage into which several indexers publish what is final, and from which readers see all chains at one cut-off."""

from indexer.lake.sets import ChainCut, LakeBroken, LakeFile, LakeSet, read_set

__all__ = ["ChainCut", "LakeBroken", "LakeFile", "LakeSet", "read_set"]
