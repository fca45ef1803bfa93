"""All accounts of a cluster that the house's feeds read, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from chains.model import AccountBytes, FeedSpec, Rows
from chains.ports import StateReader
from chains.solana.oracles.pyth import Pyth
from chains.solana.oracles.stake_pool.rate import redemption
from chains.solana.oracles.switchboard.feed import switchboard


class Fold(Protocol):
    """What folds the accounts of one kind of feed."""

    @property
    def addresses(self) -> Sequence[bytes]: ...

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows: ...


KINDS: Mapping[str, Callable[[list[FeedSpec]], Fold]] = {
    "pyth-solana": Pyth,
    "switchboard": switchboard,
    "redemption-rate": redemption,
}
"""Kind of feed → what folds its accounts."""


class Feeds:
    """The feeds that are configured on one cluster."""

    def __init__(self, feeds: Sequence[FeedSpec]) -> None:
        self._folds: list[Fold] = [make([feed for feed in feeds if feed.kind == kind]) for kind, make in KINDS.items()]

    @property
    def addresses(self) -> Sequence[bytes]:
        """The accounts to look at."""
        return sorted({address for fold in self._folds for address in fold.addresses})

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        rows = Rows()
        for fold in self._folds:
            rows.extend(fold.fold(state, seen))
        return rows
