"""One span of an EVM chain: read, decoded and folded until nothing more has to be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from chains.completeness import Level
from chains.errors import NodeWrong
from chains.evm.ahead import Ahead, Contracts, Piece
from chains.evm.emitters import is_whole, without_repeats
from chains.evm.evidence.attest import Interest
from chains.evm.logs import empty_logs, in_order
from chains.evm.oracles.chainlink.checks import Doubt, Seen, verdict, watch
from chains.evm.oracles.chainlink.fold import Chainlink
from chains.evm.polls import Polls
from chains.evm.ports import (
    SIGHT,
    Answer,
    EvmProtocol,
    Folded,
    Look,
    NeedReads,
    Read,
    Reads,
    Sight,
    Sighted,
    Watched,
)
from chains.evm.source import EvmSource
from chains.model import FEEDS, Block, ChainSpec, Rows
from chains.ports import Batch, Covered, StateReader

LOGS = "eth_getLogs of one node, every log checked against its block's header"
FEED_LOGS = "eth_getLogs of one node; aggregator() asked at the end of every span"

MAX_ROUNDS = 10_000
MOST_LOGS = 500_000
"""Logs that one span may hold; one that turns out to hold more is cut."""

BLOCK_SCHEMA = pa.schema(
    [("number", pa.int64()), ("hash", pa.binary()), ("parent_hash", pa.binary()), ("time", pa.int64())]
)
READ_SCHEMA = pa.schema(
    [
        ("block_number", pa.int64()),
        ("block_hash", pa.binary()),
        ("method", pa.string()),
        ("address", pa.binary()),
        ("input", pa.binary()),
        ("outcome", pa.string()),
        ("output", pa.binary()),
    ]
)


def contracts_of(chain: Followed, state: StateReader, last: int) -> dict[bytes, int]:
    """Return every contract that is known to matter up to a block, with the first block that matters."""
    known = dict(chain.oracle.contracts(state))
    for venue in chain.venues(last):
        _follow_too(known, venue.contracts(state))
    return known


def interests_of(chain: Followed, start: int, state: StateReader, last: int) -> list[Interest]:
    """Return what is taken in up to a block, under the names that coverage has for it; feeds from block `start` on."""
    venues = [
        Interest(
            name=f"venue:{fold.venue.id}", venue=fold.venue.id, first=fold.venue.start_block,
            contracts=fold.contracts(state), fetched=LOGS, fold=fold,
        )
        for fold in chain.venues(last)
    ]  # fmt: skip
    return [
        *venues,
        Interest(name=FEEDS, venue=FEEDS, first=start, contracts=chain.oracle.contracts(state), fetched=FEED_LOGS),
    ]


def _follow_too(known: dict[bytes, int], more: Contracts) -> None:
    """Add addresses to follow; one that several ask for, from the earliest block."""
    for address, since in more.items():
        known[address] = min(since, known.get(address, since))


def _gaps(
    first: int, last: int, pieces: Sequence[Piece], known: Contracts
) -> Iterator[tuple[int, int, dict[bytes, int]]]:
    """Tell which contracts the pieces of a span lack, and where."""
    if not pieces:
        yield first, last, dict(known)
    for contracts, alike in groupby(pieces, key=lambda piece: piece.contracts):
        run = list(alike)
        missing = {address: since for address, since in known.items() if address not in contracts}
        if missing:
            yield run[0].first, run[-1].last, missing


@dataclass(slots=True)
class _Fold:
    """One pass over a span: rows and interests, or what is still to be asked."""

    rows: Rows = field(default_factory=Rows)
    contracts: dict[bytes, int] = field(default_factory=dict)
    sources: dict[bytes, int] = field(default_factory=dict)
    watched: dict[bytes, Watched] = field(default_factory=dict)
    cleared: set[Read] = field(default_factory=set)
    needed: set[Read] = field(default_factory=set)
    looks: set[Look] = field(default_factory=set)
    sights: set[Sight] = field(default_factory=set)
    used: set[Read] = field(default_factory=set)


class TooMuch(Exception):
    """A span holds more logs than memory should; it may end with block `last`."""

    def __init__(self, last: int) -> None:
        super().__init__(f"cut after block {last}")
        self.last = last


class Impossible(NodeWrong):
    """What was read of a span cannot be: something was left out of it, or of what is stored."""


class Followed(Protocol):
    """What a span needs to know of the chain that it is of."""

    @property
    def spec(self) -> ChainSpec:
        """The configuration of the chain."""
        ...

    @property
    def source(self) -> EvmSource:
        """Where facts come from."""
        ...

    @property
    def oracle(self) -> Chainlink:
        """The fold of the chain's feeds."""
        ...

    def venues(self, last: int) -> list[EvmProtocol]:
        """Return the folds of venues that have begun."""
        ...

    def origin_reads(self, first: int, last: int) -> dict[Read, Answer]:
        """Return the answers by which the venues that begin in the span were found."""
        ...

    def feed_sources(self) -> dict[bytes, int]:
        """Return the configured feeds' proxies with the first block that matters."""
        ...

    def reading(self) -> Ahead:
        """Return a reader of pieces of this chain."""
        ...

    async def lacking(self, block: Block, logs: pa.Table, contracts: Contracts) -> pa.Table:
        """Return logs of contracts in a doubtful block that are not among `logs`; raises `ChainError`."""
        ...

    async def overlooked(self, blocks: Collection[Block], logs: pa.Table, contracts: Contracts) -> pa.Table:
        """Return logs of contracts in new blocks that are not among `logs` though headers give them away; raises `ChainError`."""
        ...


