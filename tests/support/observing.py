"""Who listens to what passes between a chain and its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from chains.errors import ChainError
from chains.ports import Exchange


@dataclass(slots=True)
class Overheard:
    """Keeps everything: errors with the label of their node, exchanges, and what nodes turned to."""

    errors: list[tuple[str, ChainError]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    turns: list[tuple[str, str]] = field(default_factory=list)

    def exchanged(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def failed(self, node: str, error: ChainError) -> None:
        self.errors.append((node, error))

    def turned(self, node: str, state: str) -> None:
        self.turns.append((node, state))
