"""What every depositor has in the vault, kept beside the chain from balances and from who acted."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What the vault received from an owner (above zero) or paid to one (below), in raw units on the vault's side."""

    owner: str
    mint: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What the vault received from nobody; below zero for what it burned."""

    mint: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The book after a block: net deposits by owner and mint, without zeros, and gifts by mint."""

    slot: int
    nets: Mapping[tuple[str, str], int]
    donations: Mapping[str, int]

    def net(self, owner: str, mint: str) -> int:
        """What an owner has in the vault."""
        return self.nets.get((owner, mint), 0)

    def total(self, mint: str) -> int:
        """What the vault must hold of a mint."""
        return self.donations.get(mint, 0) + sum(net for (_, of), net in self.nets.items() if of == mint)


class Book:
    """Running totals with the slot at which each was reached."""

    def __init__(self) -> None:
        self._nets: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self._gifts: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def record(self, slot: int, moves: Iterable[Move], gifts: Iterable[Gift]) -> None:
        """Add what a transaction did."""
        for move in moves:
            add(self._nets[move.owner, move.mint], slot, move.amount)
        for gift in gifts:
            add(self._gifts[gift.mint], slot, gift.amount)

    def net(self, owner: str, mint: str) -> int:
        """What an owner has in the vault now."""
        history = self._nets.get((owner, mint))
        return history[-1][1] if history else 0

    def at(self, slot: int) -> Expected:
        """The book as it stood after a slot."""
        nets = {key: until(history, slot) for key, history in self._nets.items()}
        gifts = {mint: until(history, slot) for mint, history in self._gifts.items()}
        return Expected(
            slot=slot,
            nets={key: net for key, net in nets.items() if net},
            donations={mint: gift for mint, gift in gifts.items() if gift},
        )

    def drop_after(self, slot: int) -> None:
        """Forget what lost blocks did."""
        for history in (*self._nets.values(), *self._gifts.values()):
            del history[bisect_right(history, slot, key=lambda entry: entry[0]) :]


def add(history: list[tuple[int, int]], slot: int, amount: int) -> None:
    """The next running total."""
    history.append((slot, (history[-1][1] if history else 0) + amount))


def until(history: list[tuple[int, int]], slot: int) -> int:
    """The running total at a slot."""
    place = bisect_right(history, slot, key=lambda entry: entry[0])
    return history[place - 1][1] if place else 0
