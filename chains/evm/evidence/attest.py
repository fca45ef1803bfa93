"""Evidence for a span that is stored, of the level that is asked for and, where there is none, of the next that there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa

from chains.completeness import Level, Part, rank
from chains.errors import HistoryGone
from chains.evm.emitters import contract_of, first_block
from chains.evm.evidence import by_bloom, by_nodes, by_receipts
from chains.evm.evidence.asking import HEADERS_AT_ONCE, Nodes
from chains.evm.evidence.blooms import NOTHING
from chains.evm.evidence.by_bloom import may_hold
from chains.evm.evidence.by_totals import NO_TOTALS, NO_VENUE, Balance, Totals, Unbalanced
from chains.evm.evidence.compare import Difference, Followed, by_block
from chains.evm.evidence.filters import MOST as MOST_SEEN
from chains.evm.evidence.filters import Filters
from chains.evm.evidence.piece import Piece, Weighed, cut
from chains.evm.evidence.rebuilt import Rebuilt, Wanted
from chains.evm.evidence.receipts import BlockLog
from chains.evm.evidence.single import differing
from chains.evm.ports import EvmProtocol, Totalled
from chains.evm.source import EvmSource
from chains.model import Block
from chains.ports import Covered, Examined, Finding, Records

LOGS_ASKED_AT_ONCE = 2_000
"""Blocks of which a second node is asked in one request, unless it allows fewer."""

EVIDENCE = {
    Level.BLOOM: (
        "the header of every block: where its bloom may hold a followed log that is not stored, eth_getLogs was asked again by blockHash"
    ),
    Level.TOTALS: "the venue's own totals are the sums of what is stored, at the end of every span whose headers do not exclude a change",
    Level.AGREED: "two nodes answered the same eth_getLogs alike, or receipts decided",
    Level.PROVEN: (
        "headers hashed and linked; receipts rebuilt to receiptsRoot wherever a header's bloom does not exclude a followed log"
    ),
}
GONE = "no node has headers or receipts of so long ago"
WRONG_TOTAL = "the venue's own total is {answered}, what is stored adds up to {expected}"


@dataclass(frozen=True, kw_only=True)
class Interest:
    """One of the things that are taken in, under its name in `coverage`: contracts from a first block on.

    `venue`: the id under which journals keep its rows; `fetched`: what is said where nothing more is known; `fold`: its venue's, `None` for
    what is no venue; `topics`: the events that it takes (empty: any), for others may ask the same contracts for more.
    """

    name: str
    venue: str
    first: int
    contracts: Mapping[bytes, int]
    fetched: str
    fold: EvmProtocol | None = None
    topics: frozenset[bytes] = frozenset()

    def may_take(self, emitted: tuple[bytes, bytes]) -> bool:
        """Whether a log of a contract with a topic can be one that this is made of."""
        contract, topic = emitted
        return (not self.topics or topic in self.topics) and contract in self.emitters

    @cached_property
    def emitters(self) -> frozenset[bytes]:
        """The contracts whose logs this is made of."""
        return frozenset(map(contract_of, self.contracts))

    def takes(self, difference: Difference) -> bool:
        """Whether a log is one that this is made of; one that is there and should not be always is."""
        log = difference.log
        named = not difference.missing or not self.topics or (bool(log.topics) and log.topics[0] in self.topics)
        return named and first_block(self.contracts, log.address, log.topics) <= difference.block


class Looked(NamedTuple):
    """What came of a piece, and how what is stored of it differs from the chain, log by log."""

    examined: Examined
    differences: tuple[Difference, ...]


class Attestor:
    """Looks for evidence of one chain; `filters` are those of the newest headers."""

    def __init__(self, source: EvmSource, nodes: Nodes, filters: Filters) -> None:
        self._source = source
        self._nodes = nodes
        self._filters = filters
        self._rebuilt = Rebuilt()

    async def examine(
        self,
        first: int,
        last: int,
        records: Records,
        *,
        level: Level,
        interests: Sequence[Interest],
        topics: Collection[bytes],
    ) -> AsyncIterator[Looked]:
        """Look at stored blocks piece by piece, from the last one down; raises `ChainError`."""
        followed = Followed(_union(interest.contracts for interest in interests), frozenset(topics))
        look = _Look(
            source=self._source,
            nodes=self._nodes,
            records=records,
            first=first,
            last=last,
            followed=followed,
            filters=self._filters,
            rebuilt=self._rebuilt,
        )
        last_hash: bytes | None = None
        for start, end in cut(first, last, _size(level, first, last)):
            weighed, last_hash = await look.weigh(level, start, end, last_hash)
            yield await look.examined(level, interests, start, end, weighed)

    async def overlooked(
        self, blocks: Iterable[Block], logs: pa.Table, followed: Followed, level: Level
    ) -> list[Difference]:
        """Return logs of new blocks that a first answer left out, as far as the blocks' headers give them away; raises `ChainError`.

        Where receipts are to prove the blocks in the end, they are asked for at once, and remembered.
        """
        known = by_block(logs)
        found: list[Difference] = []
        if level == Level.PROVEN:
            found, blocks = await self._overlooked_by_receipts(blocks, known, followed)
        doubtful = [block for block in blocks if self._may_lack(block, known.get(block.number, ()), followed)]
        return found + await by_bloom.missing(self._nodes, doubtful, known, followed) if doubtful else found

    async def _overlooked_by_receipts(
        self, blocks: Iterable[Block], known: Mapping[int, Sequence[BlockLog]], followed: Followed
    ) -> tuple[list[Difference], list[Block]]:
        """Return what is missing of blocks that receipts prove, and those that they do not prove."""
        open_ = {block.number: block for block in blocks if not excluded(self._filters, block, followed)}
        roots = {number: self._filters.root(block.hash) for number, block in open_.items()}
        wanted = [
            Wanted(number, open_[number].hash, root) for number, root in sorted(roots.items()) if root is not None
        ]
        said = await self._rebuilt.logs(self._nodes, wanted, followed)
        found: list[Difference] = []
        for number, there in said.items():
            why, different = by_receipts.compared(number, open_[number].hash, known.get(number, ()), there)
            found += [difference for difference in different if difference.missing]
            if not why:
                del open_[number]
        return found, list(open_.values())

    async def differing(self, number: int, logs: pa.Table, followed: Followed) -> list[Difference]:
        """Return how what is known of a block differs from what its nodes say when they are asked closely; raises `ChainError`."""
        return await differing(self._nodes, number, by_block(logs).get(number, ()), followed)

    def _may_lack(self, block: Block, known: Sequence[BlockLog], followed: Followed) -> bool:
        bloom = self._filters.of(block.hash)
        if bloom is None or bloom == NOTHING:
            return False
        said = {(log.address, log.topics[0]) for log in known if log.topics}
        return bool(may_hold(bloom, followed, block.number) - said)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at blocks `first`..`last`."""

    source: EvmSource
    nodes: Nodes
    records: Records
    first: int
    last: int
    followed: Followed
    filters: Filters
    rebuilt: Rebuilt
    balances: dict[str, Balance] = field(default_factory=dict)
    unexplained: list[Difference] = field(default_factory=list)

    async def weigh(self, level: Level, start: int, end: int, last_hash: bytes | None) -> tuple[Weighed, bytes | None]:
        """Weigh one piece, the highest first; `last_hash` is what the piece above it says of its last block."""
        if level == Level.BLOOM and await self._quiet():
            return Weighed([Part(start, end, Level.BLOOM, "")]), None
        if level not in (Level.BLOOM, Level.AGREED, Level.PROVEN):
            return Weighed([Part(start, end, Level.FETCHED, "")]), None
        piece = await asyncio.to_thread(self._piece, start, end)
        if level == Level.AGREED:
            return await by_nodes.weigh(self.nodes, piece), None
        try:
            top = last_hash or piece.hashes.get(end) or (await self.source.blocks([end]))[end].hash
            if level == Level.BLOOM:
                return await by_bloom.weigh(self.nodes, piece, top)
            return await by_receipts.weigh(self.nodes, piece, top, self.rebuilt)
        except HistoryGone:
            return Weighed([Part(start, end, Level.FETCHED, GONE)]), None

    async def _quiet(self) -> bool:
        """Tell whether headers that were seen exclude a followed log from every block of the span."""
        if self.last - self.first >= MOST_SEEN:
            return False
        blocks = await asyncio.to_thread(self.records.blocks, self.first, self.last)
        known = len(blocks) == self.last - self.first + 1
        return known and all(excluded(self.filters, block, self.followed) for block in blocks)

    def _piece(self, start: int, end: int) -> Piece:
        return Piece(
            first=start,
            last=end,
            stored=by_block(self.records.table("evm_log", start, end)),
            hashes={block.number: block.hash for block in self.records.blocks(start, end)},
            followed=self.followed,
        )

    async def examined(
        self, level: Level, interests: Sequence[Interest], start: int, end: int, weighed: Weighed
    ) -> Looked:
        """Say for each interest what a piece came to, with its totals where nothing better speaks for it."""
        covered: list[Covered] = []
        findings: list[Finding] = []
        before = len(self.unexplained)
        for interest in interests:
            findings += _findings(interest, weighed.differences)
            for part in weighed.parts_for(interest.may_take):
                if part.last >= interest.first:
                    clipped = part._replace(first=max(part.first, interest.first))
                    best, found = await self._best(level, interest, clipped)
                    covered.append(_covered(interest, level, best))
                    findings += found
        examined = Examined(first=start, last=end, covered=tuple(covered), findings=tuple(findings))
        return Looked(examined, (*weighed.differences, *self.unexplained[before:]))

    async def _best(self, level: Level, interest: Interest, part: Part) -> tuple[Part, list[Finding]]:
        if rank(part.level) >= rank(Level.TOTALS) or rank(level) < rank(Level.TOTALS):
            return part, []
        fresh = interest.name not in self.balances
        if fresh:
            self.balances[interest.name] = await self._balance(interest)
            self.unexplained.extend(self.balances[interest.name].differences)
        balance = self.balances[interest.name]
        found = list(_balance_findings(interest, balance)) if fresh else []
        if balance.why:
            why = "; ".join(filter(None, (part.why, balance.why)))
            return part._replace(why=why), found
        return part._replace(level=Level.TOTALS), found

    async def _balance(self, interest: Interest) -> Balance:
        fold = interest.fold
        if fold is None:
            return Balance(NO_VENUE)
        if not isinstance(fold, Totalled):
            return Balance(NO_TOTALS)
        if await self._quiet():
            return Balance()
        totals = Totals(
            source=self.source,
            nodes=self.nodes,
            records=self.records,
            venue=fold.venue,
            fold=fold,
            followed=self.followed,
        )
        return await totals.weigh(max(self.first, interest.first), self.last)


