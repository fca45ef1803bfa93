"""What weighing a whole venue takes and what comes of it: ports of the self-audit, and of the totals in snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from chains.agreeing import Agreement
from chains.model import AccountBytes, Block, FeedSpec, PriceAnswer, Side, UnitSnapshot, VenueSnapshot
from chains.ports import Checked, Held, Outcome, Records, Summed
from chains.proving import StateProof


class Sizes(NamedTuple):
    """What an aspect of a market was: its first state, and the highest that each of some of its numbers ever was."""

    first: str
    most: dict[str, int]


class WholeRecords(Records, Protocol):
    """What can be asked besides, of a whole venue as of a block."""

    def claims(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int]:
        """Return the sums of all positive raw amounts by (market, side) after a block, exactly."""
        ...

    def settings_at(self, venue_id: str, block: int, aspect: str) -> dict[bytes, list[str]]:
        """Return one setting of all units after a block, by market."""
        ...

    def units_at(self, venue_id: str, block: int) -> Iterator[UnitSnapshot]:
        """Yield all units of a venue as they were after a block, by id."""
        ...

    def logs_of(self, contracts: Collection[bytes], block: int) -> int:
        """Return how many logs of some contracts are stored up to a block."""
        ...

    def sizes_at(self, venue_id: str, block: int, aspect: str, fields: Collection[str]) -> dict[bytes, Sizes]:
        """Return by market what an aspect was in all rows up to a block; `fields`: numbers of it, written as text."""
        ...

    def changed_at(self, venue_id: str, block: int) -> dict[bytes, tuple[int, int]]:
        """Return by market the blocks up to `block` in which its own state, and anybody's amount in it, changed last (-1: never)."""
        ...


class Whole(Protocol):
    """A whole venue after a block, as it is stored; where rows of it are in quarantine its sums are empty, and nothing is compared."""

    @property
    def snapshot(self) -> VenueSnapshot:
        """The venue apart from its units; without feeds."""
        ...

    @property
    def sums(self) -> Mapping[tuple[bytes, Side], int]:
        """The sums of all units' raw amounts, by (market, side)."""
        ...

    @property
    def claims(self) -> Mapping[tuple[bytes, Side], int]:
        """The same of the positive amounts alone."""
        ...

    @property
    def changed(self) -> Mapping[bytes, tuple[int, int]]:
        """By market, the blocks in which its own state, and anybody's amount in it, changed last (-1: never)."""
        ...

    def sizes(self, aspect: str, fields: Collection[str]) -> Mapping[bytes, Sizes]:
        """Return by market what an aspect was in all that is stored; `fields`: numbers of it, written as text."""
        ...

    def settings(self, aspect: str) -> Mapping[bytes, list[str]]:
        """Return one setting of all units, by market."""
        ...

    def units(self) -> Iterator[UnitSnapshot]:
        """Yield all units, by id."""
        ...

    def logs(self, *contracts: bytes) -> int:
        """Return how many logs of contracts led here: no more than so often anything was rounded."""
        ...


class Told(NamedTuple):
    """A total that the journals hold because the chain itself told it: in a log, a stored answer, or an account's bytes.

    `theirs` - `ours` may be `least` to `most`, which `why` explains; either is `None` where it is not known. `excuse`: why a difference
    beyond that says nothing, empty where it says that something is wrong.
    """

    name: str
    contract: bytes
    market: bytes
    ours: int | None
    theirs: int | None
    least: int = 0
    most: int = 0
    why: str = ""
    excuse: str = ""


TellTotals = Callable[[Whole], Iterable[Told]]
"""What a protocol's `controls.py` offers as `told`: a pure function of a whole venue, with no question to anybody."""


