"""A depositor of a vault: what it put in less what it took out."""

from chains.escrow import open_book

__all__ = ["open_book"]
