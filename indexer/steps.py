"""The only things that can happen to the store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pyarrow as pa

from chains.model import Block, FeedSpec
from chains.ports import Batch, Covered, Finding

if TYPE_CHECKING:
    from indexer.store.journals import Derivation


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """A batch behind the cursor; the cursor becomes its last block.

    `parent` is the cursor that the batch was built on (`None` for the first batch): the store refuses any other. `derived`: the tables
    of its rows, where somebody else needs them too.
    """

    parent: Block | None
    batch: Batch
    derived: Derivation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """Forget every row above `to`, the last block that the store and the chain still share (`None`: none is shared)."""

    chain_id: str
    to: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Blocks up to `number` cannot change any more; `covered` and `findings` are what evidence says of them."""

    chain_id: str
    number: int
    covered: tuple[Covered, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attest:
    """Evidence for and against blocks that are stored and final, found when they were looked at again."""

    chain_id: str
    covered: tuple[Covered, ...]
    findings: tuple[Finding, ...] = ()


class Tables(Protocol):
    """What another store holds of one chain."""

    def rows(
        self, table: str, *, key: str = "", among: Sequence[str | bytes] = ()
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Open the rows of a table, without `chain_id`: all, or those whose column `key` is one of `among`."""
        ...

    def marks(self, table: str, key: str) -> dict[str | bytes, tuple[int, int]]:
        """Return how many rows each value of a column has, and a hash of them that does not depend on their order."""
        ...


class Interest(NamedTuple):
    """One interest as `coverage` calls it, with the id under which journals keep its rows and the first block that was read again."""

    name: str
    venue_id: str
    first: int


class Place(NamedTuple):
    """Where a log stands."""

    block: int
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What nodes said when they were asked again, and everything that follows from it and from what is stored.

    `first` is the first block that was read again for any of the `interests`, the new `feeds` included. `read`: the store with their
    raw rows alone; `derived`: one with the whole chain, derived for `venues`; `gone`: stored logs that the chain does not have.
    """

    first: int
    interests: tuple[Interest, ...]
    read: Tables
    derived: Tables
    venues: frozenset[str]
    feeds: tuple[FeedSpec, ...] = ()
    gone: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Every row above `to` is of a history that the chain left, final or not (`None`: none is of the chain's)."""

    to: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restate:
    """What is stored was not, or not all, of what the chain says: `change` mends it, and `restatement` tells of it.

    `cursor` is the block at which the store must stand; `cause` is for people, `at` is in Unix seconds.
    """

    chain_id: str
    cursor: Block
    cause: str
    at: int
    change: Reread | Forget


Step = Append | Rewind | Finalize | Attest | Restate
