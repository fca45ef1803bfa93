"""What the nodes of this process's chains were asked for, and what they gave."""

from __future__ import annotations

from typing import Protocol


class Traffic(Protocol):
    """Counts since the process began, by chain."""

    def requests(self, chain_id: str) -> int:
        """Return how many calls were made; each call of a batch counts."""
        ...

    def received(self, chain_id: str) -> int:
        """Return how many bytes of answers came, as they came over the wire where that is known."""
        ...