def excluded(filters: Filters, block: Block, followed: Followed) -> bool:
    """Tell whether the header of a block was seen and excludes every log that is followed."""
    bloom = filters.of(block.hash)
    return bloom is not None and (bloom == NOTHING or not may_hold(bloom, followed, block.number))


def covered_anyway(first: int, last: int, level: Level, interests: Iterable[Interest], why: str) -> Looked:
    """Return what is said of a span for which no evidence was to be had."""
    parts = [(interest, max(first, interest.first)) for interest in interests if interest.first <= last]
    covered = [_covered(interest, level, Part(start, last, Level.FETCHED, why)) for interest, start in parts]
    return Looked(Examined(first=first, last=last, covered=tuple(covered)), ())


def _size(level: Level, first: int, last: int) -> int:
    sizes = {Level.BLOOM: HEADERS_AT_ONCE, Level.PROVEN: HEADERS_AT_ONCE, Level.AGREED: LOGS_ASKED_AT_ONCE}
    return sizes.get(level, last - first + 1)


def _union(contracts: Iterable[Mapping[bytes, int]]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for some in contracts:
        for address, since in some.items():
            found[address] = min(since, found.get(address, since))
    return found


def _covered(interest: Interest, asked: Level, part: Part) -> Covered:
    lacking = f"; not {asked.value}: {part.why}" if part.why else ""
    return Covered(
        interest=interest.name,
        first=part.first,
        last=part.last,
        level=part.level.value,
        evidence=EVIDENCE.get(part.level, interest.fetched) + lacking,
    )


def _findings(interest: Interest, differences: Iterable[Difference]) -> Iterator[Finding]:
    yield from (finding(interest.name, difference) for difference in differences if interest.takes(difference))


def finding(interest: str, difference: Difference) -> Finding:
    """Return a difference as it is reported and kept."""
    log = difference.log
    return Finding(
        interest=interest,
        kind="missing" if difference.missing else "extra",
        block=difference.block,
        block_hash=difference.block_hash,
        log_index=log.log_index,
        tx_hash=log.tx_hash,
        address=log.address,
        topic0=log.topics[0] if log.topics else b"",
        evidence=difference.said_by,
    )


def _balance_findings(interest: Interest, balance: Balance) -> Iterator[Finding]:
    yield from _findings(interest, balance.differences)
    for unbalanced in balance.unbalanced:
        yield _unbalanced(interest.name, unbalanced)


def _unbalanced(interest: str, wrong: Unbalanced) -> Finding:
    return Finding(
        interest=interest,
        kind="unbalanced",
        block=wrong.block,
        block_hash=b"",
        log_index=-1,
        tx_hash=b"",
        address=wrong.contract,
        topic0=b"",
        evidence=WRONG_TOTAL.format(answered=wrong.answered, expected=wrong.expected),
    )
