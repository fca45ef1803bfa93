"""The seams of the Solana adapter: transactions and accounts as said, and what a protocol folder does with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from chains.model import AccountBytes, Block, Rows, VenueSpec
from chains.ports import StateReader

ACCOUNT = "account"
"""Method of a read: the bytes of an account as the node has them now, whatever the slot of the question."""

RETURNED, ABSENT = "returned", "absent"


class SlotBlock(NamedTuple):
    """A block with what only Solana has: its parent's slot, its height, and the places in it of the transactions that were asked for."""

    block: Block
    parent_slot: int
    height: int | None
    places: Mapping[str, int]


class Listed(NamedTuple):
    """A transaction that changed something, as the index of an address names it."""

    slot: int
    signature: str


class Listing(NamedTuple):
    """What names an account in a span and did not fail, oldest first; `after`: the first transaction behind it, failed or not."""

    found: tuple[Listed, ...]
    after: Listed | None

    def until(self, last: int) -> Listing:
        """Return the same of a span that ends earlier."""
        kept = tuple(item for item in self.found if item.slot <= last)
        return Listing(kept, self.after if len(kept) == len(self.found) else self.found[len(kept)])


class Body(NamedTuple):
    """A transaction's JSON text, and its place in its block where that was told with it."""

    text: str
    tx_index: int | None


class Said(NamedTuple):
    """A transaction as a node said it: `body` is its JSON text, `tx_index` its place in the block."""

    slot: int
    tx_index: int
    signature: bytes
    block_hash: bytes
    body: str


class Read(NamedTuple):
    """A question about state that no transaction carries; `slot` is where the answer is needed."""

    slot: int
    method: str
    address: bytes


class Answer(NamedTuple):
    """What a node answered, and the slot that it answered from."""

    outcome: str
    output: bytes
    context_slot: int


class Reads:
    """The answers so far; what was asked for and is missing is in `missing`, what was given in `used`."""

    __slots__ = ("_answers", "missing", "used")

    def __init__(self, answers: Mapping[Read, Answer]) -> None:
        self._answers = answers
        self.missing: set[Read] = set()
        self.used: set[Read] = set()

    def account(self, slot: int, address: bytes) -> Answer | None:
        """Return an account's bytes, or `None` until they were asked for."""
        read = Read(slot, ACCOUNT, address)
        answer = self._answers.get(read)
        (self.missing if answer is None else self.used).add(read)
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedReads:
    """The fold cannot go on without these answers."""

    reads: frozenset[Read]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Derived rows, and what is to be compared with the accounts themselves.

    `balances`: token account → the raw amount that it must hold after the span, `None` where no transaction was ever seen. `moves`: what a
    lending venue's transactions did to positions that are read from accounts (`reconcile.py`).
    """

    rows: Rows
    balances: Mapping[bytes, int | None] = field(default_factory=dict)
    moves: Sequence[Any] = ()


class AccountSet(NamedTuple):
    """Accounts of a program that are found by what they are: `size` in bytes (`None`: any), and bytes at offsets.

    `pulse`: offset and length of bytes that change with every write, by which an account that changed is found without reading it. What a
    program writes without them, and no notification tells, is seen with the next whole list.
    `spread`: offset of a byte that every account has and that is another in most, by which lists that are too long are parted.
    `sought`: the set is listed until what it holds is found, whole each time, and nobody is told of it.
    """

    role: str
    program: bytes
    size: int | None
    holding: tuple[tuple[int, bytes], ...]
    pulse: tuple[int, int] | None = None
    spread: int | None = None
    sought: bool = False

    def has(self, account: AccountBytes) -> bool:
        """Whether an account is of this set."""
        return (
            not account.closed
            and account.owner == self.program
            and self.size in {None, len(account.data)}
            and all(account.data[at : at + len(raw)] == raw for at, raw in self.holding)
        )


@runtime_checkable
class AccountProtocol(Protocol):
    """One protocol folder's fold for one venue whose state is read, not told: accounts of a program, and what their bytes mean.

    The bytes of accounts are stored when they change; all else is a function of them. What values a unit in `unit.py` goes through
    `programs.known`, so that it is unknown after a deployment that nobody speaks of, and `doubts` beside it says so of the whole venue.
    """

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        ...

    @property
    def sets(self) -> Sequence[AccountSet]:
        """The accounts that make up the venue: markets, reserves, positions."""
        ...

    def others(self, state: StateReader) -> Collection[bytes]:
        """Return single accounts that the venue's own name, as far as the journals know them: prices, mints."""
        ...

    def fold(self, state: StateReader, seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        """Derive rows from accounts whose bytes changed, of the venue's sets and of its others, in the order of their slots."""
        ...


@runtime_checkable
class Seeking(Protocol):
    """What the fold of a venue adds that must find accounts of other programs by what they hold, such as the account that has a token."""

    def sought(self, state: StateReader) -> Sequence[AccountSet]:
        """Return the sets to list besides, as far as the journals lack what these hold; what was found is among the venue's others."""
        ...

    def concerns(self, state: StateReader) -> Callable[[AccountBytes], bool]:
        """Return what tells whether an account is of a set that was ever sought."""
        ...


@runtime_checkable
class Leaning(Protocol):
    """What the fold of a venue adds of which some is valued by accounts of other programs: it matters to it too how these are deployed."""

    @property
    def beside(self) -> Sequence[bytes]:
        """Return these programs."""
        ...


class SolanaProtocol(Protocol):
    """One protocol folder's fold for one venue."""

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        ...

    @property
    def addresses(self) -> Collection[bytes]:
        """The accounts whose every transaction matters."""
        ...

    def decode(self, said: Sequence[Said]) -> Any:  # noqa: ANN401 - each protocol's own, given back to its fold
        """Turn transactions into this protocol's effects; needs no state."""
        ...

    def fold(self, state: StateReader, decoded: Any, reads: Reads) -> Folded | NeedReads:  # noqa: ANN401 - ditto
        """Derive rows from the effects of a span upon `state`; asks until it has all."""
        ...

    def held_before(self, address: bytes, body: str) -> int | None:
        """Return the raw amount that an account held before a transaction, `None` for one that says nothing of it."""
        ...

    def amount(self, address: bytes, account: AccountBytes) -> int:
        """Return the raw amount that an account's own bytes say; raises `NoContract` for an account that is not the venue's."""
        ...