class Reply(NamedTuple):
    """What a contract answered to a question of a control, as it said it."""

    contract: bytes
    method: str
    input: bytes
    outcome: str
    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """What came of weighing a whole venue.

    `told`: totals that the chain told by itself; `totals` and `holdings`: those that its contracts were asked for, by `replies`;
    `proofs`: what some units have in storage, where that was asked for; `agreements`: what several nodes say of the accounts of some units.
    """

    told: tuple[Summed, ...] = ()
    totals: tuple[Summed, ...] = ()
    holdings: tuple[Held, ...] = ()
    replies: tuple[Reply, ...] = ()
    proofs: tuple[StateProof, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    @property
    def sums(self) -> tuple[Summed, ...]:
        """All totals, whoever told them."""
        return (*self.told, *self.totals)


@runtime_checkable
class Auditable(Protocol):
    """A chain whose venues can be weighed, so that the numbers here can be compared with theirs."""

    async def audit(self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> Sequence[Checked]:
        """Compare units of a venue at the snapshot's block with what its contracts answer after that block.

        Nothing, for a venue whose protocol has no view of a unit. Raises `ChainError`.
        """
        ...

    async def control(
        self, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None = None
    ) -> Controlled:
        """Compare a whole venue at the snapshot's block: totals with sums, what its contracts hold with what is claimed.

        `known`: what was answered before; nothing is asked then, and what is not among it is unanswered. Nothing comes of a venue whose
        protocol names no total. Raises `ChainError`.
        """
        ...


@runtime_checkable
class Provable(Protocol):
    """A chain whose nodes can prove what contracts store."""

    async def prove(
        self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[StateProof, ...], tuple[Reply, ...]]:
        """Prove what the venue's contracts store of units at the snapshot's block, by unit and contract; and what nodes said.

        `known`: what was said before; nobody is asked then, and what is not among it is unanswered. What no node proves is unanswered
        too, whatever the reason: nothing is raised for it.
        """
        ...


@runtime_checkable
class Askable(Protocol):
    """A chain whose contracts can be asked a question of one's own."""

    async def ask(self, at: Block, contract: bytes, calldata: bytes) -> Reply:
        """Return what a contract answers to some calldata after a block, pinned to its hash: `returned`, or `reverted`.

        `unavailable`: no node has the state of that block any more. Raises `ChainError`.
        """
        ...


class Quoted(NamedTuple):
    """What a feed answers: in its own units, and when that was (Unix seconds), `None` where it does not say."""

    answer_raw: int
    updated_at: int | None


@runtime_checkable
class Quoting(Protocol):
    """A chain whose feeds can be asked for their word."""

    async def quoted(self, at: Block, feeds: Sequence[FeedSpec]) -> Sequence[Quoted | None]:
        """Return what each feed itself answers after a block, pinned to its hash; `None` where it does not, or cannot be asked.

        Raises `ChainError`.
        """
        ...


class Later(NamedTuple):
    """The account of a unit as it is at some slot after another, and the raw amounts in it that are not zero, by (market, side).

    `touched`: whether a transaction between both names it, so that it may have been otherwise; `None` where nobody knows.
    """

    account: AccountBytes
    amounts: Mapping[tuple[bytes, Side], int]
    touched: bool | None


@runtime_checkable
class Revisiting(Protocol):
    """A chain whose nodes know accounts only as they are now."""

    async def later(self, venue_id: str, slot: int, units: Sequence[bytes]) -> Sequence[Later] | None:
        """Return what the accounts of a venue's units are at `slot` or later; `None` where its units are no accounts of their own.

        Raises `ChainError`.
        """
        ...


@runtime_checkable
class Agreeable(Protocol):
    """A chain whose nodes prove nothing of an account, and can be compared with each other."""

    async def agree(
        self, at: Block, stored: Mapping[bytes, AccountBytes], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[Agreement, ...], tuple[Reply, ...]]:
        """Ask every configured node for the accounts of units as of a block or later; and return what they said.

        `stored`: by unit, what is stored of its account as of the block. `known`: what was said before; nobody is asked then. Where fewer
        than two nodes are configured nothing comes of it.
        """
        ...


class Carried(NamedTuple):
    """What came of looking for a source's answer in the receipts of its block; `detail`: what is there instead, or why nobody knows."""

    outcome: Outcome
    detail: str


@runtime_checkable
class Carrying(Protocol):
    """A chain whose blocks commit to what they carry, so that answers of price sources can be proven."""

    async def carried(self, answers: Sequence[tuple[bytes, PriceAnswer]]) -> Sequence[Carried]:
        """Return, for each source and its answer, whether the block of the answer carries it. Raises `ChainError`."""
        ...
