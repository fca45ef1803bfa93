"""The EVM adapter: spans of blocks become batches of raw and derived rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from importlib import import_module
from time import monotonic
from typing import cast

import pyarrow as pa

from chains.auditing import Carried, Controlled, Quoted, Reply, WholeRecords
from chains.completeness import Level
from chains.errors import NoContract, NodeWrong, Unsupported
from chains.evm.ahead import Ahead, Contracts, Piece, Reader
from chains.evm.controls import control
from chains.evm.dialect import EvmDialect
from chains.evm.evidence.asking import Nodes, PooledNodes
from chains.evm.evidence.attest import Interest
from chains.evm.evidence.compare import Followed
from chains.evm.evidence.corrections import Corrections
from chains.evm.evidence.filters import Filters
from chains.evm.evidence.witness import Witness
from chains.evm.logs import empty_logs
from chains.evm.news import Heads
from chains.evm.oracles.chainlink.fold import Chainlink
from chains.evm.oracles.quoting import quoted
from chains.evm.parity import audit
from chains.evm.ports import STATE, Adapter, Answer, EvmProtocol, Read
from chains.evm.price_logs import carried
from chains.evm.price_proofs import PriceProver
from chains.evm.price_proofs import judged as price_proofs
from chains.evm.proofs.judging import judged
from chains.evm.proving import Prover, plan_for
from chains.evm.source import EvmSource, NodeSource
from chains.evm.span import Impossible, Span, TooMuch, contracts_of, interests_of
from chains.evm.stored import StoredSource
from chains.model import Block, ChainSpec, FeedSpec, PriceAnswer, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import (
    Batch,
    Checked,
    Examined,
    Head,
    Observer,
    RawReader,
    Records,
    StateReader,
)
from chains.price_proofs import PriceProof
from chains.proving import StateProof
from chains.registry import PROTOCOLS, REDEMPTION_RATE, SEQUENCER_UPTIME
from chains.rpc import EXPLORE, NodePool

KINDS = ("chainlink", REDEMPTION_RATE, SEQUENCER_UPTIME)
UNSETTLED_SPAN = 500
WORTH_LOGS, WORTH_S = 60_000, 5.0
"""Logs, or seconds of reading, after which what was read is stored: the larger a transaction, the less each row costs."""


def connect(
    spec: ChainSpec,
    venues: Sequence[VenueSpec],
    feeds: Sequence[FeedSpec],
    *,
    stored: RawReader | None = None,
    cursor: Block | None = None,
    observer: Observer | None = None,
) -> EvmChain:
    """Make the adapter of an EVM chain over its nodes, or over what was `stored` of it up to `cursor`."""
    if stored is not None and cursor is not None:
        return EvmChain(spec, StoredSource(stored, cursor), venues, feeds)
    number, filters = int(spec.id.partition(":")[2]), Filters()
    pool = NodePool(spec.id, EvmDialect(number), spec.rpc, explore=EXPLORE, observer=observer)
    source = NodeSource(spec, pool, filters)
    nodes = PooledNodes(spec.id, pool)
    witness = Witness(spec, source, nodes, filters)
    provers = Prover(spec.id, pool, source), PriceProver(spec.id, pool)
    return EvmChain(
        spec, source, venues, feeds, witness, heads=Heads(spec.ws, observer=observer), provers=provers, nodes=nodes
    )


class EvmChain:
    """One EVM chain with the venues and feeds that are configured on it; without a `witness` what the source says is all there is."""

    def __init__(
        self,
        spec: ChainSpec,
        source: EvmSource,
        venues: Sequence[VenueSpec],
        feeds: Sequence[FeedSpec],
        witness: Witness | None = None,
        *,
        heads: Heads | None = None,
        provers: tuple[Prover, PriceProver] | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        self._spec = spec
        self._source = source
        self._specs = [venue for venue in venues if venue.chain_id == spec.id]
        self._feeds = [feed for feed in feeds if feed.chain_id == spec.id and feed.kind in KINDS]
        self._oracle = Chainlink(
            [feed.address for feed in self._feeds if feed.kind == "chainlink"],
            seldom=[feed.address for feed in self._feeds if feed.kind == SEQUENCER_UPTIME],
        )
        self._adapters = {venue.id: _adapter_of(venue) for venue in self._specs}
        self.topics = set(self._oracle.topics).union(*(self._adapters[v.id].topics(v) for v in self._specs))
        """The topic0 of every event that matters to anything configured: what is asked for never depends on the span."""
        self._venues: dict[str, EvmProtocol] = {}
        self._taken_in: set[str] = set()
        self._origins: dict[str, tuple[Read, Answer]] = {}
        self._witness = witness
        self._provers = provers
        self._nodes = nodes
        self._heads = heads or Heads(())
        self._widths = source.ranges
        self._ahead = self.reading()

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
        """Return when a node tells of a new head, or after `timeout_s` seconds."""
        await self._heads.wait(timeout_s)

    async def aclose(self) -> None:
        """Let go of what is on its way, and close connections."""
        await self._heads.aclose()
        await self._ahead.forget()
        await self._source.aclose()

    async def advance(self, first: int, last: int, settled: int, state: StateReader) -> Batch:
        """Fetch and fold blocks from `first` to at most `last` upon `state`; blocks up to `settled` cannot change any more."""
        while True:
            end, pieces = await self._gather(first, last, settled, state)
            try:
                batch = await Span(self, first, end, pieces, state, unsettled=end > settled).batch()
            except TooMuch as cut:
                last = cut.last
                await self._ahead.forget()
            except Impossible as error:
                last = await self._possible(first, end, state, error)
                await self._ahead.forget()
            else:
                self._taken_in |= {venue.id for venue in self._specs if venue.start_block <= end}
                return batch

    async def _possible(self, first: int, last: int, state: StateReader, error: Impossible) -> int:
        """Tell where a span should end that cannot be as it was read; raises `error` where nothing helps.

        It ends sooner, so that evidence is looked for in what can be; a single block is read again once more is known of it.
        """
        if self._witness is None:
            raise error
        if first < last:
            return first + (last - first) // 2
        followed = Followed(contracts_of(self, state, last), frozenset(self.topics))
        if not await self._witness.mend(first, followed):
            raise error
        return last

    async def _gather(self, first: int, last: int, settled: int, state: StateReader) -> tuple[int, list[Piece]]:
        """Tell where a span that begins with `first` ends, with the pieces of it that were read ahead."""
        last = min(last, settled if first <= settled else first + UNSETTLED_SPAN - 1)
        await self._find_venues(first, last, settled)
        if first > settled:
            return last, []
        pieces = await self._pieces(first, last, contracts_of(self, state, last))
        return pieces[-1].last, pieces

    async def _pieces(self, first: int, last: int, contracts: Contracts) -> list[Piece]:
        """Read pieces until they are worth a transaction of their own."""
        pieces: list[Piece] = []
        logs, began = 0, monotonic()
        while first <= last and logs < WORTH_LOGS and (not pieces or monotonic() - began < WORTH_S):
            pieces.append(await self._ahead.piece(first, last, contracts))
            logs += pieces[-1].logs.num_rows
            first = pieces[-1].last + 1
        return pieces

    def reading(self) -> Ahead:
        """Return a reader of pieces of this chain."""
        corrections = self._witness.corrections if self._witness else Corrections()
        reader = Reader(chain_id=self._spec.id, source=self._source, topics=self.topics, corrections=corrections)
        return Ahead(reader.read, self._widths)

    async def lacking(self, block: Block, logs: pa.Table, contracts: Contracts) -> pa.Table:
        """Return logs of contracts in a doubtful block that are not among `logs`."""
        if self._witness is None:
            return empty_logs()
        found = await self._witness.lacking(block.number, logs, Followed(contracts, frozenset(self.topics)))
        if any(digest != block.hash for digest in found["block_hash"].to_pylist()):
            raise NodeWrong(f"chain {self._spec.id}: block {block.number} was replaced while it was read")
        return found

    async def overlooked(self, blocks: Collection[Block], logs: pa.Table, contracts: Contracts) -> pa.Table:
        """Return logs of contracts in new blocks that are not among `logs` though headers give them away."""
        if self._witness is None:
            return empty_logs()
        return await self._witness.overlooked(blocks, logs, Followed(contracts, frozenset(self.topics)))

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        """Look for evidence that nothing is missing in stored blocks that become final; raises `Contradicted` where something is."""
        if self._witness is None:
            return Examined(first=first, last=last)
        await self._find_venues(last + 1, last, last)
        return await self._witness.attest(first, last, records, self._interests(state, last), self.topics)

    async def examine(
        self, first: int, last: int, state: StateReader, records: Records, *, level: str, venues: Collection[str]
    ) -> AsyncIterator[Examined]:
        """Look at stored blocks again for evidence of a level, piece by piece from the last one down."""
        if self._witness is None:
            raise Unsupported(f"chain {self._spec.id}: what is stored alone is no evidence of what is not; ask nodes")
        await self._find_venues(last + 1, last, last)
        interests = [interest for interest in self._interests(state, last) if interest.venue in venues]
        pieces = self._witness.examine(
            first, last, records, level=Level(level), interests=interests, topics=self.topics
        )
        async for examined in pieces:
            yield examined

    async def audit(self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot]) -> Sequence[Checked]:
        """Compare units of a venue at the snapshot's block with what its contracts answer after that block."""
        return await audit(self._source, snapshot, units)

    async def control(
        self, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None = None
    ) -> Controlled:
        """Compare a whole venue at the snapshot's block with what its contracts count and hold after that block."""
        return await control(self._source, snapshot, records, known)

    async def prove(
        self, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[StateProof, ...], tuple[Reply, ...]]:
        """Prove what a venue's contracts store of units at the snapshot's block; see `chains.auditing.Provable`."""
        if known is None and self._provers is not None:
            return await self._provers[0].prove(snapshot, units)
        return tuple(judged(plan_for(snapshot, units), known or ())), ()

    async def prove_prices(
        self, at: Block, answers: Sequence[tuple[bytes, PriceAnswer]], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[PriceProof, ...], tuple[Reply, ...]]:
        """Prove answers of price sources by receipts; see `chains.price_proofs.PriceProving`."""
        if known is None and self._provers is not None:
            replies = tuple(await self._provers[1].prove(at, answers))
            return price_proofs(answers, replies), replies
        return price_proofs(answers, known or ()), ()

    async def ask(self, at: Block, contract: bytes, calldata: bytes) -> Reply:
        """Return what a contract answers to some calldata after a block."""
        read = Read(at.number, STATE, contract, calldata)
        answer = (await self._source.read({read}, {at.number: at}))[read]
        return Reply(contract, STATE, calldata, *answer)

    async def quoted(self, at: Block, feeds: Sequence[FeedSpec]) -> Sequence[Quoted | None]:
        """Return what each feed itself answers after a block."""
        return await quoted(self._source, at, feeds)

    async def carried(self, answers: Sequence[tuple[bytes, PriceAnswer]]) -> Sequence[Carried]:
        """Look for answers of price sources in the receipts of their blocks."""
        if self._nodes is None:
            raise Unsupported(f"chain {self._spec.id}: what is stored alone proves no receipt; ask nodes")
        return await carried(self._nodes, answers)

    def _interests(self, state: StateReader, last: int) -> list[Interest]:
        taken = {venue.id: frozenset(self._adapters[venue.id].topics(venue)) for venue in self._specs}
        return [
            replace(interest, topics=taken.get(interest.venue, frozenset(self._oracle.topics)))
            for interest in interests_of(self, self._spec.start_block, state, last)
        ]

    async def _find_venues(self, first: int, last: int, settled: int) -> None:
        """Find the venues that begin up to a block; one whose first block may have changed since is found anew."""
        for venue in self._specs:
            begun = venue.start_block < first
            stands = begun or (venue.start_block <= settled and venue.id not in self._taken_in)
            if venue.start_block <= last and not (venue.id in self._venues and stands):
                self._venues[venue.id] = await self._find(venue, begun=begun)
                self._taken_in.discard(venue.id)

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
        return {feed.address + self._question(feed): self._spec.start_block for feed in self._feeds}

    @staticmethod
    def _question(feed: FeedSpec) -> bytes:
        """Return what makes the key of a rate of a contract's address (`chains.evm.oracles.rates`)."""
        return (feed.feed_id or b"") if feed.kind == REDEMPTION_RATE else b""

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