class Span:
    """Blocks `first`..`last`, of which some pieces were read, folded upon `state` until nothing more has to be asked."""

    def __init__(
        self, chain: Followed, first: int, last: int, pieces: Sequence[Piece], state: StateReader, *, unsettled: bool
    ) -> None:
        self.chain = chain
        self.source = chain.source
        self.first = first
        self.last = last
        self.unsettled = unsettled
        self.state = state
        self.pieces = pieces
        self.logs = empty_logs()
        self.blocks: dict[int, Block] = {}
        self.fetched: dict[bytes, int] = {}
        self.answers: dict[Read, Answer] = {}
        self.looked: dict[Look, int | None] = {}
        self.sighted: dict[Sight, Sighted] = {}
        self.polls = Polls(chain.source, self._headers, first, last)
        self.seen: list[Seen] = []
        self.doubts: list[Doubt] = []
        self.decoded: dict[str, Any] = {}
        self.looked_for: dict[bytes, int] | None = None
        self.examined: set[int] = set()

    async def _fetch(self) -> None:
        """Gather the logs of everything that is known to matter, and the headers that vouch for them."""
        if self.unsettled:
            await self._need_blocks(range(self.first, self.last + 1))
        known = contracts_of(self.chain, self.state, self.last)
        parts = [piece.logs for piece in self.pieces]
        for piece in self.pieces:
            self.blocks |= piece.blocks
        for first, last, missing in _gaps(self.first, self.last, self.pieces, known):
            parts += await self._read(first, last, missing)
        await self._take_logs(parts, known)
        await self._need_blocks([self.last])

    async def batch(self) -> Batch:
        """Fold, ask and follow until the span is complete; raises `NodeWrong` when the chain moved meanwhile."""
        await self._fetch()
        fold = await self._settle()
        await self._still_there()
        reads = {read: self.answers[read] for read in fold.used}
        reads |= {watch(s.proxy, s.block): s.answer for s in self.seen}
        reads |= dict.fromkeys(fold.cleared, Answer("returned", b""))
        for doubt in self.doubts:
            reads[verdict(doubt.proxy, doubt.block, doubt.word)] = Answer("returned", doubt.fault)
        for sight, answers in self.sighted.items():
            reads |= {Read(block, SIGHT, sight.address, sight.input): answer for block, answer in answers}
        reads |= self.chain.origin_reads(self.first, self.last)
        await self._need_blocks({read.block for read in reads})
        return Batch(
            chain_id=self.chain.spec.id,
            first=self.first,
            last=self.blocks[self.last],
            raw={"evm_block": self._block_rows(reads), "evm_log": self.logs, "evm_read": self._read_rows(reads)},
            rows=fold.rows,
            covered=tuple(self._covered()),
            parent_hash=self._parent_hash(),
        )

    async def _settle(self) -> _Fold:
        for _ in range(MAX_ROUNDS):
            fold = self._folded()
            if fold.needed or fold.looks or fold.sights:
                await self._ask(fold.needed)
                self.looked |= await self.source.changes(fold.looks, self.blocks)
                self.sighted |= await self.source.sights(fold.sights, self.blocks)
                continue
            if fresh := self._unfetched(fold.contracts):
                await self._follow(fresh)
                continue
            if self.unsettled and (lacking := await self._overlooked(fold)).num_rows:
                await self._take_logs([self.logs, lacking], {})
                continue
            changes = await self.polls.changes(fold.watched)
            doubts = [] if changes else self.polls.stored(fold.watched, self.doubts)
            doubts = doubts if changes or doubts else await self.polls.doubtful(fold.watched)
            if not changes and not doubts:
                return fold
            if (lacking := await self._unsaid(doubts, fold)).num_rows:
                await self._take_logs([self.logs, lacking], {})
                continue
            self.seen += changes
            self.doubts += doubts
        raise NodeWrong(f"chain {self.chain.spec.id}: blocks {self.first}..{self.last} never settle; check the node")

    def _folded(self) -> _Fold:
        """Fold; raises `Impossible` where what was read cannot be."""
        try:
            return self._fold()
        except NodeWrong as error:
            raise Impossible(str(error)) from error

    async def _unsaid(self, doubts: Sequence[Doubt], fold: _Fold) -> pa.Table:
        """Return logs that were left out of the blocks from which on a feed's word is another than its last answer."""
        numbers = {doubt.block for doubt in doubts} - self.examined
        self.examined |= numbers
        known = contracts_of(self.chain, self.state, self.last)
        _follow_too(known, fold.contracts)
        await self._need_blocks(numbers)
        found = [await self.chain.lacking(self.blocks[number], self.logs, known) for number in sorted(numbers)]
        return in_order(pa.concat_tables([empty_logs(), *found]))

    async def _overlooked(self, fold: _Fold) -> pa.Table:
        """Look once, for the contracts that are known then, whether an answer left out logs of a block that can still change."""
        known = contracts_of(self.chain, self.state, self.last)
        _follow_too(known, fold.contracts)
        if self.looked_for == known:
            return empty_logs()
        self.looked_for = known
        return await self.chain.overlooked([self.blocks[n] for n in range(self.first, self.last + 1)], self.logs, known)

    def _fold(self) -> _Fold:
        fold = _Fold(sources={p: s for p, s in self.chain.feed_sources().items() if s <= self.last})
        times = {number: block.time for number, block in self.blocks.items()}
        for venue in self.chain.venues(self.last):
            reads = Reads(self.answers, self.looked, first=self.first, last=self.last)
            self._take(fold, venue.fold(self.state, self._events(venue.venue.id, venue), times, reads), reads)
        if not fold.needed and not fold.looks:
            reads = Reads(self.answers, self.looked, self.sighted, first=self.first, last=self.last)
            oracle = self.chain.oracle
            answers = self._events(FEEDS, oracle)
            found: list[Seen | Doubt] = [*self.seen, *self.doubts]
            outcome = oracle.fold(self.state, answers, fold.sources, found, times=times, reads=reads)
            self._take(fold, outcome, reads)
        return fold

    def _events(self, name: str, decoder: EvmProtocol | Chainlink) -> Any:  # noqa: ANN401 - each fold's own
        if name not in self.decoded:
            self.decoded[name] = decoder.decode(self.logs)
        return self.decoded[name]

    def _take(self, fold: _Fold, outcome: Folded | NeedReads, reads: Reads) -> None:
        fold.used |= reads.used
        if isinstance(outcome, NeedReads):
            fold.needed |= outcome.reads
            fold.looks |= outcome.looks
            fold.sights |= outcome.sights
            return
        fold.rows.extend(outcome.rows)
        _follow_too(fold.contracts, outcome.contracts)
        _follow_too(fold.sources, outcome.sources)
        fold.watched |= outcome.watched
        fold.cleared |= outcome.cleared

    async def _ask(self, reads: Collection[Read]) -> None:
        await self._need_blocks({read.block for read in reads})
        self.answers |= await self.source.read(reads, self.blocks)

    def _unfetched(self, contracts: Contracts) -> dict[bytes, int]:
        """Return those whose logs lack, or begin too late: what a fold learns may show that a contract mattered earlier."""
        return {each: since for each, since in contracts.items() if since < self.fetched.get(each, since + 1)}

    async def _follow(self, contracts: Contracts) -> None:
        """Add the logs of contracts to the span, each from the first block that matters up to what there is of it."""
        parts = [self.logs]
        lacking: dict[int, dict[bytes, int]] = {}
        for address, since in contracts.items():
            lacking.setdefault(self.fetched.get(address, self.last + 1) - 1, {})[address] = since
        for until, alike in lacking.items():
            parts += await self._read(self.first, until, alike)
        await self._take_logs(parts, contracts)

    async def _take_logs(self, parts: Sequence[pa.Table], contracts: Contracts) -> None:
        _follow_too(self.fetched, {address: since for address, since in contracts.items() if since <= self.last})
        table = pa.concat_tables([empty_logs(), *parts])
        self.logs = in_order(table if all(map(is_whole, self.fetched)) else without_repeats(table))
        self.decoded.clear()

    async def _read(self, first: int, last: int, contracts: Contracts) -> list[pa.Table]:
        """Read the logs of contracts piece by piece; raises `TooMuch` when they are more than a span may hold."""
        reader, parts, held = self.chain.reading(), [], self.logs.num_rows
        try:
            while first <= last:
                piece = await reader.piece(first, last, contracts)
                self._take_blocks(piece.blocks)
                parts.append(piece.logs)
                held += piece.logs.num_rows
                if held > MOST_LOGS and piece.first > self.first:
                    raise TooMuch(piece.first - 1)
                first = piece.last + 1
        finally:
            await reader.forget()
        return parts

    def _take_blocks(self, blocks: Mapping[int, Block]) -> None:
        """Keep headers; in a part of the chain that can still change they must be those that were read before."""
        for number, block in blocks.items():
            if self.blocks.setdefault(number, block).hash != block.hash:
                raise NodeWrong(f"chain {self.chain.spec.id}: block {number} was replaced while it was read")

    async def _need_blocks(self, numbers: Iterable[int]) -> None:
        missing = {n for n in numbers if n not in self.blocks}
        if not missing:
            return
        found = await self._headers(missing)
        self.blocks |= found
        for number in sorted(found) if self.unsettled else ():
            before = self.blocks.get(number - 1)
            if before is not None and before.hash != self.blocks[number].parent_hash:
                raise NodeWrong(
                    f"chain {self.chain.spec.id}: block {number} does not follow block {number - 1}; it moved"
                )

    async def _headers(self, numbers: Collection[int]) -> Mapping[int, Block]:
        """Return headers that the chain must have, from what is known or from the node."""
        if all(number in self.blocks for number in numbers):
            return self.blocks
        found = await self.source.blocks(numbers)
        if gone := set(numbers) - found.keys():
            raise NodeWrong(f"chain {self.chain.spec.id}: the node has no block {min(gone)}, which it spoke of before")
        return found

    async def _still_there(self) -> None:
        if not self.unsettled:
            return
        now = await self.source.blocks([self.last])
        if self.last not in now or now[self.last].hash != self.blocks[self.last].hash:
            raise NodeWrong(f"chain {self.chain.spec.id}: block {self.last} was replaced while it was read")

    def _parent_hash(self) -> bytes | None:
        block = self.blocks.get(self.first)
        return block.parent_hash or None if block else None

    def _block_rows(self, reads: Iterable[Read]) -> pa.Table:
        kept = (
            set(np.unique(self.logs["block_number"].to_numpy()).tolist()) | {read.block for read in reads} | {self.last}
        )
        blocks = [b for n, b in sorted(self.blocks.items()) if n >= self.first and (self.unsettled or n in kept)]
        columns = [
            [b.number for b in blocks],
            [b.hash for b in blocks],
            [b.parent_hash for b in blocks],
            [b.time for b in blocks],
        ]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, BLOCK_SCHEMA, strict=True)], schema=BLOCK_SCHEMA)

    def _read_rows(self, reads: Mapping[Read, Answer]) -> pa.Table:
        rows = [
            (read.block, self.blocks[read.block].hash, read.method, read.address, read.input, *answer)
            for read, answer in sorted(reads.items())
        ]
        columns = list(zip(*rows, strict=True)) or [()] * len(READ_SCHEMA)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, READ_SCHEMA, strict=True)], schema=READ_SCHEMA)

    def _covered(self) -> Iterable[Covered]:
        for interest in interests_of(self.chain, self.first, self.state, self.last):
            yield Covered(
                interest=interest.name, first=max(self.first, interest.first), last=self.last,
                level=Level.FETCHED.value, evidence=interest.fetched,
            )  # fmt: skip
