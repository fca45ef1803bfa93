"""What the nodes of this process's chains were asked for, and what they gave."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from chains.errors import ChainError
from chains.ports import Exchange, Observer


class Traffic(Protocol):
    """Counts since the process began, by chain."""

    def requests(self, chain_id: str) -> int:
        """Return how many calls were made; each call of a batch counts."""
        ...

    def received(self, chain_id: str) -> int:
        """Return how many bytes of answers came, as they came over the wire where that is known."""
        ...


class Counted:
    """Traffic that is counted as it passes."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._received: Counter[str] = Counter()

    def requests(self, chain_id: str) -> int:
        return self._requests[chain_id]

    def received(self, chain_id: str) -> int:
        return self._received[chain_id]

    def add(self, chain_id: str, requests: int, received: int) -> None:
        self._requests[chain_id] += requests
        self._received[chain_id] += received

    def of(self, chain_id: str) -> Observer:
        """Return the observer of one chain's nodes."""
        return _Counting(self, chain_id)


class _Counting:
    def __init__(self, counted: Counted, chain_id: str) -> None:
        self._counted = counted
        self._chain_id = chain_id

    def exchanged(self, exchange: Exchange) -> None:
        self._counted.add(self._chain_id, exchange.requests, exchange.received)

    def failed(self, node: str, error: ChainError) -> None:
        """Nothing passed."""

    def turned(self, node: str, state: str) -> None:
        """Nothing passed."""
