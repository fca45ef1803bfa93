"""What observes exchanges with nodes where nobody wants to know of them."""

from __future__ import annotations

from chains.errors import ChainError
from chains.ports import Exchange


class Unobserved:
    """An observer that keeps nothing."""

    def exchanged(self, exchange: Exchange) -> None:
        """Do nothing."""

    def failed(self, node: str, error: ChainError) -> None:
        """Do nothing."""

    def turned(self, node: str, state: str) -> None:
        """Do nothing."""
