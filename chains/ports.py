"""The seams between networks, protocols and the store: every port of this package, in one file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

import pyarrow as pa

from chains.errors import ChainError
from chains.model import (
    AccountBytes,
    Block,
    ChainSpec,
    Finality,
    PriceAnswer,
    Rows,
    Side,
    Skipped,
    UnitSnapshot,
    VenueSnapshot,
    VenueUnit,
)

PositionKey = tuple[bytes, bytes, Side]
"""(unit_id, market, side)"""

AccountKey = tuple[bytes, bytes, str]
"""(unit_id, market, aspect)"""

MarketKey = tuple[bytes, str]
"""(market, aspect)"""


OpenBook = Callable[[VenueSnapshot], Callable[[UnitSnapshot], VenueUnit]]
"""A protocol's own arithmetic: a venue at a block gives the function that turns each of its units into the venue's own numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest block that a chain's nodes know, and the newest that counts as settled under the configured rule."""

    latest: Block
    settled: int
    finality: Finality


class Start(NamedTuple):
    """The first block that can matter to a contract, and how that was found."""

    block: int
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A span of blocks, both ends included, over which one interest was fetched, and the evidence that nothing is missing."""

    interest: str
    first: int
    last: int
    level: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where the store and the chain are found to differ.

    `kind`: `missing` (the chain has a log that the store lacks), `extra` (the other way round), or `unbalanced` (a venue's own total of
    the contract `address` is not the sum of what is stored, from this block on, and no log is known that explains it; `log_index` is -1).
    `evidence` says how it was found.
    """

    interest: str
    kind: str
    block: int
    block_hash: bytes
    log_index: int
    tx_hash: bytes
    address: bytes
    topic0: bytes
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of looking at stored blocks `first`..`last` again: what speaks for them, and what is wrong with them."""

    first: int
    last: int
    covered: tuple[Covered, ...] = field(default=())
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Blocks `first`..`last.number` as said and as folded: raw rows by table name, derived rows, coverage.

    `parent_hash`: what the first block of the span names as its parent, where that block was fetched.
    """

    chain_id: str
    first: int
    last: Block
    raw: Mapping[str, pa.Table]
    rows: Rows
    covered: tuple[Covered, ...] = field(default=())
    parent_hash: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request, or batch of them, to one node, and what became of it.

    `node`: its label; `method`: of the first request; `outcome`: "answered", "refused" for the node's own error, or the name of the
    `ChainError`; `received`: bytes of the body as they came.
    """

    node: str
    method: str
    requests: int
    outcome: str
    seconds: float
    received: int


class Observer(Protocol):
    """Told of all that passes between a chain and its nodes."""

    def exchanged(self, exchange: Exchange) -> None:
        """A node was asked."""
        ...

    def failed(self, node: str, error: ChainError) -> None:
        """Something went wrong with a node, perhaps mended by a retry."""
        ...

    def turned(self, node: str, state: str) -> None:
        """A node is "in_use", "set_aside" or "on_trial" from now on."""
        ...


class StateReader(Protocol):
    """The tips of the journals of one chain: all the state that a fold may look at."""

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        """Return every aspect of every market of a venue."""
        ...

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        """Return the raw protocol amounts of those keys that ever changed."""
        ...

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        """Return the same for many: the amounts in the order of `keys` (`chains.columns.POSITION_KEYS`, no key twice), null where none."""
        ...

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        """Return the settings of those keys that ever changed."""
        ...

    def units(self, venue_id: str) -> frozenset[bytes]:
        """Return every unit of a venue that anything was ever noted of."""
        ...

    def answers(self) -> dict[bytes, int]:
        """Return the last answer of every price source."""
        ...

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        """Return what was last stored of those accounts that were ever read (account-based chains only)."""
        ...


class Answers(Protocol):
    """The last answer of each price source at a block."""

    def get(self, source: bytes, /) -> PriceAnswer | None: ...


class Phases(Protocol):
    """The phase of each price source at a block, as JSON text."""

    def get(self, source: bytes, /) -> str | None: ...


class Moment(Protocol):
    """What is asked of a block; a `VenueSnapshot` tells it."""

    @property
    def at(self) -> Block: ...

    @property
    def feeds(self) -> Phases: ...

    @property
    def answers(self) -> Answers: ...


class RawReader(Protocol):
    """What was stored as said, for deriving everything again without a network."""

    def blocks(self, first: int, last: int) -> list[Block]:
        """Return the stored blocks of a span, ascending."""
        ...

    def table(self, name: str, first: int, last: int) -> pa.Table:
        """Return the rows of one raw table within a span of blocks, in chain order."""
        ...


class Records(RawReader, Protocol):
    """What is stored of one chain, as of any block up to the cursor: what evidence is weighed against."""

    def markets_at(self, venue_id: str, block: int) -> dict[MarketKey, str]:
        """Return every aspect of every market of a venue as it was after a block."""
        ...

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        """Return the sums of all units' raw amounts by (market, side) after a block, exactly.

        `None` where rows of the venue are in quarantine, so that no sum is right.
        """
        ...


class Chain(Protocol):
    """One network: it tells its head and turns spans of blocks into batches."""

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        ...

    async def head(self) -> Head:
        """Return the newest and the newest settled block; raises `ChainError`."""
        ...

    async def block(self, number: int) -> Block | Skipped | None:
        """Return one block, the proof that there is none, or `None` where the nodes do not know (yet); raises `ChainError`."""
        ...

    async def floor(self, number: int) -> int:
        """Return the number of the newest block at or below a height that the nodes have reached; raises `ChainError`."""
        ...

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold blocks from `first` to at most `last` upon `state`, the tips after block `first` - 1.

        Blocks up to `settled` cannot change any more. Raises `ChainError`.
        """
        ...

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        """Look for evidence, of the level that is configured, that nothing is missing in stored blocks that are settled now.

        Findings are for good: a difference that fetching again may mend raises `NodeWrong`. Raises `ChainError`.
        """
        ...

    def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        """Look at stored, settled blocks again for evidence of a level, piece by piece from the last one down.

        `venues`: the ids of those that are looked at, and of feeds `FEEDS`. Raises `ChainError`, and `Unsupported` for a chain that has
        no such evidence.
        """
        ...

    async def news(self, timeout_s: float) -> None:
        """Return when a node tells of something new, or after `timeout_s` seconds; never fails."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Outcome(StrEnum):
    """What came of asking a venue's own contracts.

    `within`: another total, by no more than the protocol itself rounds away; `unanswered`: no node has the state, or the contract no
    answer; `unknown`: there is no number here to compare.
    """

    EQUAL = "equal"
    WITHIN = "within"
    DIFFERENT = "different"
    UNANSWERED = "unanswered"
    UNKNOWN = "unknown"


class Checked(NamedTuple):
    """One view of a venue's contract about a unit beside the numbers here, by name.

    `view`: the contract's own name for it; `market`: what of the unit it is about, empty for all of it. `ours` is `None` where they are
    not known, `theirs` where nothing was asked, no node answered, or the contract refuses to answer (`different`, where we do).
    """

    unit_id: bytes
    view: str
    contract: bytes
    market: bytes
    ours: Mapping[str, int] | None
    theirs: Mapping[str, int] | None
    outcome: Outcome


class Summed(NamedTuple):
    """A total that a venue's contract keeps, beside the sum of what is stored (raw units of the protocol's own).

    `theirs` - `ours` may be `least` to `most`, which `why` explains where it is not nothing.
    """

    name: str
    contract: bytes
    market: bytes
    ours: int | None
    theirs: int | None
    least: int
    most: int
    why: str
    outcome: Outcome


class Cover(StrEnum):
    """Whether a venue holds and is owed what is claimed from it; `unreadable`: the token's answer cannot be a balance."""

    COVERED = "covered"
    SHORT = "short"
    UNREADABLE = "unreadable"
    UNANSWERED = "unanswered"
    UNKNOWN = "unknown"


class Held(NamedTuple):
    """What a contract of a venue holds of a token and is owed, beside what its owners can claim, in raw units of the token.

    `market`: whose claims they are, empty for all markets of the token; `slack`: how much less than the claims the protocol's own
    rounding leaves, which `why` explains, as it does what is wrong with an answer that is none.
    """

    contract: bytes
    asset: bytes
    market: bytes
    held: int | None
    owed: int | None
    claims: int | None
    slack: int
    why: str
    outcome: Cover

    @property
    def shortfall(self) -> int | None:
        """How much is missing, `None` where it is not known."""
        if self.held is None or self.owed is None or self.claims is None:
            return None
        return max(0, self.claims - self.held - self.owed)
