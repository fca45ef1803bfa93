"""A chain's adapter in a process of its own: fetching, decoding and folding there, the store here."""

from indexer.remote.chain import ChildLost, RemoteChain

__all__ = ["ChildLost", "RemoteChain"]
