"""What EVM protocol folders offer and what they may ask of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from chains.auditing import Whole
from chains.model import Block, Rows, Side, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.ports import MarketKey, StateReader

ETH_CALL = "eth_call"
STATE = "state"
BALANCE = "balance"
LAST_LOG = "last_log"
FIRST_LOG = "first_log"
CODE_BEFORE = "code_before"
CHECK = "check"
SIGHT = "sight"


class Read(NamedTuple):
    """A question to a node about the state after `block`.

    `eth_call`: `input` is calldata. `state`: the same, where it is an answer too that no node has the state of the block any more.
    `balance`: the chain's own coin that `address` holds, as one word; like `state` it may be gone.
    `last_log`: the newest log of `address` with topic0 `input` in any earlier block.
    `first_log`: the first log from the block on with topic0 `input` whose second indexed argument is `address`. `code_before`: the
    code that `address` held before the block; absent where it holds none even now. `check`: what is wrong with what `address`, a price
    source, says by calldata `input`, beside the journals; nothing, if it is as they say. `sight`: as `state`, where it was looked at and
    nothing is known of what it is before and after.
    """

    block: int
    method: str
    address: bytes
    input: bytes


class Answer(NamedTuple):
    """What the node said: `returned` or `reverted` with its bytes, or `absent` (no such log or code); `pending` is not asked yet.

    `unavailable`: no node has the state of the block any more; only a `state` or a `balance` is answered so, all other questions need it.
    """

    outcome: str
    output: bytes

    @property
    def returned(self) -> bool:
        """Whether the contract gave an answer."""
        return self.outcome == "returned"


PENDING = Answer("pending", b"")
UNAVAILABLE = Answer("unavailable", b"")


class Look(NamedTuple):
    """Asks in which block after `after`, up to `until`, the answer of a contract is first another than `known`.

    It is for state that changes without an event. What was asked to find the block is not stored; the fold asks for the `state` of
    the block that was found, which is, so that what is stored tells it again. `method`: `state`, or `balance`.
    """

    after: int
    until: int
    address: bytes
    input: bytes
    known: Answer
    method: str = STATE


class Sight(NamedTuple):
    """Asks what a contract answers wherever it was looked at in blocks `first`..`last`: at nodes, after the last of them."""

    first: int
    last: int
    address: bytes
    input: bytes


Sighted = tuple[tuple[int, Answer], ...]
"""(block, answer), ascending."""


class Reads:
    """Answers so far; what was asked for and is missing is in `missing`, so that one pass names all of it; the others are in `used`.

    `looks`: what was found out so far about changes; what was not yet is in `unlooked`; `sights` and `unsighted` likewise. `first` and
    `last` are the blocks of the span.
    """

    __slots__ = ("_answers", "_looks", "_sights", "first", "last", "missing", "unlooked", "unsighted", "used")

    def __init__(
        self,
        answers: Mapping[Read, Answer],
        looks: Mapping[Look, int | None] | None = None,
        sights: Mapping[Sight, Sighted] | None = None,
        *,
        first: int = 0,
        last: int = 0,
    ) -> None:
        self._answers = answers
        self._looks = looks or {}
        self._sights = sights or {}
        self.first = first
        self.last = last
        self.missing: set[Read] = set()
        self.unlooked: set[Look] = set()
        self.unsighted: set[Sight] = set()
        self.used: set[Read] = set()

    def __call__(self, block: int, address: bytes, calldata: bytes) -> Answer:
        """Return the answer of an `eth_call`, or `PENDING`."""
        return self._get(Read(block, ETH_CALL, address, calldata))

    def state(self, block: int, address: bytes, calldata: bytes) -> Answer:
        """Return the answer of an `eth_call`, `UNAVAILABLE` where no node has the state any more, or `PENDING`."""
        return self._get(Read(block, STATE, address, calldata))

    def tell(self, read: Read) -> Answer:
        """Return the answer to a `state` or a `balance`, `UNAVAILABLE` where no node has the state any more, or `PENDING`."""
        return self._get(read)

    def peek(self, block: int, address: bytes, calldata: bytes) -> Answer:
        """Return what `state` would, without storing it: for an answer that is no news. An earlier one must be stored."""
        return self.glance(Read(block, STATE, address, calldata))

    def glance(self, read: Read) -> Answer:
        """Return what `tell` would, without storing it, as `peek` does."""
        return self._look_up(read)

    def first_change(self, look: Look) -> int | None:
        """Return the block of a change, `None` where there is none, or where it is not looked for yet."""
        if look not in self._looks:
            self.unlooked.add(look)
        return self._looks.get(look)

    def sights(self, address: bytes, calldata: bytes) -> Sighted:
        """Return what a contract answered wherever in the span it was looked at; nothing where it is not looked at yet."""
        sight = Sight(self.first, self.last, address, calldata)
        if sight not in self._sights:
            self.unsighted.add(sight)
        return self._sights.get(sight, ())

    def is_open(self) -> bool:
        """Whether anything is to be asked before it is known what to make of it all."""
        return bool(self.missing or self.unlooked or self.unsighted)

    def needed(self) -> NeedReads:
        """Return all that is to be asked."""
        return NeedReads(
            reads=frozenset(self.missing), looks=frozenset(self.unlooked), sights=frozenset(self.unsighted)
        )

    def last_log(self, block: int, address: bytes, topic0: bytes) -> Answer:
        """Return the newest such log before `block` as JSON text, or `PENDING`."""
        return self._get(Read(block, LAST_LOG, address, topic0))

    def _get(self, read: Read) -> Answer:
        answer = self._look_up(read)
        if answer is not PENDING:
            self.used.add(read)
        return answer

    def _look_up(self, read: Read) -> Answer:
        answer = self._answers.get(read)
        if answer is None:
            self.missing.add(read)
            return PENDING
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedReads:
    """The fold cannot go on without these answers."""

    reads: frozenset[Read]
    looks: frozenset[Look] = frozenset()
    sights: frozenset[Sight] = frozenset()


class Check(NamedTuple):
    """A question whose answer is judged: `judge` says what is wrong with it, empty for nothing.

    What came of it belongs to the price source for which it was asked: others may ask the same contract the same, and know it better.
    """

    asked: Read
    judge: Callable[[Answer], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A price source that can change without an event.

    `since` is the block of its last phase, `pointer` the answer to `aggregator()` since then, `fault` what a check found wrong
    (empty: nothing), `word` the calldata by which it says its own price (empty: that is not checked), `speaker` the contract that is
    asked for that, `judge` what is wrong with the answer after a block.
    """

    since: int
    pointer: Answer
    fault: bytes
    word: bytes
    speaker: bytes
    judge: Callable[[Block, Answer], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Derived rows, and what must be followed from now on.

    `contracts`: address → first block that matters; `sources`: price source → likewise; `watched`: price sources that can change without
    an event; `cleared`: what found a fault before (the `check`s) and is at an end, with the block from which on it is.
    """

    rows: Rows
    contracts: Mapping[bytes, int]
    sources: Mapping[bytes, int]
    watched: Mapping[bytes, Watched] = field(default_factory=dict)
    cleared: frozenset[Read] = frozenset()


class EvmProtocol(Protocol):
    """One protocol folder's fold for one venue."""

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        ...

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return the contracts to follow, as far as the journals know them, with the first block that matters."""
        ...

    def decode(self, logs: pa.Table) -> Any:  # noqa: ANN401 - what it is, only the fold itself knows
        """Turn the logs of a span into what the fold takes; needs no state, so it is done once however often the fold runs."""
        ...

    def fold(self, state: StateReader, decoded: Any, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:  # noqa: ANN401 - ditto
        """Derive rows from the events of a span upon `state`; `times` holds every block with logs; asks until it has all."""
        ...


@runtime_checkable
class Totalled(Protocol):
    """A fold of a venue whose contracts keep totals of their own, so that what was taken in can be added up and compared."""

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, int | tuple[int, ...]]:
        """Return questions about the state after a block, and the number, or the numbers, that each must answer in its first words.

        `markets` and `sums` are those of the venue after the block: its aspects, and the sums of all units' raw amounts by (market, side).
        """
        ...


class View(NamedTuple):
    """A question to a venue's own contract about a unit, and the numbers that its first words must be, by name, in their order.

    `name`: the contract's word for it; `market`: what of the unit it is about, empty for all of it; `numbers`: `None` where they are
    not known here, so that nothing is to be asked. `signed`: the words are signed.
    """

    name: str
    market: bytes
    read: Read
    numbers: Mapping[str, int] | None
    signed: bool = False


OpenViews = Callable[[VenueSnapshot], Callable[[UnitSnapshot, VenueUnit], Iterable[View]]]
"""What a protocol's `views.py` offers: a venue at a block gives the function that names the views of each of its units, valued."""


class Total(NamedTuple):
    """A total of a contract: the number that word `word` of the answer must be, `ours` being `None` where it is not known.

    The answer less `ours` may be `least` to `most`: what the protocol rounds away, as `why` says.
    """

    name: str
    market: bytes
    read: Read
    ours: int | None
    word: int = 0
    least: int = 0
    most: int = 0
    why: str = ""


class Holding(NamedTuple):
    """A token that a contract holds for others; see `chains.ports.Held`."""

    contract: bytes
    asset: bytes
    market: bytes
    owed: int | None
    claims: int | None
    slack: int = 0
    why: str = ""


class Controls(Protocol):
    """What a protocol's `controls.py` offers: two pure functions of a whole venue, and `told` where the chain itself tells totals."""

    def totals(self, whole: Whole) -> Iterable[Total]:
        """Name the totals that its contracts keep, with what they must be."""
        ...

    def holdings(self, whole: Whole) -> Iterable[Holding]:
        """Name the tokens that its contracts hold, with what is owed and claimed of each."""
        ...


class Adapter(Protocol):
    """How one protocol's venues are found: each by the answer to one question about the chain."""

    def topics(self, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters; depends on nothing but the configuration."""
        ...

    def origin(self, venue: VenueSpec, *, begun: bool) -> Read | None:
        """Return the question by which a venue is found, about its `start_block`; its answer is stored with that block.

        `begun`: that block was taken in before. `None` where then nothing has to be asked again.
        """
        ...

    def found(self, venue: VenueSpec, answer: Answer | None) -> EvmProtocol:
        """Return the fold of a venue, given the answer if one was needed; raises `NoContract` for one that is not what it should be."""
        ...
