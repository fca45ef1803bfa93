"""The EVM adapter: spans of blocks become batches of raw and derived rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

import pyarrow as pa

from chains.errors import ChainError, NoContract, NodeWrong, RangeTooWide, Unsupported
from chains.evm.abi import Decoded
from chains.evm.dialect import EvmDialect
from chains.evm.logs import empty_logs, in_order
from chains.evm.oracles.chainlink.fold import Chainlink, Doubt, Seen, question, verdict, watch
from chains.evm.ports import CHECK, Adapter, Answer, EvmProtocol, Folded, NeedReads, Read, Reads, Watched
from chains.evm.source import EvmSource, NodeSource, StoredSource
from chains.model import FEEDS, Block, ChainSpec, FeedSpec, Rows, VenueSpec
from chains.ports import Batch, Covered, Head, RawReader, StateReader
from chains.registry import PROTOCOLS
from chains.rpc import NodePool

SPAN_FIRST, SPAN_LAST = 2_000, 100_000
UNSETTLED_SPAN = 500
MANY_LOGS, FEW_LOGS = 20_000, 5_000
MAX_ROUNDS = 10_000

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


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    on_error: Callable[[str, ChainError], None] | None = None,
) -> EvmChain:
    """Make the adapter of an EVM chain over its nodes, or over what was `stored` of it up to `cursor`."""
    source: EvmSource
    if stored is not None and cursor is not None:
        source = StoredSource(stored, cursor)
    else:
        number = int(spec.id.partition(":")[2])
        source = NodeSource(spec, NodePool(spec.id, EvmDialect(number), spec.rpc, on_error=on_error))
    return EvmChain(spec, source, venues, feeds)


class EvmChain:
    """One EVM chain with the venues and feeds that are configured on it."""

    def __init__(
        self, spec: ChainSpec, source: EvmSource, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]
    ) -> None:
        self._spec = spec
        self._source = source
        self._specs = [venue for venue in venues if venue.chain_id == spec.id]
        self._feeds = [feed for feed in feeds if feed.chain_id == spec.id and feed.kind == "chainlink"]
        self._oracle = Chainlink([feed.address for feed in self._feeds])
        self._adapters = {venue.id: _adapter_of(venue) for venue in self._specs}
        self.topics = set(self._oracle.topics).union(*(self._adapters[v.id].topics(v) for v in self._specs))
        """The topic0 of every event that matters to anything configured: what is asked for never depends on the span."""
        self._venues: dict[str, EvmProtocol] = {}
        self._origins: dict[str, tuple[Read, Answer]] = {}
        self._span = SPAN_FIRST

    @property
    def spec(self) -> ChainSpec:
        """The configuration this chain was made from."""
        return self._spec

    async def head(self) -> Head:
        """Return the newest and the newest settled block."""
        return await self._source.head()

    async def block(self, number: int) -> Block | None:
        """Return one block, or `None` where the chain has none."""
        return (await self._source.blocks([number])).get(number)

    async def floor(self, number: int) -> int:
        """Return the number itself: every height holds a block."""
        return number

    async def news(self, timeout_s: float) -> None:
        """Return after `timeout_s` seconds."""
        await asyncio.sleep(timeout_s)

    async def aclose(self) -> None:
        """Close connections."""
        await self._source.aclose()

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold blocks from `first` to at most `last` upon `state`; blocks up to `settled` cannot change any more."""
        while True:
            end = self._end(first, last, settled)
            await self._find_venues(first, end)
            try:
                batch = await _Span(self, first, end, settled, state).batch()
            except RangeTooWide:
                if end == first:
                    raise
                self._span = max(1, (end - first + 1) // 2)
            else:
                self._adapt(batch.raw["evm_log"].num_rows)
                return batch

    def _end(self, first: int, last: int, settled: int) -> int:
        if first > settled:
            return min(last, first + min(self._span, UNSETTLED_SPAN) - 1)
        return min(last, settled, first + self._span - 1)

    def _adapt(self, logs: int) -> None:
        if logs > MANY_LOGS:
            self._span = max(1, self._span // 2)
        elif logs < FEW_LOGS:
            self._span = min(SPAN_LAST, self._span * 2)

    async def _find_venues(self, first: int, last: int) -> None:
        """Find the venues of a span; one whose first block is in it is found anew, for the chain may have changed."""
        for venue in self._specs:
            if venue.start_block <= last and (venue.id not in self._venues or first <= venue.start_block):
                self._venues[venue.id] = await self._find(venue, begun=venue.start_block < first)

    async def _find(self, venue: VenueSpec, *, begun: bool) -> EvmProtocol:
        adapter = self._adapters[venue.id]
        read = adapter.origin(venue, begun=begun)
        if read is None:
            return adapter.found(venue, None)
        answer = (await self._source.read([read], {}))[read]
        if not answer.returned and not await self._source.has_code(venue.address):
            raise NoContract(
                f"venue {venue.id}: 0x{venue.address.hex()} on {venue.chain_id} has no code;"
                " check `address` and `chain` of this [[venue]]"
            )
        self._origins[venue.id] = read, answer
        return adapter.found(venue, answer)

    def venues(self, last: int) -> list[EvmProtocol]:
        """Return the folds of venues that have begun."""
        return [self._venues[venue.id] for venue in self._specs if venue.start_block <= last]

    def origin_reads(self, first: int, last: int) -> dict[Read, Answer]:
        """Return the answers by which the venues that begin in the span were found."""
        return {read: answer for read, answer in self._origins.values() if first <= read.block <= last}

    def feed_sources(self) -> dict[bytes, int]:
        """Return the configured feeds' proxies with the first block that matters."""
        return {feed.address: self._spec.start_block for feed in self._feeds}

    @property
    def oracle(self) -> Chainlink:
        """The fold of the chain's feeds."""
        return self._oracle

    @property
    def source(self) -> EvmSource:
        """Where facts come from."""
        return self._source


def _adapter_of(venue: VenueSpec) -> Adapter:
    module = PROTOCOLS.get(venue.protocol, "")
    if not module.startswith("chains.evm."):
        raise Unsupported(f"venue {venue.id}: protocol {venue.protocol!r} is not an EVM protocol known here")
    return cast("Adapter", import_module(module).adapter)


def _follow_too(known: dict[bytes, int], more: Mapping[bytes, int]) -> None:
    """Add addresses to follow; one that several ask for, from the earliest block."""
    for address, since in more.items():
        known[address] = min(since, known.get(address, since))


@dataclass(slots=True)
class _Fold:
    """One pass over a span: rows and interests, or what is still to be asked."""

    rows: Rows = field(default_factory=Rows)
    contracts: dict[bytes, int] = field(default_factory=dict)
    sources: dict[bytes, int] = field(default_factory=dict)
    watched: dict[bytes, Watched] = field(default_factory=dict)
    needed: set[Read] = field(default_factory=set)
    used: set[Read] = field(default_factory=set)


class _Span:
    """Blocks `first`..`last`, fetched and folded until nothing more has to be asked."""

    def __init__(self, chain: EvmChain, first: int, last: int, settled: int, state: StateReader) -> None:
        self.chain = chain
        self.source = chain.source
        self.first = first
        self.last = last
        self.unsettled = last > settled
        self.state = state
        self.logs = empty_logs()
        self.blocks: dict[int, Block] = {}
        self.fetched: set[bytes] = set()
        self.answers: dict[Read, Answer] = {}
        self.polled: dict[Read, Answer] = {}
        self.seen: list[Seen] = []
        self.doubts: list[Doubt] = []
        self.decoded: dict[str, Decoded] = {}

    async def _fetch(self) -> None:
        """Fetch the logs of everything that is known to matter, and the headers that vouch for them."""
        if self.unsettled:
            await self._need_blocks(range(self.first, self.last + 1))
        known: dict[bytes, int] = dict(self.chain.oracle.contracts(self.state))
        for venue in self.chain.venues(self.last):
            _follow_too(known, venue.contracts(self.state))
        await self._follow(known)
        await self._need_blocks([self.last])

    async def batch(self) -> Batch:
        """Fold, ask and follow until the span is complete; raises `NodeWrong` when the chain moved meanwhile."""
        await self._fetch()
        fold = await self._settle()
        await self._still_there()
        reads = {read: self.answers[read] for read in fold.used}
        reads |= {watch(s.proxy, s.block): s.answer for s in self.seen}
        for doubt in self.doubts:
            asked = question(doubt.proxy, doubt.block)
            reads[asked._replace(method=CHECK)] = Answer("returned", doubt.fault)
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
            fold = self._fold()
            if fold.needed:
                await self._ask(fold.needed)
                continue
            fresh = {address: since for address, since in fold.contracts.items() if address not in self.fetched}
            if fresh:
                await self._follow(fresh)
                continue
            changes = await self._changes(fold)
            doubts = [] if changes else await self._doubtful(fold)
            if not changes and not doubts:
                return fold
            self.seen += changes
            self.doubts += doubts
        raise NodeWrong(f"chain {self.chain.spec.id}: blocks {self.first}..{self.last} never settle; check the node")

    def _fold(self) -> _Fold:
        fold = _Fold(sources={p: s for p, s in self.chain.feed_sources().items() if s <= self.last})
        times = {number: block.time for number, block in self.blocks.items()}
        for venue in self.chain.venues(self.last):
            reads = Reads(self.answers)
            self._take(fold, venue.fold(self.state, self._events(venue.venue.id, venue), times, reads), reads)
        if not fold.needed:
            reads = Reads(self.answers)
            oracle = self.chain.oracle
            answers = self._events(FEEDS, oracle)
            self._take(fold, oracle.fold(self.state, answers, fold.sources, [*self.seen, *self.doubts], reads), reads)
        return fold

    def _events(self, name: str, decoder: EvmProtocol | Chainlink) -> Decoded:
        if name not in self.decoded:
            self.decoded[name] = decoder.decode(self.logs)
        return self.decoded[name]

    def _take(self, fold: _Fold, outcome: Folded | NeedReads, reads: Reads) -> None:
        fold.used |= reads.used
        if isinstance(outcome, NeedReads):
            fold.needed |= outcome.reads
            return
        fold.rows.extend(outcome.rows)
        _follow_too(fold.contracts, outcome.contracts)
        _follow_too(fold.sources, outcome.sources)
        fold.watched |= outcome.watched

    async def _ask(self, reads: Collection[Read]) -> None:
        await self._need_blocks({read.block for read in reads})
        self.answers |= await self.source.read(reads, self.blocks)

    async def _follow(self, contracts: Mapping[bytes, int]) -> None:
        """Add the logs of contracts, each from the first block that matters, to the span."""
        parts = [self.logs]
        for since in sorted(set(contracts.values())):
            start = max(since, self.first)
            if start > self.last:
                continue
            addresses = [address for address, first in contracts.items() if first == since]
            parts.append(await self.source.logs(addresses, [self.chain.topics], start, self.last))
        self.fetched |= {address for address, since in contracts.items() if since <= self.last}
        self.logs = in_order(pa.concat_tables(parts))
        self.decoded.clear()
        await self._vouch()

    async def _vouch(self) -> None:
        """Check every log against the header of the block that it names."""
        await self._need_blocks(set(self.logs["block_number"].to_pylist()))
        for number, said in zip(
            self.logs["block_number"].to_pylist(), self.logs["block_hash"].to_pylist(), strict=True
        ):
            if self.blocks[number].hash != said:
                raise NodeWrong(
                    f"chain {self.chain.spec.id}: a log names another block {number} than the node's header"
                )

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

    async def _changes(self, fold: _Fold) -> list[Seen]:
        """Ask every watched proxy at the end of the span, and find the first block of each change."""
        changes = []
        await self._poll_all(fold.watched, self.last)
        for proxy, feed in sorted(fold.watched.items()):
            if await self._poll(proxy, self.last) != feed.pointer:
                changes.append(await self._first_change(proxy, max(feed.since, self.first - 1), feed.pointer))
        return changes

    async def _doubtful(self, fold: _Fold) -> list[Doubt]:
        """Check every plain feed's own word at the end of the span, and find the first block where it was otherwise."""
        plain = {proxy: feed for proxy, feed in fold.watched.items() if feed.answers}
        verdicts = await self._verdicts(plain, self.last)
        return [
            await self._first_doubt(proxy, feed)
            for proxy, feed in sorted(plain.items())
            if verdicts[proxy] != feed.fault
        ]

    async def _first_doubt(self, proxy: bytes, feed: Watched) -> Doubt:
        same, other = max(feed.since - 1, self.first - 1), self.last
        while other - same > 1:
            middle = (same + other) // 2
            if (await self._verdicts({proxy: feed}, middle))[proxy] == feed.fault:
                same = middle
            else:
                other = middle
        return Doubt(other, proxy, (await self._verdicts({proxy: feed}, other))[proxy])

    async def _verdicts(self, feeds: Mapping[bytes, Watched], number: int) -> dict[bytes, bytes]:
        reads = {question(proxy, number): feed.answer_at(number) for proxy, feed in feeds.items()}
        blocks = await self._headers([number])
        found = await self.source.check(reads, verdict, blocks)
        return {read.address: said for read, said in found.items()}

    async def _first_change(self, proxy: bytes, same: int, known: Answer) -> Seen:
        changed = self.last
        while changed - same > 1:
            middle = (same + changed) // 2
            if await self._poll(proxy, middle) == known:
                same = middle
            else:
                changed = middle
        return Seen(changed, proxy, await self._poll(proxy, changed))

    async def _poll(self, proxy: bytes, number: int) -> Answer:
        await self._poll_all([proxy], number)
        return self.polled[watch(proxy, number)]

    async def _poll_all(self, proxies: Iterable[bytes], number: int) -> None:
        missing = [read for proxy in proxies if (read := watch(proxy, number)) not in self.polled]
        if missing:
            blocks = await self._headers([number])
            self.polled |= await self.source.read(missing, blocks)

    def _parent_hash(self) -> bytes | None:
        block = self.blocks.get(self.first)
        return block.parent_hash or None if block else None

    def _block_rows(self, reads: Iterable[Read]) -> pa.Table:
        kept = set(self.logs["block_number"].to_pylist()) | {read.block for read in reads} | {self.last}
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
        for venue in self.chain.venues(self.last):
            start = max(self.first, venue.venue.start_block)
            yield Covered(
                interest=f"venue:{venue.venue.id}", first=start, last=self.last, level="fetched",
                evidence="eth_getLogs of one node, every log checked against its block's header",
            )  # fmt: skip
        yield Covered(
            interest="feeds", first=self.first, last=self.last, level="fetched",
            evidence="eth_getLogs of one node; aggregator() asked at the end of every span",
        )  # fmt: skip
